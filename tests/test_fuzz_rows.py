#!/usr/bin/env python3
"""Every public op function has a row in fuzz.def, and every row a function: an op that joins is fuzzed."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DECLARATION = re.compile(r"CG_API\s+(?:cg_tensor \*|cg_status )\s*cg_(\w+)\(cg_tape \*tape\b(?!\))")
# What it declares takes parameters and their gradients, not operands: tests/test_optimizers.c.
NO_HEADER = "optim.h"
# Declared beside ops: what a tape does, and what a program's own ops are made of.
NO_OPS = re.compile("backward|tape_|op_")


def functions() -> set:
    names = set()
    for header in sorted((ROOT / "include/clgrad").glob("*.h")):
        if header.name != NO_HEADER:
            names |= set(DECLARATION.findall(header.read_text()))
    return {name for name in names if not NO_OPS.match(name)}


def main() -> None:
    rows = (ROOT / "tests/fuzz.def").read_text()
    called = set(re.findall(r"\bcg_(\w+)\(TAPE\b|\bcg_(\w+)\(f->tape\b", rows))
    called = {one or other for one, other in called} | ({"split_tensor"} if "fuzz_split(f)" in rows else set())
    missing = sorted(functions() - called)
    if len(functions()) < 80:
        sys.exit(f"only {len(functions())} op functions were found in the headers: has their form changed?")
    if missing:
        sys.exit(f"no row of tests/fuzz.def calls: {', '.join(missing)}")


main()
