"""PyTorch's side of peers.py: does the works of `clgrad bench` when it is told to. Run by the Python that has PyTorch.

Each line of standard input is {"work": a row of `clgrad bench --list --json`, "pass": ..., "seconds": ...}; the answer is a line {"calls", "ms"}, the
median of calls for that long, times of a training those of an epoch. The first turn of a pass makes one call more before, untimed: as `clgrad bench
--turns` does. The first line of the output says what is here: {"version", "threads"}.

Eager mode, PyTorch's defaults. Gradients come from torch.autograd.grad where a single op is measured: nothing is accumulated or hooked. A training is
the loop of PyTorch's tutorials, on slices of one tensor, with gradients set to None."""
import json
import os
import statistics
import sys
import time

import torch
from torch import nn


class Residual(nn.Module):
    """body(x) + x, as clgrad writes it."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(x) + x


NAMES = dict(vars(nn), torch=torch, Residual=Residual)


def make_module(text):
    made = eval(text, NAMES)  # the command's own table
    return nn.Sequential(*made) if isinstance(made, tuple) else made


class Runner:
    """One work, ready to be called again and again."""

    def __init__(self, work):
        self.work, self.next, self.warm = work, 0, set()
        torch.manual_seed(0)
        self.module = make_module(work["module"]) if work["module"] else None
        self.function = self.module or eval(work["call"], NAMES)
        self.loss = make_module(work["loss"]) if work["loss"] else None
        parameters = list(self.module.parameters()) if self.module else []
        if work["optimizer"]:
            name, arguments = work["optimizer"].split("(", 1)
            self.optimizer = eval(f"torch.optim.{name}(parameters, {arguments}", {"torch": torch, "parameters": parameters})
        self.inputs = [self.make_input(i) for i in range(len(work["inputs"]))]
        self.wanted = [x for x in self.inputs if x.requires_grad] + parameters
        self.grad_output = self.make_grad_output()

    def make_input(self, i):
        work, last = self.work, i + 1 == len(self.work["inputs"])
        shape = list(work["inputs"][i])
        if work["images"]:
            shape[0] = work["images"]
        if last and work["classes"]:
            return torch.randint(0, work["classes"], shape)
        x = torch.randn(shape)
        target = i > 0 and last and work["loss"]
        return x.requires_grad_(not target and not work["optimizer"] and not (i == 0 and work["data"]))

    def make_grad_output(self):
        if self.work["images"]:
            return None
        with torch.no_grad():
            output = self.compute(self.inputs)
        return None if output.numel() == 1 else torch.randn_like(output)

    def compute(self, inputs):
        return self.loss(self.function(*inputs[:-1]), inputs[-1]) if self.loss else self.function(*inputs)

    def forward(self):
        begin = time.perf_counter()
        with torch.no_grad():
            self.compute(self.inputs)
        return time.perf_counter() - begin

    def backward(self):
        output = self.compute(self.inputs)
        begin = time.perf_counter()
        torch.autograd.grad(output, self.wanted, self.grad_output)
        return time.perf_counter() - begin

    def both(self):
        begin = time.perf_counter()
        torch.autograd.grad(self.compute(self.inputs), self.wanted, self.grad_output)
        return time.perf_counter() - begin

    def step(self):
        self.optimizer.zero_grad()
        self.compute(self.inputs).backward()
        begin = time.perf_counter()
        self.optimizer.step()
        return time.perf_counter() - begin

    def train(self):
        work, (images, classes) = self.work, self.inputs
        batch = work["inputs"][0][0]
        begin = time.perf_counter()
        for _ in range(work["steps"]):
            loss = self.compute([images[self.next : self.next + batch], classes[self.next : self.next + batch]])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.next = self.next + batch if self.next + 2 * batch <= work["images"] else 0
        return (time.perf_counter() - begin) * work["images"] / (work["steps"] * batch)

    def turn(self, each, seconds):
        call, times = getattr(self, each), []
        if each not in self.warm:
            call()
            self.warm.add(each)
        begin = time.perf_counter()
        while not times or time.perf_counter() - begin < seconds:
            times.append(call())
        return {"calls": len(times), "ms": statistics.median(times) * 1e3}


def say(answer):
    print(json.dumps(answer), flush=True)


def main():
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    say({"version": f"PyTorch {torch.__version__}", "threads": torch.get_num_threads()})
    runner = None
    for line in sys.stdin:
        turn = json.loads(line)
        if runner is None or runner.work["name"] != turn["work"]["name"]:
            runner = None  # frees what the last one held
            runner = Runner(turn["work"])
        say(runner.turn(turn["pass"], turn["seconds"]))


if __name__ == "__main__":
    main()
