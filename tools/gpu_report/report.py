"""All kernels by all targets: the table, and what fails."""
import argparse
import concurrent.futures
import csv
import pathlib
import sys
import tempfile

from . import amd, intel, nvidia, tools, variants

FAMILIES = (amd, nvidia, intel)
TARGETS = {target: family for family in FAMILIES for target in family.TARGETS}
TABLE = variants.ROOT / "docs/gpu-report.csv"
COLUMNS = ["file", "variant", "kernel", "target", "registers", "spill", "scratch", "local", "occupancy", "valu", "lds",
           "issue"]
BOUNDS = ("valu", "lds")
FALL = 5  # points
NO_SPILL = ("matmul_gpu", "conv_gpu", "conv_direct", "reduce")


def compile_one(job):
    path, words, target = job
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        source = folder / path.name
        source.write_text(variants.source_of(path))
        base = {"file": path.stem, "variant": " ".join(words), "target": target}
        try:
            rows = TARGETS[target].report(source, target, folder, variants.common_options(path) + words)
            return [base | {key: round(100 * value) if key in ("valu", "lds", "issue") else value
                            for key, value in row.items()} for row in rows], None
        except (tools.Failure, OSError, KeyError, TypeError) as failure:
            return [], f"{path.name} {base['variant']} {target}: {failure}"


def compile_all(files, targets):
    jobs = [(path, words, target) for path in files for words in variants.variants_of(path) for target in targets]
    rows, failures = [], []
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for made, failure in pool.map(compile_one, jobs):
            rows += made
            failures += [failure] if failure else []
    return rows, failures


def spills(rows):
    return [f"{r['file']}: {r['kernel']} {r['variant']} spills {r['spill']} bytes on {r['target']}" for r in rows
            if r["file"] in NO_SPILL and r["spill"] > 0]


def key_of(row):
    return tuple(row[c] for c in COLUMNS[:4])


def falls(rows, path):
    if not path.exists():
        return [f"{path.name} is missing: tools/gpu-report writes it"]
    with path.open() as file:
        before = {key_of(r): r for r in csv.DictReader(file)}
    found = []
    for row in rows:
        old = before.get(key_of(row))
        for bound in BOUNDS:
            if old and old[bound] and row.get(bound, 0) < int(old[bound]) - FALL:
                found.append(f"{' '.join(key_of(row))}: {bound} fell from {old[bound]} to {row.get(bound, 0)} %")
    return found


def write_table(rows, path):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_document(rows, path):
    looped = [r for r in rows if "valu" in r and r["file"] in NO_SPILL]
    lines = ["# Kernels as GPU machine code", "",
             "Printed by `tools/gpu-report`, which compiles every kernel in every variant in use; all rows are in "
             "`gpu-report.csv`. Compiled only: no figure here was measured on a GPU. `valu` bounds the fraction of "
             "peak arithmetic that the hot loop can reach, `lds` the same by local memory (Intel: not counted); "
             "occupancy is waves a SIMD (AMD), warps a multiprocessor (NVIDIA), threads an execution unit (Intel). "
             "Below: kernels of products, convolutions and reductions that have a loop of multiply-adds.", "",
             "| kernel | variant | target | registers | spill | local | occupancy | valu % | lds % |",
             "|---|---|---|---|---|---|---|---|---|"]
    for r in looped:
        lines.append(f"| {r['kernel']} | {r['variant'].replace('-DCG_', '')} | {r['target']} | {r['registers']} | "
                     f"{r['spill']} | {r['local']} | {r['occupancy']} | {r['valu']} | {r.get('lds', '-')} |")
    kernels = {(r["file"], r["kernel"]) for r in rows}
    lines += ["", f"{len(kernels)} kernels, {len(rows)} rows, {len({r['target'] for r in rows})} targets."]
    path.write_text("\n".join(lines) + "\n")


def print_rows(rows):
    for row in rows:
        print(" ".join(str(row.get(c, "-")) or "-" for c in COLUMNS))


def parse(words):
    parser = argparse.ArgumentParser(prog="gpu-report", description="Kernels as GPU machine code, without a GPU.")
    parser.add_argument("--check", action="store_true", help="compare with docs/gpu-report.csv and write nothing")
    parser.add_argument("--kernels", help="kernel files, without .cl, separated by commas")
    parser.add_argument("--targets", help="separated by commas: " + ",".join(TARGETS))
    given = parser.parse_args(words)
    files = variants.kernel_files()
    names = given.kernels.split(",") if given.kernels else [f.stem for f in files]
    targets = given.targets.split(",") if given.targets else list(TARGETS)
    unknown = (set(names) - {f.stem for f in files}) | (set(targets) - set(TARGETS))
    if unknown:
        parser.error("unknown: " + ", ".join(sorted(unknown)))
    return given, [f for f in files if f.stem in names], targets


def main(words):
    given, files, targets = parse(words)
    tools.install()
    rows, failures = compile_all(files, targets)
    failures += spills(rows)
    if given.check:
        failures += falls(rows, TABLE)
    elif given.kernels or given.targets:
        print_rows(rows)
    elif not failures:
        write_table(rows, TABLE)
        write_document(rows, TABLE.with_suffix(".md"))
    for failure in failures:
        print("gpu-report: " + failure, file=sys.stderr)
    print(f"gpu-report: {len(rows)} rows, {len(failures)} failures")
    return 1 if failures else 0
