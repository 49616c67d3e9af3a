"""tinygrad's side of `peers.py --peer tinygrad`: the trainings of linear layers with ReLU among the works of `clgrad bench`. Run by a Python that has it.

Speaks as torch_works.py does, of the pass "train" alone. One step, forward, backward and the optimizer, is a TinyJit; its batches are tensors of their own from the beginning, so
that nothing is sliced, copied or compiled between steps. The first turn makes three calls more before, untimed: tinygrad compiles in the first two."""
import importlib.metadata
import json
import os
import re
import statistics
import sys
import time

import numpy

os.environ.setdefault("DEV", "CL")
os.environ["TRAINING"] = "1"  # its optimizers want it
from tinygrad import Tensor, TinyJit, nn

JIT_CALLS = 3  # the first runs op by op, the second records, the third compiles what is left


def make_layers(text):
    """`Linear(784, 512), ReLU(), Linear(512, 10)` as tinygrad writes it."""
    layers = []
    for name, arguments in re.findall(r"(\w+)\(([^()]*)\)", text):
        if name == "Linear":
            layers.append(nn.Linear(*map(int, arguments.split(","))))
        elif name == "ReLU":
            layers.append(Tensor.relu)
        else:
            sys.exit(f"tinygrad_works.py: has no {name}: only Linear and ReLU")
    return layers


def make_optimizer(text, parameters):
    name, arguments = re.fullmatch(r"(\w+)\((.*)\)", text).groups()
    numbers = {key: float(value) for key, value in re.findall(r"(\w+)=([\d.e-]+)", arguments)}
    return {"SGD": nn.optim.SGD, "Adam": nn.optim.Adam}[name](parameters, **numbers)


class Runner:
    """One training, ready to go on."""

    def __init__(self, work):
        self.work, self.next = work, 0
        self.layers = make_layers(work["module"])
        linear = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        self.optimizer = make_optimizer(work["optimizer"], [x for layer in linear for x in (layer.weight, layer.bias)])
        self.batches = self.make_batches(*work["inputs"][0])
        self.jit = TinyJit(self.one_step)
        for _ in range(JIT_CALLS):
            self.step()

    def make_batches(self, batch, columns):
        draw = numpy.random.default_rng(0)
        x = draw.standard_normal((self.work["images"], columns), dtype=numpy.float32)
        y = draw.integers(self.work["classes"], size=self.work["images"], dtype=numpy.int32)
        starts = range(0, self.work["images"] - batch + 1, batch)
        return [(Tensor(x[i : i + batch]).realize(), Tensor(y[i : i + batch]).realize()) for i in starts]

    def one_step(self, x, y):
        self.optimizer.zero_grad()
        loss = x.sequential(self.layers).sparse_categorical_crossentropy(y).backward()
        return loss.realize(*self.optimizer.schedule_step())

    def step(self):
        loss = self.jit(*self.batches[self.next])
        self.next = (self.next + 1) % len(self.batches)
        return loss

    def train(self):
        """Seconds of an epoch."""
        begin = time.perf_counter()
        for _ in range(self.work["steps"]):
            loss = self.step()
        loss.item()
        return (time.perf_counter() - begin) * self.work["images"] / (self.work["steps"] * self.work["inputs"][0][0])

    def turn(self, seconds):
        times, begin = [], time.perf_counter()
        while not times or time.perf_counter() - begin < seconds:
            times.append(self.train())
        return {"calls": len(times), "ms": statistics.median(times) * 1e3}


def about():
    return {"version": f"tinygrad {importlib.metadata.version('tinygrad')}", "threads": int(os.environ["OMP_NUM_THREADS"])}


def say(answer):
    print(json.dumps(answer), flush=True)


def main():
    say(about())
    runner = None
    for line in sys.stdin:
        turn = json.loads(line)
        if runner is None or runner.work["name"] != turn["work"]["name"]:
            runner = None
            runner = Runner(turn["work"])
        say(runner.turn(turn["seconds"]))


if __name__ == "__main__":
    main()
