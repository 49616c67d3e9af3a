#!/usr/bin/env python3
"""Records values and derivatives of the elementwise ops as PyTorch has them in float64, for test_elementwise.c.

    python3 tools/record_elementwise.py tests/elementwise.def > tests/elementwise.txt        needs torch

One line for each proof of the list, `= NAME`, and one for each point below it: x, y and dy/dx, or a, b, z, dz/da, dz/db.
What goes in is a float32 value. The points are the ends of what float32 has, numbers of every size between, and the
numbers p0, p1, p2 of the row and their opposites, where it may have a kink. What is NaN in PyTorch at infinity because of
a formula (infinity times 0), a derivative or the value of an op of one number, is written as *: nothing is expected of it.
A point that PyTorch refuses (a loss of what is no probability) is left out.
"""
import itertools
import math
import re
import struct
import sys

import torch
import torch.nn.functional as F  # what the list's texts call it

UNARY = [0.0, 1e-45, 1e-40, 1e-20, 1e-5, 0.01, 0.1, 0.5, 0.9, 1.0, 2.0, 3.0, 4.0, 6.0, 10.0, 15.0, 20.0, 30.0, 80.0, 88.0, 100.0,
         1e4, 1e20, 3e38, math.inf]
BINARY = [0.0, -0.5, 1.0, -1.0, 2.0, 3.0, -80.0, 1e-38, 1e30, math.inf, -math.inf, math.nan]
PROOF = re.compile(r'^CG_PROOF\((\w+), (\w+), "([^"]+)", P\(([^)]*)\)', re.M)


def single(number):
    return struct.unpack("f", struct.pack("f", number))[0]


def text(number):
    return "nan" if math.isnan(number) else f"{number:.9g}"


def evaluate(expression, names, numbers):
    """The value, and the derivatives by the names."""
    leaves = [torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in numbers]
    value = eval(expression, {"torch": torch, "F": F}, names | dict(zip("ab" if len(leaves) == 2 else "x", leaves)))
    if value.requires_grad:
        value.backward()
    return value.item(), [0.0 if leaf.grad is None else leaf.grad.item() for leaf in leaves]


def record(name, expression, parameters):
    names = {f"p{i}": parameter for i, parameter in enumerate(parameters)}
    if re.search(r"\bx\b", expression):
        special = {single(p * sign) for p in parameters for sign in (1, -1) if math.isfinite(p)}
        points = sorted({x * sign for x in map(single, UNARY) for sign in (1, -1)} | special)
        points = [(x,) for x in points + [math.nan]]
    else:
        points = list(itertools.product(map(single, BINARY), repeat=2))
    print(f"= {name}")
    for point in points:
        try:
            value, derivatives = evaluate(expression, names, point)
        except RuntimeError:  # outside of the op's domain
            continue
        infinite = any(map(math.isinf, point))
        derivatives = ["*" if infinite and math.isnan(d) else text(d) for d in derivatives]
        print(*map(text, point), "*" if infinite and len(point) == 1 and math.isnan(value) else text(value), *derivatives)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(f"# tools/record_elementwise.py, PyTorch {torch.__version__.partition('+')[0]}, float64")
    for name, _, expression, parameters in PROOF.findall(open(sys.argv[1]).read()):
        record(name, expression, [float(p.replace("INFINITY", "inf")) for p in parameters.split(",")])


if __name__ == "__main__":
    main()
