#!/usr/bin/env python3
"""Records what PyTorch computes in float64, as case files that `clgrad verify` replays.

    python3 tools/record_cases.py LIST FOLDER        needs torch, numpy and safetensors

A line of LIST is one case, its fields separated by |, # begins a comment:

    conv2d    | Conv2d(3, 8, 3)     | train    | f(2,3,9,9)              a module, in mode train or eval, and its inputs
    nll       | NLLLoss()           | train    | l(8,10) ; i(8;10)       a loss is a module of two inputs
    adam      | Adam(lr=0.01)       | steps 5  | f(3,4) ; f(7)           an optimizer, its parameters; gradients are random
    step_lr   | StepLR(step_size=3) | steps 20 | lr 0.1                  a schedule of an SGD with momentum 0.9

Inputs are written KIND(SHAPE):  f normal   s normal times 0.1   u uniform in 0.02..0.98   p rows that sum to 1
l logarithms of such rows   b zeros and ones   q integers -2..2, for ties   i(SHAPE;N) integers below N, as int64
m a mask of booleans, true for a third of all, never for the first of a row.
`c:` in front makes an input a constant, without a gradient; `NAME=` passes it by its name; an LSTM's three inputs are the
input and both states. Everything that goes in is a float32 value, computed with in
float64; each case has random numbers of its own, drawn from its name.
"""
import hashlib
import inspect
import pathlib
import re
import sys

import numpy
import torch
from safetensors.numpy import save_file

FORMAT = "clgrad-case-1"


class Residual(torch.nn.Module):
    """body(x) + shortcut(x); without a shortcut x itself."""

    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body = body
        if shortcut is not None:
            self.shortcut = shortcut

    def forward(self, x):
        return self.body(x) + (self.shortcut(x) if hasattr(self, "shortcut") else x)


class GeneralReLU(torch.nn.Module):
    """The leaky, shifted, clamped ReLU of fast.ai's course."""

    def __init__(self, leak=0.0, sub=0.0, maxv=None):
        super().__init__()
        self.leak, self.sub, self.maxv = leak, sub, maxv

    def forward(self, x):
        y = torch.where(x > 0, x, self.leak * x) - self.sub
        return y if self.maxv is None else y.clamp(max=self.maxv)


class Permute(torch.nn.Module):
    """torchvision.ops.Permute."""

    def __init__(self, dims):
        super().__init__()
        self.dims = dims

    def forward(self, x):
        return x.permute(self.dims)


def names_of(module):
    return {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}


MODULES = {**names_of(torch.nn), "Residual": Residual, "GeneralReLU": GeneralReLU, "Permute": Permute, "torch": torch}


def single(values):
    """The nearest float32 values, as a float64 tensor."""
    return torch.from_numpy(numpy.asarray(values, numpy.float32).astype(numpy.float64))


def given(tensor):
    """What a case stores of a tensor that goes in."""
    array = tensor.detach().numpy()
    return array.astype(numpy.float32) if tensor.is_floating_point() else array.copy()


def expected(tensor):
    return tensor.detach().numpy().copy()


def draw(text, random):
    """(tensor, whether it wants a gradient) of one input's text."""
    match = re.fullmatch(r"(c:)?([fsuplbqim])\(([\d,\s]*)(?:;\s*(\d+)\s*)?\)", text)
    if match is None:
        raise ValueError(f"'{text}' is no input such as f(2,3) or i(8;10)")
    constant, kind, sizes, limit = match.groups()
    if (kind == "i") != (limit is not None):
        raise ValueError(f"'{text}': i needs ';N' and the other kinds do not take it")
    shape = tuple(int(size) for size in sizes.split(",") if size.strip())
    if kind == "i":
        return torch.from_numpy(random.integers(0, int(limit), shape)), False
    if kind == "m":
        mask = random.uniform(size=shape) < 1 / 3
        mask[..., 0] = False
        return torch.from_numpy(mask), False
    drawn = {
        "f": lambda: random.standard_normal(shape),
        "s": lambda: 0.1 * random.standard_normal(shape),
        "u": lambda: random.uniform(0.02, 0.98, shape),
        "p": lambda: random.dirichlet(numpy.ones(shape[-1]), shape[:-1]),
        "l": lambda: numpy.log(random.dirichlet(numpy.full(shape[-1], 3.0), shape[:-1])),
        "b": lambda: random.integers(0, 2, shape),
        "q": lambda: random.integers(-2, 3, shape),
    }[kind]()
    return single(drawn), constant is None


def prepare(module, random):
    """No parameter stays at a special value, and no buffer at the one it began with."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(single(parameter.numpy() + 0.1 * random.standard_normal(tuple(parameter.shape))))
        for buffer in module.buffers():
            if buffer.is_floating_point():
                buffer.copy_(single(buffer.numpy() + random.uniform(0.05, 0.3, tuple(buffer.shape))))


def flatten(outputs):
    """All tensors of nested tuples, in their order."""
    if torch.is_tensor(outputs):
        return [outputs]
    return [] if outputs is None else [tensor for part in outputs for tensor in flatten(part)]


def call(module, names, inputs):
    """The module's outputs; an LSTM takes its states as a pair."""
    if isinstance(module, torch.nn.LSTM) and len(inputs) == 3:
        return module(inputs[0], tuple(inputs[1:]))
    placed = [tensor for name, tensor in zip(names, inputs) if name is None]
    return module(*placed, **{name: tensor for name, tensor in zip(names, inputs) if name is not None})


def input_names(module, names):
    """What a case says when an input is passed by its name: the names of all."""
    parameters = list(inspect.signature(module.forward).parameters)
    return ", ".join(name or parameters[i] for i, name in enumerate(names))


def record_module(text, mode, fields, random):
    if mode not in ("train", "eval"):
        raise ValueError(f"the mode is '{mode}', train or eval expected")
    module = eval(text, dict(MODULES)).double()  # the list is the caller's own
    prepare(module, random)
    module.train(mode == "train")
    inputs, names = [], []
    for field in fields:
        name, _, values = field.rpartition("=")
        names.append(name or None)
        tensor, wants_grad = draw(values, random)
        inputs.append(tensor.requires_grad_(wants_grad))
    tensors = {f"input.{i}": given(tensor) for i, tensor in enumerate(inputs)}
    tensors |= {f"param.{name}": given(tensor) for name, tensor in module.named_parameters()}
    tensors |= {f"buffer.{name}": given(tensor) for name, tensor in module.named_buffers()}

    outputs = flatten(call(module, names, inputs))
    grads = [single(random.standard_normal(tuple(y.shape)) if y.dim() > 0 else 1.0) for y in outputs]
    leaves = [tensor for tensor in inputs if tensor.requires_grad] + list(module.parameters())
    if leaves:
        torch.autograd.backward(outputs, grads)
    for i, (output, grad) in enumerate(zip(outputs, grads)):
        tensors[f"output.{i}"] = expected(output)
        tensors[f"grad_output.{i}"] = given(grad)
    tensors |= {f"grad.input.{i}": expected(x.grad) for i, x in enumerate(inputs) if x.grad is not None}
    tensors |= {f"grad.param.{name}": expected(p.grad) for name, p in module.named_parameters() if p.grad is not None}
    tensors |= {f"after.buffer.{name}": expected(buffer) for name, buffer in module.named_buffers()}
    metadata = {"kind": "module", "module": text, "mode": mode}
    if any(names):
        metadata["inputs"] = input_names(module, names)
    return tensors, metadata


def make(text, package, first):
    """Calls package.Name(first, arguments of the text)."""
    name, arguments = re.fullmatch(r"(\w+)\((.*)\)", text).groups()
    return eval(f"make(first, {arguments})", {"make": getattr(package, name), "first": first, "torch": torch})


def record_optimizer(text, steps, fields, random):
    parameters = [torch.nn.Parameter(draw(field, random)[0]) for field in fields]
    tensors = {f"param.{i}": given(parameter) for i, parameter in enumerate(parameters)}
    optimizer = make(text, torch.optim, parameters)
    for step in range(steps):
        for i, parameter in enumerate(parameters):
            parameter.grad = single(random.standard_normal(tuple(parameter.shape)))
            tensors[f"grad.{step}.{i}"] = given(parameter.grad)
        optimizer.step()
        tensors |= {f"after.{step}.{i}": expected(parameter) for i, parameter in enumerate(parameters)}
    return tensors, {"kind": "optimizer", "optimizer": text, "steps": str(steps)}


def record_schedule(text, steps, lr):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
    schedule = make(text, torch.optim.lr_scheduler, optimizer)
    group, values = optimizer.param_groups[0], {"lr": [], "momentum": []}
    for _ in range(steps):
        for key in values:
            values[key].append(group[key])
        optimizer.step()
        schedule.step()
    tensors = {key: numpy.array(column, numpy.float64) for key, column in values.items()}
    return tensors, {"kind": "schedule", "schedule": text, "lr": repr(lr), "steps": str(steps)}


def record(name, text, mode, inputs):
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    random = numpy.random.default_rng(seed)
    torch.manual_seed(seed)
    fields = [field.strip() for field in inputs.split(" ; ")]
    steps = re.fullmatch(r"steps\s+(\d+)", mode)
    if steps is None:
        return record_module(text, mode, fields, random)
    if inputs.startswith("lr "):
        return record_schedule(text, int(steps[1]), float(inputs[3:]))
    return record_optimizer(text, int(steps[1]), fields, random)


def read_list(path):
    """(line number, four fields) of every line that is a case."""
    for number, line in enumerate(pathlib.Path(path).read_text().splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            fields = [field.strip() for field in line.split("|")]
            if len(fields) != 4:
                sys.exit(f"{path}:{number}: {len(fields)} fields, 4 expected: NAME | TEXT | MODE | INPUTS")
            yield number, fields


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for number, fields in read_list(sys.argv[1]):
        try:
            tensors, metadata = record(*fields)
        except Exception as error:  # PyTorch's own are of many kinds
            sys.exit(f"{sys.argv[1]}:{number}: {fields[0]}: {type(error).__name__}: {error}")
        metadata |= {"format": FORMAT, "torch": torch.__version__.partition("+")[0]}
        contiguous = {key: numpy.array(value, order="C") for key, value in tensors.items()}
        save_file(contiguous, folder / f"{fields[0]}.safetensors", metadata=metadata)
        count += 1
    print(f"{count} cases in {folder}")


if __name__ == "__main__":
    main()
