#!/usr/bin/env python3
"""peers.py [NAME...] --python PYTHON: clgrad beside PyTorch, or tinygrad, on the same work, in one run.

    peers.py --python venv/bin/python --device cpu                    the works that have a figure to reach
    peers.py 'conv*' matmul-1024 --python ... --pass forward          others, of `clgrad bench --list`
    peers.py --python ... --device cpu --device opencl:pocl --docs docs/performance.md
    peers.py mlp --python ... --peer tinygrad --device opencl:pocl    tinygrad takes the first OpenCL device that its loader finds

Both sides are processes that live as long as the run and wait for their turn: ours, theirs, ours, theirs, never at the same time, with a pause in which
the threads of the one that is done go to sleep. A turn is calls for --seconds, at least one, and gives their median. What is printed is the ratio of
the medians of all turns, PyTorch's time divided by ours, and the range from the 10th to the 90th percentile of the ratios of single turns.

PYTHON is a Python that has PyTorch (`python3 -m venv venv && venv/bin/pip install torch==2.13.0 numpy`). --docs writes the tables into a page, between
its two marks, with the machine, the versions and the command."""
import argparse
import fnmatch
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import time

import page

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORKERS = {peer: pathlib.Path(__file__).with_name(name) for peer, name in (("PyTorch", "torch_works.py"), ("tinygrad", "tinygrad_works.py"))}
MARKS = "<!-- written by tools/bench/peers.py -->", "<!-- the end of what it wrote -->"

# Speed as a multiple of PyTorch's: required and aimed at, on cpu and through OpenCL.
GOALS = {
    "headline": ((1.5, 2.0), (0.9, 1.2)),
    "mlp": ((1.4, 1.8), (0.9, 1.2)),
    "mlp-adam": ((1.6, 2.0), (1.0, 1.3)),
    "mlp-small": ((2.5, 4.0), (0.8, 1.2)),
    "lenet": ((1.7, 2.5), (0.9, 1.3)),
    "resnet": ((1.2, 1.6), (0.6, 0.9)),
    "conv3x3": ((1.1, 1.3), (0.6, 0.8)),
    "batchnorm": ((1.2, 2.0), (0.8, 1.2)),
    "maxpool": ((1.2, 2.0), (0.8, 1.2)),
    "xent": ((1.2, 2.0), (0.8, 1.2)),
    "adam": ((1.2, 2.0), (0.8, 1.2)),
}


class Side:
    """A process that measures when it is told to."""

    def __init__(self, what, command, environment):
        self.what = what
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # what it left on stderr says more
        return self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"peers.py: {self.what} ended with status {self.process.wait()}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Ours(Side):
    def __init__(self, command, device, seconds, environment):
        super().__init__(f"clgrad on {device}", [command, "bench", "--turns", "--device", device, "--seconds", str(seconds)], environment)

    def turn(self, work, each):
        return self.ask(f"{work['name']} {each}")


class Theirs(Side):
    def __init__(self, peer, python, seconds, environment):
        super().__init__(peer, [python, WORKERS[peer]], environment)
        self.seconds, self.about = seconds, self.answer()

    def turn(self, work, each):
        return self.ask(json.dumps({"work": work, "pass": each, "seconds": self.seconds}))


def at(values, share):
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def compare(ours, theirs, work, each, options):
    """A row: both medians and their ratio. The first pair of turns warms up and is dropped."""
    mine, other, device = [], [], ""
    for turn in range(options.turns + 1):
        for side, times in ((ours, mine), (theirs, other)):
            time.sleep(options.pause)
            answer = side.turn(work, each)
            device = answer.get("device", device)
            if turn > 0:
                times.append(answer["ms"])
    ratios = [b / a for a, b in zip(mine, other)]
    row = {"name": work["name"], "peer": options.peer, "pass": each, "device": device, "ms": statistics.median(mine), "peer_ms": statistics.median(other)}
    return dict(row, ratio=row["peer_ms"] / row["ms"], low=at(ratios, 0.1), high=at(ratios, 0.9), turns=options.turns)


def goals_of(row):
    if row["peer"] == "tinygrad":
        return (4.0, 4.0) if row["name"] == "mlp" else None
    pair = GOALS.get(row["name"]) if row["pass"] in ("both", "train", "step") else None
    return pair[1 if "opencl" in row["device"] else 0] if pair else None


def verdict(row):
    goals = goals_of(row)
    if not goals:
        return ""
    return "below" if row["ratio"] < goals[0] else "required" if row["ratio"] < goals[1] else "aimed at"


def print_row(row):
    goals = goals_of(row)
    wanted = f"{goals[0]:.1f}, {goals[1]:.1f}: {verdict(row)}" if goals else ""
    print(f"{row['name']:15} {row['pass']:8} {row['device']:26} {row['ms']:11.4f} {row['peer_ms']:11.4f} {row['ratio']:6.2f}  {row['low']:5.2f} to {row['high']:5.2f}  {wanted}", flush=True)


def passes_of(work, wanted):
    if wanted:
        return [each for each in wanted if each in work["passes"]]
    return ["both"] if "both" in work["passes"] else work["passes"]


def measure(options, works, environment):
    """All rows: a work on every device in turn, beside one process of PyTorch."""
    theirs = Theirs(options.peer, options.python, options.seconds, environment)
    sides = [Ours(options.command, device, options.seconds, environment) for device in options.device]
    rows = []
    print(f"{'name':15} {'pass':8} {'device':26} {'ours ms':>11} {options.peer + ' ms':>11} {'times':>6}  of single turns  required, aimed at", flush=True)
    for work in works:
        for each in passes_of(work, options.passes):
            for ours in sides:
                rows.append(compare(ours, theirs, work, each, options))
                print_row(rows[-1])
    for side in [theirs, *sides]:
        side.close()
    return rows, theirs.about


def peak_memory(what, command, environment, request):
    """Bytes of a process of its own that does one turn."""
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    process.stdin.write(request + "\n")
    process.stdin.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"peers.py: {what} ended with status {process.returncode}")
    return usage.ru_maxrss * 1024


def memory_of_trainings(options, works, environment):
    """{(work, side): bytes}, of those that are trainings; a side is a device or "PyTorch"."""
    found = {}
    for work in (work for work in works if "train" in work["passes"]):
        name = work["name"]
        request = json.dumps({"work": work, "pass": "train", "seconds": 0.001})
        found[name, "PyTorch"] = peak_memory("PyTorch", [options.python, WORKERS["PyTorch"]], environment, request)
        for device in options.device:
            command = [options.command, "bench", "--turns", "--device", device, "--seconds", "0.001"]
            found[name, device] = peak_memory(f"clgrad on {device}", command, environment, f"{name} train")
    return found


def memory_table(options, memory):
    sides = [*options.device, "PyTorch"]
    lines = ["| MB | " + " | ".join(f"`{side}`" if side != "PyTorch" else side for side in sides) + " |", "|---|" + "---|" * len(sides)]
    for name in dict.fromkeys(name for name, _ in memory):
        lines.append(f"| {name} | " + " | ".join(f"{memory[name, side] / 1e6:.0f}" for side in sides) + " |")
    return lines


def run_json(options, *arguments):
    done = subprocess.run([options.command, *arguments, "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"peers.py: clgrad {' '.join(arguments)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def choose(options):
    works = run_json(options, "bench", "--list")
    names = options.names or list(GOALS)
    for name in names:
        if not any(fnmatch.fnmatch(work["name"], name) for work in works):
            sys.exit(f"peers.py: there is no work '{name}'; clgrad bench --list shows all")
    return [work for work in works if any(fnmatch.fnmatch(work["name"], name) for name in names)]


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return os.uname().machine


def limits_table(options):
    lines = ["| device | driver | GFLOP/s | GB/s, 6 MiB | GB/s, 192 MiB | launch, us |", "|---|---|---|---|---|---|"]
    drivers = {one["device"]: one for one in run_json(options, "devices")}
    for device in options.device:
        rows = run_json(options, "bench", "limits", "--device", device)
        best = {row["pass"]: row for row in rows}
        peak = [f"{(row['flops'] or row['bytes']) / row['min_ms'] / 1e6:.0f}" if row else "-" for row in map(best.get, ("fma", "triad-6MiB", "triad-192MiB"))]
        name = rows[0]["device"]
        about = next((one for string, one in drivers.items() if string.split(",")[0] == name.split(",")[0]), {})
        lines.append(f"| `{name}` | {about.get('driver', '')} {about.get('driver_version', '')} | {' | '.join(peak)} | {best['launch']['min_ms'] * 1e3:.1f} |")
    return lines


def short(ms):
    return f"{ms:.0f}" if ms >= 1000 else f"{ms:.4g}"


def ratio_table(rows):
    devices = list(dict.fromkeys(row["device"] for row in rows))
    lines = ["| work | " + " | ".join(f"`{device}`" for device in devices) + " |", "|---|" + "---|" * len(devices)]
    for name, each in dict.fromkeys((row["name"], row["pass"]) for row in rows):
        cells = []
        for row in (row for row in rows if (row["name"], row["pass"]) == (name, each)):
            goals = goals_of(row)
            wanted = f"; {goals[0]}, {goals[1]}: {verdict(row)}" if goals else ""
            cells.append(f"**{row['ratio']:.2f}** ({row['low']:.2f} to {row['high']:.2f}; {short(row['ms'])} beside {short(row['peer_ms'])} ms{wanted})")
        lines.append(f"| {name}, {each} | " + " | ".join(cells) + " |")
    return lines


def section(options, rows, memory, about, before, seconds):
    version = subprocess.run([options.command, "--version"], capture_output=True, text=True).stdout.strip().splitlines()
    arguments = " ".join(shlex.quote(word) for word in options.given)
    load = ", ".join(f"{one:.1f}" for one in before)
    return [
        MARKS[0],
        f"Machine: {processor()}, {os.cpu_count()} processors, {os.uname().sysname} {os.uname().release}; load average before the run {load}. "
        f"{about['version']}, {about['threads']} threads; {'; '.join(line.strip() for line in version)}. {seconds:.0f} seconds, {options.turns} turns of {options.seconds} s each:",
        "",
        "```",
        f"tools/with-drivers tools/bench/peers.py {arguments}",
        "```",
        "",
        "What the devices do at most:",
        "",
        *limits_table(options),
        "",
        "PyTorch's time divided by clgrad's; in parentheses the 10th to the 90th percentile of single turns, both times, and the figures required and aimed at:",
        "",
        *ratio_table(rows),
        *([] if not memory else ["", "The most memory that a process which trains has resident, the driver, its compiler and the data included:", "", *memory_table(options, memory)]),
        MARKS[1],
    ]


def given_without_python(arguments):
    """The command as a page shows it: where a reader's Python lies is the reader's business."""
    given = [word for word in arguments]
    for i, word in enumerate(given):
        if word == "--python":
            given[i + 1] = "PYTHON"
        elif word.startswith("--python="):
            given[i] = "--python=PYTHON"
    return given


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="works or patterns; default: those with a figure to reach")
    parser.add_argument("--python", required=True, help="a Python that has the peer")
    parser.add_argument("--peer", choices=WORKERS, default="PyTorch", help="default: PyTorch")
    parser.add_argument("--command", default=ROOT / "build/release/clgrad", help="clgrad; default: the release build")
    parser.add_argument("--device", action="append", help="may be given several times; default: cpu")
    parser.add_argument("--pass", action="append", dest="passes", help="forward, backward, both, step or train; default: both where there is such")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch and of cpu; OpenCL drivers take all processors")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.1, help="of a turn")
    parser.add_argument("--pause", type=float, default=0.02, help="between turns, in seconds")
    parser.add_argument("--memory", action="store_true", help="also the peak memory of each training, in processes of their own")
    parser.add_argument("--json", type=pathlib.Path, help="also write the rows to this file")
    parser.add_argument("--docs", type=pathlib.Path, help="write the tables into this page, between its marks")
    options = parser.parse_intermixed_args(arguments)
    if options.peer != "PyTorch" and (options.docs or options.memory):
        parser.error("--docs and --memory are of PyTorch")
    if options.turns < 1 or options.threads < 1:
        parser.error("--turns and --threads are at least 1")
    options.device = options.device or ["cpu"]
    options.given = given_without_python(arguments)
    return options


def main():
    options = parse(sys.argv[1:])
    environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads))
    if options.docs:
        page.read(options.docs, MARKS)  # before minutes are spent
    before, begin = os.getloadavg(), time.monotonic()
    works = choose(options)
    rows, about = measure(options, works, environment)
    memory = memory_of_trainings(options, works, environment) if options.memory else {}
    if memory:
        print("", *memory_table(options, memory), sep="\n")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if options.docs:
        page.write(options.docs, MARKS, section(options, rows, memory, about, before, time.monotonic() - begin))


if __name__ == "__main__":
    main()
