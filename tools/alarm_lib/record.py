"""What a run found, a line of JSON each, written at once: a run that was stopped goes on from there. And the page for people."""
import hashlib
import json
import time
from collections import Counter

from alarm_lib.faults import KINDS

OUTCOMES = ("found", "equivalent", "unused", "does not build", "survived")


def key(fault, text):
    """A result holds as long as the file is the same."""
    return hashlib.sha256((fault.key() + "\0" + text).encode()).hexdigest()[:24]


class Record:
    def __init__(self, path, goes_on):
        self.path, self.results = path, {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if goes_on and path.exists():
            for line in path.read_text().splitlines():
                try:
                    result = json.loads(line)
                except ValueError:  # the run was killed while it wrote
                    continue
                self.results[result["key"]] = result
        torn = bool(self.results) and not path.read_text().endswith("\n")
        self.file = path.open("a" if goes_on else "w")
        self.file.write("\n" if torn else "")

    def done(self, fault_key):
        """A survivor is tried again: there may be a test for it by now."""
        result = self.results.get(fault_key)
        return result is not None and all(row["outcome"] != "survived" for row in result["devices"].values())

    def add(self, fault_key, fault, devices, seconds):
        result = {"key": fault_key, "text": str(fault), "file": fault.file, "kind": fault.kind, "devices": devices, "seconds": round(seconds, 1)}
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

    def __init__(self, path, goes_on):
        self.path, self.begun = path, time.monotonic()
        self.before = float(path.read_text()) if goes_on and path.exists() else 0.0

    def seconds(self):
        return self.before + time.monotonic() - self.begun

    def save(self):
        self.path.write_text(f"{self.seconds():.1f}\n")
