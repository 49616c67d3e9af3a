"""Which profile uses a line of a kernel file: that of a program whose preprocessed text it changes. The programs, with their defines, are those
that the tests compiled: the cache on disk has the options and the text of each."""
import re
import struct
import subprocess
import tempfile
import pathlib
from collections import defaultdict

HEADER = struct.Struct("<8s3Q3Q")  # src/backends/opencl/cache.c
INCLUDE = re.compile(r'^#include "(\w+\.(?:cl|def))"', re.M)


def programs(cache):
    """{profile: {kernel file: set of defines}} of PoCL's programs in a cache folder, which other drivers may share."""
    found = defaultdict(lambda: defaultdict(set))
    for path in cache.glob("opencl-*.bin"):
        data = path.read_bytes()
        _, identity, options, source, *_ = HEADER.unpack_from(data)
        at = HEADER.size + identity
        if b"PoCL" not in data[HEADER.size:at]:
            continue
        text = data[at:at + options + source].decode(errors="replace")
        defines = tuple(re.findall(r"-D\S+", text[:options]))
        name = re.match(r'#line 1 "([^"]+)"', text[options:])
        if name:
            found["cpu" if "-DCG_CPU=1" in defines else "gpu"][name.group(1)].add(defines)
    return found


class Variants:
    def __init__(self, top, cache):
        self.top, self.programs, self.known = top, programs(cache), {}
        self.folders = ("cl", "include/clgrad")

    def includes(self, name):
        for folder in self.folders:
            path = self.top / folder / name
            if path.exists():
                return {name}.union(*(self.includes(other) for other in INCLUDE.findall(path.read_text())))
        return {name}

    def preprocessed(self, name, defines, first=None):
        where = [first] if first else []
        where += [self.top / folder for folder in self.folders]
        path = next(folder / name for folder in where if (folder / name).exists())
        flags = [f"-I{folder}" for folder in where]
        return subprocess.run(["cc", "-E", "-P", "-x", "c", "-undef", "-nostdinc", *flags, *defines, str(path)],
                              capture_output=True, text=True).stdout

    def profiles(self, fault):
        """The profiles whose programs the fault is part of."""
        if not fault.file.startswith("cl/"):
            return ["cpu", "gpu"]
        with tempfile.TemporaryDirectory() as folder:
            folder, name = pathlib.Path(folder), fault.file.split("/")[-1]
            for path in (self.top / "cl").glob("*.cl"):  # a quoted include is looked for beside its file first
                (folder / path.name).write_text(path.read_text())
            text = (self.top / fault.file).read_text()
            (folder / name).write_text(text[:fault.begin] + fault.new + text[fault.end:])
            return [profile for profile in ("cpu", "gpu") if self.differs(folder, name, profile)]

    def differs(self, folder, name, profile):
        for main, all_defines in self.programs[profile].items():
            if name not in self.includes(main):
                continue
            for defines in sorted(all_defines):
                key = main, defines
                if key not in self.known:
                    self.known[key] = self.preprocessed(main, defines)
                if self.preprocessed(main, defines, folder) != self.known[key]:
                    return True
        return False
