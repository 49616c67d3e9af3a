"""Faults of elementwise.def, planted one in every other row at once: building and compiling them for each fault would take hours. A fault is
found when the tests of its own row turn red while those of some rows without a fault stay green; whatever else happens, it is planted alone."""
import itertools
import re

from alarm_lib import tree

TABLE = "include/clgrad/elementwise.def"
PROGRAM = "elementwise"
INNOCENT = 4  # rows without a fault whose tests run beside those of a batch: each compiles programs of its own
USED_BY_OTHERS = ("mul",)  # by the tests of the comparisons, whose rows have no gradient
ROW = re.compile(r"^CG_PROOF\((\w+), (\w+),", re.M)
ENDED = re.compile(r"\[(?:FAIL|----)\] (?:Warning! The test `)?elementwise::(\w+)")


def row_of(fault):
    return fault.function.removesuffix("_backward")


def fits(fault):
    """Whether a fault may be planted beside others."""
    return fault.file == TABLE and row_of(fault) not in USED_BY_OTHERS


def batches(faults):
    """One fault of every other row at most; the rows between are the innocent ones."""
    rows = {}
    for fault in faults:
        rows.setdefault(row_of(fault), []).append(fault)
    halves = list(rows.values())[::2], list(rows.values())[1::2]
    return [[fault for fault in turn if fault] for half in halves for turn in itertools.zip_longest(*half)]


def halves(batch):
    """What is tried instead of a batch that says nothing: two smaller ones, or the fault alone."""
    middle = (len(batch) + 1) // 2
    return [part for part in (batch[:middle], batch[middle:]) if part] if len(batch) > 1 else batch


def tests_of(source):
    """{row: the tests of tests/elementwise.def that are about it}"""
    found = {}
    for name, number in ROW.findall((source / "tests/elementwise.def").read_text()):
        found.setdefault(number.lower(), set()).add(name)
    return found


def planted(batch, text):
    for fault in sorted(batch, key=lambda fault: -fault.begin):
        text = text[:fault.begin] + fault.new + text[fault.end:]
    return text


def red_tests(output):
    """{test: its words}"""
    red, begun = {}, 0
    for match in ENDED.finditer(output):
        words = re.search(r"Assertion Failed\W+(\w[^\n]*)", output[begun:match.start()].replace("[----]", ""))
        red.setdefault(match.group(1), words.group(1).strip()[:300] if words else "crashed")
        begun = match.end()
    return red


def tests_for(batch, tests):
    """Those of the rows with a fault, and of some without."""
    guilty = {row_of(fault) for fault in batch}
    innocent = sorted(row for row in tests if row not in guilty)
    step = max(len(innocent) // INNOCENT, 1)
    return sorted(set().union(*(tests.get(row, set()) for row in [*guilty, *innocent[::step][:INNOCENT]])))


def found_on(worker, device, batch, tests, limit):
    """{fault: the words of the test that found it}; None when a row without a fault is red, or nothing can be said."""
    chosen = "|".join(f"{PROGRAM}/{name}" for name in tests_for(batch, tests))
    command = [str(worker.build_folder / f"tests/test_{PROGRAM}"), "-j1", "--color=never", f"--filter=@({chosen})"]
    status, output = tree.run(command, limit, env=worker.environment(device))
    if status is None or "Synthesis" not in output or "clBuildProgram" in output:
        return None
    red, guilty = red_tests(output), {row_of(fault) for fault in batch}
    if any(names & red.keys() for row, names in tests.items() if row not in guilty):
        return None
    name = {fault: next(iter(sorted(tests.get(row_of(fault), set()) & red.keys())), None) for fault in batch}
    return {fault: f"{PROGRAM} {PROGRAM}/{test}: {red[test]}" for fault, test in name.items() if test is not None}


def try_batch(worker, batch, text, devices, limit):
    """{fault: outcomes} of those that were found on every device; None when the batch says nothing."""
    worker.write(TABLE, planted(batch, text))
    try:
        if worker.build(["clgrad_opencl", f"test_{PROGRAM}"]) is not None:
            return None
        tests, outcomes = tests_of(worker.source), {fault: {} for fault in batch}
        for device in devices:
            found = found_on(worker, device, batch, tests, limit)
            if found is None:
                return None
            for fault, words in found.items():
                outcomes[fault][device] = {"outcome": "found", "why": words}
        return {fault: rows for fault, rows in outcomes.items() if len(rows) == len(devices)}
    finally:
        worker.write(TABLE, text)
        worker.forget()
