#!/usr/bin/env python3
"""Records what PyTorch computes for the lesson: record.py FILE (needs torch). One line a tensor, NAME | SHAPE | numbers.

The numbers that go in are drawn as clgrad draws them (Philox4x32-10, seed 42, a stream for each tensor), so that only results
are stored. Everything is computed in float64.
"""
import math
import pathlib
import struct
import sys

import torch

SEED = 42
MASK = 0xFFFFFFFF


def philox(seed, stream, index):
    key, other = seed & MASK, seed >> 32
    c = [index & MASK, index >> 32, stream & MASK, stream >> 32]
    for _ in range(10):
        one, two = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(two >> 32) ^ c[1] ^ key, two & MASK, (one >> 32) ^ c[3] ^ other, one & MASK]
        key, other = (key + 0x9E3779B9) & MASK, (other + 0xBB67AE85) & MASK
    return c


def single(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def normal(stream, *shape, std=1.0):
    """lesson_normal of lesson.h."""
    values = []
    for i in range(math.prod(shape)):
        words = philox(SEED, stream, i // 2)[i % 2 * 2:][:2]
        radius = math.sqrt(-2 * math.log((words[0] + 1) * 2.0**-32))
        values.append(single(std * single(radius * math.cos(6.283185307179586 * words[1] * 2.0**-32))))
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def network():
    """Chapter 4's: 32 rows of 20, ten hidden units, one output, MSE."""
    x, y = normal(3, 32, 20), normal(4, 32, 1)
    w1, w2 = normal(1, 20, 10, std=math.sqrt(2 / 20)), normal(2, 10, 1, std=math.sqrt(1 / 10))
    b1, b2 = torch.zeros(10, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    leaves = {"w1": w1, "b1": b1, "w2": w2, "b2": b2, "x": x}
    for leaf in leaves.values():
        leaf.requires_grad_()
    loss = torch.nn.functional.mse_loss(torch.relu(x @ w1 + b1) @ w2 + b2, y)
    loss.backward()
    return {"loss": loss, **{name: leaf.grad for name, leaf in leaves.items()}}


def small_case():
    """x, y, w and b of chapter 6: linear, relu, MSE with one output."""
    x, y, w, b = normal(6, 1000, 48), normal(7, 1000, 1), normal(8, 48, 1, std=math.sqrt(2 / 48)), torch.zeros(1, dtype=torch.float64)
    return x, y, w.requires_grad_(), b.requires_grad_()


def small_loss(x, y, w, b):
    return torch.nn.functional.mse_loss(torch.relu(x @ w + b), y)


def small():
    x, y, w, b = small_case()
    loss = small_loss(x, y, w, b)
    loss.backward()
    return {"small_loss": loss, "small_w": w.grad, "small_b": b.grad}


def optimizers():
    """Chapter 7's: the weight of the small case after ten steps; the bias stays 0."""
    made = {"sgd_w": lambda w: torch.optim.SGD([w], lr=0.1), "momentum_w": lambda w: torch.optim.SGD([w], lr=0.1, momentum=0.9),
            "adam_w": lambda w: torch.optim.Adam([w], lr=0.1)}
    found = {}
    for name, make in made.items():
        x, y, w, b = small_case()
        optimizer = make(w)
        for _ in range(10):
            optimizer.zero_grad()
            small_loss(x, y, w, b).backward()
            optimizer.step()
        found[name] = w
    return found


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: record.py FILE")
    lines = [f"# Computed by PyTorch {torch.__version__.split('+')[0]} in float64; written by docs/lesson/record.py\n"]
    for name, tensor in {**network(), **small(), **optimizers()}.items():
        shape = list(tensor.shape) or [1]
        lines.append(f"{name} | {shape} | {' '.join(f'{v:.9g}' for v in tensor.detach().flatten().tolist())}\n")
    pathlib.Path(sys.argv[1]).write_text("".join(lines))


main()
