"""Every define that the OpenCL backend gives a kernel file is among the variants that a kernel file declares, each
declared parameter is one that the file or an include reads, and the common options are those of choose_options."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
from gpu_report import variants  # noqa: E402

NAME = r"-D(CG_\w+)="
failures = []


def expect(good, message):
    if not good:
        failures.append(message)


used = {}
for path in sorted((ROOT / "src/backends/opencl").glob("*.c")):
    for name in re.findall(NAME, path.read_text()):
        used.setdefault(name, path.name)
common = {re.match(NAME, word)[1] for word in variants.common_options(variants.FOLDER / "reduce.cl")}
chosen = set(re.findall(NAME, (ROOT / "src/backends/opencl/opencl.c").read_text()))
expect(common == chosen, f"choose_options gives {sorted(chosen)}, gpu-report {sorted(common)}")

declared = set()
for path in variants.kernel_files():
    text = variants.source_of(path)
    for words in variants.variants_of(path):
        for name in re.findall(NAME, " ".join(words)):
            declared.add(name)
            expect(name in text, f"{path.name} declares variants of {name} and does not read it")
    own = set(re.findall(r"^#ifndef (CG_\w+)", text, re.M)) - common - {"CG_PRELUDE"}
    said = set(re.findall(NAME, " ".join(" ".join(words) for words in variants.variants_of(path))))
    for name in sorted(own - said):
        expect(name not in used or path.name == "conv_cpu.cl",
               f"{path.name} reads {name}, which {used.get(name)} gives: its first comment needs a 'Variants:' line")
for name, file in used.items():
    expect(name in declared | common, f"{file} gives {name}: no file in cl/ declares its variants")
expect(len(declared) > 5, "no variants were found")

for message in failures:
    print(message)
sys.exit(1 if failures else 0)
