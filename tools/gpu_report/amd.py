"""AMD: clang's own back end; registers and occupancy from its listing, and a link, which misses what libclc lacks."""
import re

from .loops import Line, hot_loop
from .tools import LIBCLC, clang, run

# multiply-adds of one instruction at peak, lanes of a wave, cycles of an instruction, SIMDs that share local memory
TARGETS = {"gfx906": (1, 64, 4, 4), "gfx90a": (2, 64, 4, 4), "gfx942": (2, 64, 4, 4), "gfx1030": (1, 32, 1, 2),
           "gfx1100": (2, 32, 1, 2), "gfx1201": (2, 32, 1, 2)}


def fma_of(op, text):
    if op.startswith("v_dual"):
        return len(re.findall(r"v_dual_fma", text))
    if op.startswith("v_pk_fma_f32"):
        return 2
    return 1 if re.match(r"v_(fma|mac|mad)c?\w*_f32", op) else 0


def lines_of(code):
    result = []
    for text in code.splitlines():
        label, instruction = re.match(r"(\.?\w+):", text), re.match(r"\t([a-z]\w+)(.*)", text)
        if label:
            result.append(Line(label[1], None, text))
        elif instruction:
            op, rest = instruction[1], instruction[2]
            goes_to = re.search(r"\.LBB\w+", rest) if re.match(r"s_c?branch", op) else None
            result.append(Line(None, op, text, goes_to and goes_to[0], op in ("s_branch", "s_endpgm"),
                               fma_of(op, text)))
    return result


def local_bytes(op):
    found = re.match(r"ds_(?:load|read)(?:_?(2)(?:_addr|addr|st64)*)?\w*?_b(\d+)", op)
    return int(found[2]) // 8 * (2 if found[1] else 1) if found else 0


def bounds(body, target):
    peak, lanes, cycles, simds = TARGETS[target]
    slots = sum(l.fma for l in body) / peak
    local = sum(local_bytes(l.op) for l in body)
    vector = sum(l.op.startswith("v_") for l in body)
    if not slots:
        return {}
    result = {"valu": min(1, slots / vector), "issue": slots / len(body)}
    if local:
        result["lds"] = min(1, slots * cycles / (local * lanes * simds / 128))
    return result


def report(source, target, folder, options):
    listing, linked = folder / "k.s", folder / "k.co"
    flags = ["--target=amdgcn-amd-amdhsa", "-mcode-object-version=5", "-mcpu=" + target, "-Xclang",
             "-mlink-builtin-bitcode", "-Xclang", f"{LIBCLC}/{target}-amdgcn-mesa-mesa3d.bc", *options]
    clang(source, listing, ["-S", *flags])
    run(["clang-19", "-c", "-x", "assembler", "--target=amdgcn-amd-amdhsa", "-mcode-object-version=5",
         "-mcpu=" + target, listing, "-o", folder / "k.o"])
    run(["ld.lld-19", "-shared", "--no-undefined", folder / "k.o", "-o", linked])
    text = listing.read_text()
    for name in re.findall(r"^\s*\.amdhsa_kernel (\w+)", text, re.M):
        code = re.search(rf"^{name}:.*?\n(.*?)\.amdhsa_kernel {name}\n", text, re.M | re.S)[1]
        info = text[text.index(f".amdhsa_kernel {name}\n"):]
        number = lambda key: int(re.search(re.escape(key) + r"\s*(\d+)", info)[1])
        spilled = re.search(rf"\.name: +{name}\n.*?\.vgpr_spill_count: +(\d+)", text, re.S)
        yield {"kernel": name, "registers": number("; NumVgprs:"), "spill": 4 * int(spilled[1]),
               "scratch": number("; ScratchSize:"), "local": number("; LDSByteSize:"),
               "occupancy": number("; Occupancy:"), **bounds(hot_loop(lines_of(code)), target)}
