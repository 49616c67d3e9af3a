"""What a run found, a line of JSON each, written at once: a run that was stopped goes on from there. The page for people; and beside it
the keys of what was found, so that another machine goes on from there, too, and tries again only what is in a file that has changed."""
import hashlib
import json
import time
from collections import Counter

from alarm_lib.faults import KINDS

OUTCOMES = ("found", "equivalent", "unused", "does not build", "survived")


def key(fault, text):
    """A result holds as long as the file is the same."""
    return hashlib.sha256((fault.key() + "\0" + text).encode()).hexdigest()[:24]


def read_found(path, faults):
    """{key: result} of the faults, by key, that the file says were found, a key and devices a line; and the seconds that the first line says."""
    results, lines = {}, path.read_text().splitlines() if path.exists() else ["0 seconds"]
    for fault_key, *devices in map(str.split, lines[1:]):
        if fault_key in faults:
            rows = {device: {"outcome": "found", "why": f"found by an earlier run: {path.name}"} for device in devices}
            results[fault_key] = result_of(fault_key, faults[fault_key], rows, 0)
    return results, float(lines[0].split()[0])


def write_found(path, results, seconds):
    lines = [" ".join([result["key"], *result["devices"]]) for result in results
             if all(row["outcome"] == "found" for row in result["devices"].values())]
    path.write_text("\n".join([f"{seconds:.0f} seconds", *sorted(lines)]) + "\n")


def result_of(fault_key, fault, devices, seconds):
    return {"key": fault_key, "text": str(fault), "file": fault.file, "kind": fault.kind, "devices": devices, "seconds": round(seconds, 1)}


class Record:
    def __init__(self, path, goes_on, results=()):
        self.path, self.results = path, dict(results)
        path.parent.mkdir(parents=True, exist_ok=True)
        if goes_on and path.exists():
            for line in path.read_text().splitlines():
                try:
                    result = json.loads(line)
                except ValueError:  # the run was killed while it wrote
                    continue
                self.results[result["key"]] = result
        torn = goes_on and path.exists() and not path.read_text().endswith("\n")
        self.file = path.open("a" if goes_on else "w")
        self.file.write("\n" if torn else "")

    def done(self, fault_key):
        """A survivor is tried again: there may be a test for it by now."""
        result = self.results.get(fault_key)
        return result is not None and all(row["outcome"] != "survived" for row in result["devices"].values())

    def add(self, fault_key, fault, devices, seconds):
        result = result_of(fault_key, fault, devices, seconds)
        self.results[fault_key] = result
        self.file.write(json.dumps(result) + "\n")
        self.file.flush()


def table(title, groups, results, of):
    lines = [f"| {title} | " + " | ".join(OUTCOMES) + " |", "|---" * (len(OUTCOMES) + 1) + "|"]
    counts = Counter()
    for result in results:
        for device, row in result["devices"].items():
            counts[of(result, device), row["outcome"]] += 1
    return lines + [f"| {group} | " + " | ".join(str(counts[group, outcome]) for outcome in OUTCOMES) + " |" for group in groups
                    if any(counts[group, outcome] for outcome in OUTCOMES)]


def listed(results, outcome):
    return [f"* `{result['text'].replace('`', ' ')}`, {device}: {row['why']}" for result in results
            for device, row in result["devices"].items() if row["outcome"] == outcome]


def page(results, planned, command, seconds):
    files = sorted({result["file"] for result in results})
    devices = sorted({device for result in results for device in result["devices"]})
    state = "all" if len(results) == planned else f"{len(results)} of {planned}"
    lines = ["# The alarm", "", f"Faults planted one by one in the text of backward rules and kernels, and what the tests said (`docs/design.md`). Printed by `{command}`:",
             f"{state} faults in {seconds / 60:.0f} minutes, {seconds / max(len(results), 1):.1f} s each. A fault on a device is one line of a count.", ""]
    lines += table("kind", KINDS, results, lambda result, _: result["kind"]) + [""]
    lines += table("device", devices, results, lambda _, device: device) + [""]
    lines += table("file", files, results, lambda result, _: result["file"])
    for title, outcome in (("Not found", "survived"), ("Equivalent: it cannot change a result", "equivalent"),
                           ("In no program that these devices compile", "unused"), ("Does not build", "does not build")):
        lines += ["", f"## {title}", ""] + (listed(results, outcome) or ["None."])
    return "\n".join(lines) + "\n"


def summary(results):
    counts = Counter(row["outcome"] for result in results for row in result["devices"].values())
    return f"{len(results)} faults: " + ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES)


class Clock:
    """The time that a run takes, and took before it was stopped."""

    def __init__(self, path, goes_on, elsewhere=0.0):
        self.path, self.begun = path, time.monotonic()
        self.before = float(path.read_text()) if goes_on and path.exists() else elsewhere

    def seconds(self):
        return self.before + time.monotonic() - self.begun

    def save(self):
        self.path.write_text(f"{self.seconds():.1f}\n")
