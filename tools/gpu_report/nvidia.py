"""NVIDIA: clang to PTX, NVIDIA's assembler to machine code, its disassembler for the hot loop."""
import math
import re

from .loops import Line, hot_loop
from .tools import LIBCLC, clang, nvidia, run

# clang's target (it ends at sm_90), FP32 lanes of a quarter of a multiprocessor, its warps and its local memory
TARGETS = {"sm_75": ("sm_75", 16, 32, 65536), "sm_80": ("sm_80", 16, 64, 167936), "sm_90": ("sm_90", 32, 64, 233472),
           "sm_120": ("sm_90", 32, 48, 102400)}


def lines_of(code):
    result = []
    for text in code.splitlines():
        label = re.match(r"(\.\w+):", text)
        instruction = re.match(r"\s+/\*[0-9a-f]+\*/\s+(@!?U?P\w+ )?\s*([A-Z][\w.]+)(.*)", text)
        if label:
            result.append(Line(label[1], None, text))
        elif instruction and instruction[2] != "NOP":
            op = instruction[2]
            goes_to = re.search(r"`\((\.\w+)\)", instruction[3]) if op.startswith("BRA") else None
            result.append(Line(None, op, text, goes_to and goes_to[1],
                               op.startswith(("BRA", "EXIT")) and not instruction[1], int(op.startswith("FFMA"))))
    return result


def bounds(body, target):
    lanes = TARGETS[target][1]
    fma = sum(l.fma for l in body)
    local = sum(int((re.search(r"\.(64|128)", l.op) or [0, 32])[1]) // 8 for l in body if l.op.startswith("LDS"))
    if not fma:
        return {}
    result = {"valu": min(1, fma * 32 / lanes / len(body)), "issue": fma / len(body)}
    if local:
        result["lds"] = min(1, fma * 32 / lanes / local)
    return result


def with_group_sizes(ptx, ir):
    """clang drops reqd_work_group_size on this target; a driver does not, and gives out registers by it."""
    sizes = {}
    for name, node in re.findall(r"^define [^\n]*@(\w+)\([^\n]*!reqd_work_group_size !(\d+)", ir, re.M):
        sizes[name] = [int(x) for x in re.findall(r"i32 (\d+)", re.search(rf"^!{node} = ([^\n]*)", ir, re.M)[1])]
        ptx = re.sub(rf"(\.entry {name}\([^{{]*?\))\n\{{", r"\1\n.reqntid %d, %d, %d\n{" % tuple(sizes[name]), ptx)
    return ptx, sizes


def report(source, target, folder, options):
    known, _, most_warps, most_local = TARGETS[target]
    base = ["--target=nvptx64-nvidia-nvcl", "-Xclang", "-target-cpu", "-Xclang", known, "-S"]
    ir, ptx, cubin = folder / "k.ll", folder / "k.ptx", folder / "k.cubin"
    clang(source, ir, [*base, "-emit-llvm", "-Xclang", "-mlink-builtin-bitcode", "-Xclang",
                       f"{LIBCLC}/nvptx64--nvidiacl.bc", *options])
    run(["clang-19", "-w", "-x", "ir", "-O3", "-nogpulib", ir, "-o", ptx, *base])
    text, sizes = with_group_sizes(ptx.read_text(), ir.read_text())
    ptx.write_text(text)
    log = run([nvidia("ptxas"), "-arch=" + target, "-v", ptx, "-o", cubin])
    assembly = run([nvidia("nvdisasm"), "-c", cubin])
    pattern = (r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill"
               r" loads.*?Used (\d+) registers([^\n]*)")
    for name, stack, stores, loads, registers, rest in re.findall(pattern, log, re.S):
        local = int((re.search(r"(\d+) bytes smem", rest) or [0, 0])[1])
        warps = -(-math.prod(sizes.get(name, [256])) // 32)
        each = -(-int(registers) * 32 // 256) * 256 * warps
        groups = min(most_warps // warps, 65536 // each, most_local // (local + 1024))
        code = re.search(rf"\.section\t\.text\.{name},.*?(?=\n//-|\Z)", assembly, re.S)[0]
        yield {"kernel": name, "registers": int(registers), "spill": int(stores) + int(loads), "scratch": int(stack),
               "local": local, "occupancy": groups * warps, **bounds(hot_loop(lines_of(code)), target)}
