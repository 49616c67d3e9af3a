"""The faults that cannot change a result, each with the reason: tests/alarm_equivalents.toml. An entry names a fault by the file, the kind and
the line before and after, so that it holds where lines are added and goes when the line is changed."""
import tomllib
from dataclasses import dataclass

from alarm_lib.faults import KINDS

FIELDS = {"file", "kind", "old", "new", "reason"}
OPTIONAL = {"function", "devices"}


@dataclass(frozen=True)
class Entry:
    file: str
    kind: str
    old: str
    new: str
    reason: str
    devices: tuple  # empty: on none does it change a result
    function: str   # empty: in any

    def fits(self, fault):
        same = (self.file, self.kind, self.old, self.new) == (fault.file, fault.kind, fault.old_line, fault.new_line)
        return same and self.function in ("", fault.function)


def read(text):
    entries = []
    for row in tomllib.loads(text).get("equivalent", []):
        wrong = set(row) - FIELDS - OPTIONAL or FIELDS - set(row)
        if wrong or row["kind"] not in KINDS or not row["reason"].strip():
            raise ValueError(f"an entry needs file, kind (one of {', '.join(KINDS)}), old, new, reason, and may have function and devices: {row}")
        entries.append(Entry(row["file"], row["kind"], row["old"], row["new"], row["reason"], tuple(row.get("devices", ())), row.get("function", "")))
    return entries


def stale(entries, faults):
    """The entries that fit no fault any more."""
    return [entry for entry in entries if not any(entry.fits(fault) for fault in faults)]


def reason(entries, fault, device):
    """Why the fault changes nothing on the device, or None."""
    for entry in entries:
        if entry.fits(fault) and (not entry.devices or device in entry.devices):
            return entry.reason
    return None
