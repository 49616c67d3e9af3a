#!/usr/bin/env python3
"""Trains small smooth networks with PyTorch in float64, for test_smooth.c to train again on every device.

    python3 tools/record_smooth.py data FOLDER        needs torch, numpy and safetensors

Smooth, since at a kink a rounding error can send two trainings apart. A file has the initial weights (float32 values), the
loss of each step before its update, and as metadata what was trained: model, optimizer, data, batch. Rows are taken in the
order of the file, pixels divided by 16 (digits) or 255 (MNIST), nothing else.
"""
import gzip
import pathlib
import sys

import numpy
import torch
from safetensors.numpy import save_file

STEPS = 100
# name, data, batch, model, optimizer; the digits networks take 200,000 multiply-adds a step
NETWORKS = [
    ("digits_tanh_sgd", "digits", 16, "Sequential(Flatten(), Linear(64, 56), Tanh(), Linear(56, 10))", "SGD(lr=0.1, momentum=0.9)"),
    ("digits_silu_adam", "digits", 16, "Sequential(Flatten(), Linear(64, 56), SiLU(), Linear(56, 10))", "Adam(lr=0.01)"),
    ("mnist_gelu_sgd", "mnist", 32, "Sequential(Flatten(), Linear(784, 24), GELU(), Linear(24, 10))", "SGD(lr=0.05, momentum=0.9)"),
    ("mnist_gelu_tanh_adamw", "mnist", 32,
     "Sequential(Flatten(), Linear(784, 24), GELU(approximate='tanh'), Linear(24, 10))", "AdamW(lr=0.003)"),
    ("mnist_conv_adam", "mnist", 32,
     "Sequential(Conv2d(1, 6, 5, stride=2, padding=2), SiLU(), AvgPool2d(2), Conv2d(6, 12, 3, padding=1), Tanh(), "
     "Flatten(), Linear(588, 10))", "Adam(lr=0.002)"),
    ("mnist_conv_norm_adamw", "mnist", 32,
     "Sequential(Conv2d(1, 8, 3, stride=2, padding=1, bias=False), BatchNorm2d(8), SiLU(), "
     "Conv2d(8, 12, 3, stride=2, padding=1), GroupNorm(3, 12), GELU(), AdaptiveAvgPool2d(1), Flatten(), Linear(12, 10))", "AdamW(lr=0.005)"),
]


def read_digits(folder):
    rows = numpy.loadtxt(folder / "digits" / "digits.csv", delimiter=",", skiprows=1)
    return rows[:, :-1].reshape(-1, 1, 8, 8) / 16, rows[:, -1].astype(numpy.int64)


def read_mnist(folder):
    images = numpy.frombuffer(gzip.open(folder / "mnist" / "train-images-idx3-ubyte.gz").read(), numpy.uint8, offset=16)
    labels = numpy.frombuffer(gzip.open(folder / "mnist" / "train-labels-idx1-ubyte.gz").read(), numpy.uint8, offset=8)
    return images.reshape(-1, 1, 28, 28) / 255, labels.astype(numpy.int64)


def record(name, batch, model_text, optimizer_text, images, labels):
    torch.manual_seed(sum(map(ord, name)))
    model = eval(model_text, vars(torch.nn).copy()).float().double()  # weights are float32 values
    initial = {key: tensor.detach().float().numpy().copy() for key, tensor in model.named_parameters()}
    kind, arguments = optimizer_text.split("(", 1)
    optimizer = eval(f"make(parameters, {arguments}", {"make": getattr(torch.optim, kind), "parameters": model.parameters()})
    losses = []
    for step in range(STEPS):
        rows = slice(step * batch, (step + 1) * batch)
        x = torch.from_numpy(images[rows].astype(numpy.float32)).double()
        loss = torch.nn.functional.cross_entropy(model(x), torch.from_numpy(labels[rows].copy()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return initial | {"losses": numpy.array(losses)}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    data, out = map(pathlib.Path, sys.argv[1:])
    sets = {"digits": read_digits(data), "mnist": read_mnist(data)}
    out.mkdir(parents=True, exist_ok=True)
    for name, source, batch, model, optimizer in NETWORKS:
        tensors = record(name, batch, model, optimizer, *sets[source])
        metadata = {"model": model, "optimizer": optimizer, "data": source, "batch": str(batch),
                    "torch": torch.__version__.partition("+")[0]}
        save_file(tensors, out / f"{name}.safetensors", metadata=metadata)
        print(f"{name}: loss {tensors['losses'][0]:.4f} to {tensors['losses'][-1]:.4f}")


if __name__ == "__main__":
    main()
