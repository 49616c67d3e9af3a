"""All kernels by all targets: the table, and what fails."""
import argparse
import concurrent.futures
import csv
import hashlib
import itertools
import pathlib
import sys
import tempfile

from . import amd, intel, nvidia, tools, variants

FAMILIES = (amd, nvidia, intel)
TARGETS = {target: family for family in FAMILIES for target in family.TARGETS}
TABLE = variants.ROOT / "docs/gpu-report.csv"
COLUMNS = ["file", "variant", "kernel", "target", "source", "registers", "spill", "scratch", "local", "occupancy", "valu", "lds",
           "issue"]
BOUNDS = ("valu", "lds")
FALL = 5  # points
NO_SPILL = ("matmul_gpu", "conv_gpu", "conv_direct", "reduce")


def source_key(path, words, text):
    """What a row's figures come from, besides the compilers: a row with the same key need not be made again."""
    return hashlib.sha256("\0".join([text, *variants.common_options(path), *words]).encode()).hexdigest()[:12]


def compile_one(job):
    path, words, text, target = job
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        source = folder / path.name
        source.write_text(text)
        base = {"file": path.stem, "variant": " ".join(words), "target": target, "source": source_key(path, words, text)}
        try:
            rows = TARGETS[target].report(source, target, folder, variants.common_options(path) + words)
            return [base | {key: round(100 * value) if key in ("valu", "lds", "issue") else value
                            for key, value in row.items()} for row in rows], None
        except (tools.Failure, OSError, KeyError, TypeError) as failure:
            return [], f"{path.name} {base['variant']} {target}: {failure}"


def read_table():
    """{(source, target): rows}, and the rows by what names them."""
    made, named = {}, {}
    if TABLE.exists():
        with TABLE.open() as file:
            for row in csv.DictReader(file):
                row = {key: int(value) if value.isdigit() and key not in ("source", "target") else value for key, value in row.items() if value != ""}
                row.setdefault("variant", "")
                made.setdefault((row["source"], row["target"]), []).append(row)
                named[key_of(row)] = row
    return made, named


def compile_all(files, targets, made):
    """All rows, those in `made` as they are."""
    rows, failures, jobs, count = [], [], [], 0
    for path, target in itertools.product(files, targets):
        maker = TARGETS[target].__name__.rpartition(".")[2]
        for words, text in variants.joined(path, maker):
            known = made.get((source_key(path, words, text), target), [])
            rows += known
            jobs += [] if known else [(path, words, text, target)]
            count += 1
    print(f"gpu-report: {count} compilations, {count - len(jobs)} of them of sources as in the table", flush=True)
    if jobs:
        tools.install()
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for more, failure in pool.map(compile_one, jobs):
            rows += more
            failures += [failure] if failure else []
    return sorted(rows, key=key_of), failures


def spills(rows):
    return [f"{r['file']}: {r['kernel']} {r['variant']} spills {r['spill']} bytes on {r['target']}" for r in rows
            if r["file"] in NO_SPILL and r["spill"] > 0]


def key_of(row):
    return tuple(row[c] for c in COLUMNS[:4])


def falls(rows, before):
    if not before:
        return [f"{TABLE.name} is missing or empty: tools/gpu-report writes it"]
    found = []
    for row in rows:
        old = before.get(key_of(row), {})
        for bound in BOUNDS:
            if old.get(bound) and row.get(bound, 0) < old[bound] - FALL:
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
    parser.add_argument("--all", action="store_true", help="compile also what the table has of the same source")
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
    made, before = read_table()
    rows, failures = compile_all(files, targets, {} if given.all else made)
    failures += spills(rows)
    if given.check:
        failures += falls(rows, before)
    elif given.kernels or given.targets:
        print_rows(rows)
    else:
        write_table(rows, TABLE)
        write_document(rows, TABLE.with_suffix(".md"))
    for failure in failures:
        print("gpu-report: " + failure, file=sys.stderr)
    print(f"gpu-report: {len(rows)} rows, {len(failures)} failures")
    return 1 if failures else 0
