"""The variants of the kernel files: each file declares those in use in its first comment, on lines like

    Variants: -DCG_TRANSPOSE_A={0,1} -DCG_TRANSPOSE_B={0,1}

Braces mean every choice, several lines add up, and a file without a line is compiled as it is. "Variants (amd, nvidia):" are
in use on those targets only. CG_GROUP stands for the
size of a work-group, CG_UNARY and CG_BINARY for the rows of elementwise.def, CG_UPDATE for those of updates.def.
"""
import itertools
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "cl"
GROUP = "256"


def kernel_files():
    return sorted(p for p in FOLDER.glob("*.cl") if re.search(r"\b__kernel\b", p.read_text()))


def rows_of(kind):
    file = "updates.def" if kind == "CG_UPDATE" else "elementwise.def"
    text = (ROOT / "include/clgrad" / file).read_text()
    return ["row_" + name for name in re.findall(r"^%s\((?:\d+, )?\w+, (\w+)," % kind, text, re.M)]


def choices(word):
    name, brace, values = word.partition("={")
    if not brace:
        return [word]
    result = []
    for value in values.rstrip("}").split(","):
        known = [GROUP] if value == "CG_GROUP" else rows_of(value)
        result += known if known else [value]
    return [f"{name}={value}" for value in result]


def variants_of(path, maker=None):
    """Lists of -D words; those in use on targets of one maker, or on any."""
    lines = re.findall(r"^ \* Variants(?: \(([\w, ]+)\))?: (.*)$", path.read_text(), re.M)
    result = []
    for makers, line in lines or [("", "")]:
        if not makers or maker is None or maker in makers.split(", "):
            result += [list(words) for words in itertools.product(*map(choices, line.split()))]
    return result


def joined(path, maker=None):
    """[(words, source)]: what is compiled at once. The rows of elementwise.def go into one source, each with its kernels
    under names of its own: a program a row would take fifty compilers a target."""
    together = {}
    for words in variants_of(path, maker):
        row = next((word for word in words if word.startswith("-DCG_ROW=")), None)
        together.setdefault(tuple(word for word in words if word != row), []).append(row)
    return [(list(words), source_of(path) if rows == [None] else source_of_rows(path, rows)) for words, rows in together.items()]


def source_of_rows(path, rows):
    """All above the kernels once, and the kernels for each -DCG_ROW, with what they define renamed."""
    above, kernels = source_of(path).split("\n#if CG_UNARY_ROW\n")
    kernels = "#if CG_UNARY_ROW\n" + kernels
    names = set(re.findall(r"__kernel void (\w+)|inline \w+ (\w+)\(|^\} (\w+);|^BACKWARD\((\w+)", kernels, re.M))
    names = "|".join(sorted({name for group in names for name in group if name and name != "kernel_name"}))
    out = [f"#define CG_ROW {rows[0].partition('=')[2]}", above]
    for row in filter(None, rows):
        name = row.partition("=")[2]
        out += ["#undef CG_ROW", "#undef BACKWARD", f"#define CG_ROW {name}", re.sub(rf"\b({names})\b", rf"\1_{name[4:]}", kernels)]
    return "\n".join(out)


def profile_of(path):
    """Files for CPUs alone say so in their names: on a GPU profile=cpu runs them."""
    return "cpu" if path.stem.endswith("_cpu") else "gpu"


def common_options(path):
    """As in choose_options of src/backends/opencl/opencl.c, for a GPU that has fma."""
    return ["-DCG_CPU=%d" % (profile_of(path) == "cpu"), "-DCG_WIDTH=4", "-DCG_GROUP=" + GROUP, "-DCG_FMA=1"]


def source_of(path, seen=None):
    """The file with its includes, as src/backends/opencl/source.c gives it to a driver."""
    out = []
    for line in path.read_text().splitlines():
        name = re.match(r'#include "([\w.]+)"', line)
        if name:
            inner = FOLDER / name[1]
            out.append(source_of(inner if inner.exists() else ROOT / "include/clgrad" / name[1]))
        else:
            out.append(line)
    return "\n".join(out) + "\n"
