"""Intel: the driver's own compiler, offline. Its report is in the ELF file's .ze_info and in what it prints."""
import re
import struct

from .loops import Line, hot_loop
from .tools import run

# the disassembler's name, threads of an execution unit, the sub-group that choose_subgroup of opencl.c asks for
TARGETS = {"skl": ("9", 7, 0), "tgllp": ("12p1", 7, 0), "acm-g10": ("12p71", 8, 0), "pvc": ("12p72", 8, 16)}


def sections_of(data):
    offset, (count, names) = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<HH", data, 60)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, offset + 64 * i) for i in range(count)]
    at = headers[names][4]
    return {data[at + h[0]:].split(b"\0")[0].decode(): data[h[4]:h[4] + h[5]] for h in headers}


def lines_of(code):
    result = []
    for text in code.splitlines():
        label = re.match(r"(L\d+):", text)
        found = re.match(r"(\([^)]*\))?\s+([a-z][\w.]*)\s+(?:\((\d+)\||L\d+)", text)
        if label:
            result.append(Line(label[1], None, text))
        elif found:
            op = found[2]
            places = re.findall(r"L\d+", text) if op.startswith(("jmpi", "goto", "while", "break", "if", "else")) else []
            fma = int(op == "mad" and ":f" in text)
            result.append(Line(None, op, text, places[0] if places else None, op == "jmpi" and not found[1], fma))
    return result


def width(line):
    return int((re.search(r"\((\d+)\|", line.text) or [0, 1])[1])


def bounds(body):
    busy = [l for l in body if not l.op.startswith(("send", "sync", "nop", "jmpi", "goto", "join", "while"))]
    fma = sum(width(l) for l in body if l.fma)
    if not fma:
        return {}
    return {"valu": fma / sum(max(width(l), 8) for l in busy), "issue": sum(l.fma for l in body) / len(body)}


def report(source, target, folder, options):
    platform, threads, subgroup = TARGETS[target]
    options = [option.replace("-DCG_SUBGROUP=0", f"-DCG_SUBGROUP={subgroup}") for option in options]
    log = run(["ocloc", "compile", "-file", source, "-device", target, "-options",
               " ".join(["-cl-std=CL1.2", *options]), "-internal_options", "-cl-intel-allow-zebin", "-output", "k",
               "-output_no_suffix", "-out_dir", folder])
    sections = sections_of((folder / "k").read_bytes())
    info = sections[".ze_info"].decode().split("kernels_misc_info")[0]
    for part in re.split(r"\n  - name: +", info)[1:]:
        name = part.split("\n")[0]
        if name.startswith("Intel_Symbol_Table"):
            continue
        number = lambda key: int((re.search(rf"\n +{key}: +(\d+)", part) or [0, 0])[1])
        scratch = re.search(r"type: +scratch.*?size: +(\d+)", part, re.S)
        spilled = re.search(rf"kernel {name} +compiled SIMD\d+ allocated \d+ regs and spilled around (\d+)", log)
        (folder / "k.bin").write_bytes(sections[".text." + name])
        code = run(["iga64", "-d", "-p=" + platform, folder / "k.bin"])
        yield {"kernel": name, "registers": number("grf_count"), "spill": int(spilled[1]) if spilled else 0,
               "scratch": int(scratch[1]) if scratch else 0, "local": number("slm_size"),
               "occupancy": threads if number("grf_count") <= 128 else 4, **bounds(hot_loop(lines_of(code)))}
