"""Runs tests on a device until one is red: those first that concern the fault, by name and by what found its neighbours."""
import re
import threading
from collections import Counter, defaultdict

from alarm_lib import tree

# What finds a fault, in this order: programs of tests/ that are about ops. One that is new joins behind them when it is about a device.
PROGRAMS = ("ops", "layers", "gradients", "optimizers", "graphs", "kernels", "kernels_cpu", "host_backends")
FEW = ("ops", "layers", "gradients", "optimizers", "kernels")  # a sample builds no more
# About a device, but not about what an op of ours computes; CLBlast compiles its kernels for minutes.
OTHERS = ("checkpoint", "clblast", "decorators", "init", "loader", "options", "tape", "train")
HOST = ("kernels_cpu", "host_backends")  # the cpu backend and the reference, whatever the device of the test
CASES = "cases"  # what PyTorch recorded, by `clgrad verify`
STEPS = (4, 24)  # how many tests the first two rounds run; the third runs all
TOGETHER = 40    # names in a filter: Criterion 2.4 ends on more than a hundred, before any test, and matches many slowly
SYNTHESIS = re.compile(r"Tested: \D*(\d+).*Failing: \D*(\d+).*Crashing: \D*(\d+)")
FAILED = re.compile(r"\[FAIL\] (\w+)::(\w+)|(\w+)::(\w+): .*(?:[Cc]rash|[Tt]imed? ?out|[Ss]ignal)")


def about_devices(path):
    return '#include "devices.h"' in path.read_text()


def parts(names):
    """Names, as many together as one filter takes."""
    return [names[i:i + TOGETHER] for i in range(0, len(names), TOGETHER)]


class Red:
    """The test that found a fault, and its words."""

    def __init__(self, program, name, why):
        self.program, self.name, self.why = program, name, why

    def __str__(self):
        return f"{self.program} {self.name}: {self.why}"


class Suite:
    """The tests of a tree. Workers share one, so that each learns from what the others found."""

    def __init__(self, first, few, without=(), limit=180):
        self.limit = limit  # seconds for the tests of one program
        self.tests = {}  # program: [suite/test]
        self.found_by = defaultdict(Counter)  # function or file: tests that found faults in it
        self.lock = threading.Lock()
        programs = {path.stem[len("test_"):]: path for path in sorted((first.source / "tests").glob("test_*.c"))}
        self.programs = [name for name in PROGRAMS if name in programs]
        self.programs += [name for name, path in programs.items() if name not in PROGRAMS + OTHERS and about_devices(path)] + [CASES]
        self.programs = [name for name in self.programs if name not in without and (name in FEW or not few)]

    def of(self, device):
        return [name for name in self.programs if not (device.startswith("opencl") and name in HOST)]

    @staticmethod
    def target(program):
        return "clgrad_command" if program == CASES else f"test_{program}"

    def targets(self):
        return ["clgrad_opencl"] + [self.target(program) for program in self.programs]

    def list_tests(self, built):
        for program in self.programs:
            self.tests[program] = [f"cases/{path.stem}" for path in sorted((built.source / "tests/cases").glob("*.safetensors"))] \
                if program == CASES else self.criterion_tests(built, program)
            if not self.tests[program]:
                raise SystemExit(f"alarm: test_{program} lists no test")

    def criterion_tests(self, built, program):
        output = tree.run([str(built.build_folder / f"tests/test_{program}"), "--list"], 60, env=built.environment("cpu"))[1]
        group, names = "", []
        for line in re.sub(r"\x1b\[[0-9;]*m", "", output).splitlines():
            heading, row = re.match(r"(\w+): ", line), re.search(r"── (\w+)", line)
            group = heading.group(1) if heading else group
            names += [f"{group}/{row.group(1)}"] if row else []
        return names

    @staticmethod
    def places(fault):
        """Where a fault is, from near to far: what found one there is likely to find the next one."""
        file = fault.file.replace(".def", "")
        return (fault.function.replace("_backward", ""), file), file

    def ranked(self, fault, device):
        """Every (program, test), the likeliest to find this fault first."""
        stem = re.sub(r"^(cg|cpu|ref|row|emit)_|_(backward\w*|step|rows|columns|cpu|gpu|value|gradient)$", "", fault.function)
        family = re.sub(r"_(cpu|gpu|blocked|vector|library|tile)$", "", fault.file.rsplit("/", 1)[-1].split(".")[0])
        near, far = self.places(fault)
        items = []
        with self.lock:
            for rank, program in enumerate(self.of(device)):
                for place, name in enumerate(self.tests[program]):
                    words, found = name.split("/")[1], (program, name)
                    points = 100 * (self.found_by[near][found] > 0) + 10 * (self.found_by[far][found] > 0)
                    points += min(self.found_by[near][found], 9) + min(self.found_by[far][found], 9)
                    points += 60 * (words == stem) + 20 * (len(stem) > 1 and stem in words) + 12 * (family in words)
                    points += 5 * (family in program) - rank
                    items.append((-points, rank, place, program, name))
        return [(program, name) for _, _, _, program, name in sorted(items)]

    def learn(self, fault, red):
        with self.lock:
            for place in self.places(fault):
                self.found_by[place][red.program, red.name] += 1

    def command(self, built, program, names, device):
        if program == CASES:
            files = [str(built.source / f"tests/{name}.safetensors") for name in names]
            return [str(built.build_folder / "clgrad"), "verify", *files, "--device", device]
        command = [str(built.build_folder / f"tests/test_{program}"), "--fail-fast", "-j1", "--color=never"]
        return command + (["--filter=@(" + "|".join(names) + ")"] if len(names) < len(self.tests[program]) else [])

    def run(self, built, program, names, device, limit=None):
        """Runs these tests of one program, one process after another; what is red, or None."""
        whole = program == CASES or len(names) == len(self.tests[program])
        for part in [names] if whole else parts(names):
            red = self.run_part(built, program, part, device, limit)
            if red is not None:
                return red
        return None

    def run_part(self, built, program, names, device, limit):
        command = self.command(built, program, names, device)
        few = len(names) <= max(STEPS)  # a fault can make a loop endless: a third of the time is enough for them
        status, output = tree.run(command, limit or self.limit / (3 if few else 1), env=built.environment(device))
        if status is None:
            return Red(program, names[0], "ran into its time limit")
        if "clBuildProgram" in output:
            return Red(program, names[0], "does not compile: " + " ".join(output[output.index("clBuildProgram"):].split())[:400])
        if "no test was run" in output:
            raise SystemExit(f"alarm: {' '.join(command)} on {device} ran no test:\n{output[-2000:]}")
        if program == CASES:
            return self.judge_cases(status, output, names)
        counts = SYNTHESIS.search(output)
        if status == 0 and counts and counts.group(2) == counts.group(3) == "0":
            return None
        if not counts and not FAILED.search(output):
            raise SystemExit(f"alarm: {' '.join(command)} on {device} ended before its tests:\n{output[-2000:]}")
        return self.judge_criterion(program, output, names)

    def judge_criterion(self, program, output, names):
        failed = FAILED.search(output)
        name = "/".join(filter(None, failed.groups())) if failed else ""
        words = re.search(r"Assertion Failed\W+(\w[^\n]*)", output.replace("[----]", "")) or re.search(r"\[FAIL\]([^\n]*)", output)
        return Red(program, name if name in self.tests[program] else names[0], (words.group(1) if words else output[-200:]).strip()[:300])

    def judge_cases(self, status, output, names):
        line = next((line for line in output.splitlines() if line.startswith("FAIL")), None)
        if status == 0 and line is None:
            return None
        name = "cases/" + line.split()[1].split(".")[0] if line else ""
        return Red(CASES, name if name in names else names[0], " ".join((line or output[-200:]).split())[:300])

    def first_red(self, built, fault, device, prepare):
        """What finds the fault, or None. `prepare(program)` builds a program before it is run; False: stop."""
        ranked, at = self.ranked(fault, device), 0
        for size in (*STEPS, len(ranked)):
            groups = defaultdict(list)
            for program, name in ranked[at:size]:
                groups[program].append(name)
            for program, names in groups.items():
                red = self.run(built, program, names, device) if prepare(program) else None
                if red is not None:
                    self.learn(fault, red)
                    return red
            at = size
        return None
