"""A copy of the source tree, built on its own: faults are planted there, never in the checkout."""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
STATE = TOP / "build" / "alarm"
LIMIT_OF_BUILD = 900
CACHES = ("clgrad-cache", "pocl-cache")
# -O1: what is compiled for each fault, is compiled sooner. No library: our own matrix products are what is tried.
SETTINGS = ("-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_C_FLAGS_RELEASE=-O1", "-DCLGRAD_BLAS=none", "-DCLGRAD_TESTS=ON", "-DCLGRAD_WERROR=OFF")

running = set()


def run(command, limit, **options):
    """(exit status, output); None for a command that ran into its limit. It and its children end with us."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                               start_new_session=True, **options)
    running.add(process.pid)
    try:
        output = process.communicate(timeout=limit)[0]
        return process.returncode, output
    except subprocess.TimeoutExpired:
        end(process.pid)
        return None, process.communicate()[0]
    finally:
        end(process.pid)
        running.discard(process.pid)


def end(group):
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def end_all():
    for group in list(running):
        end(group)


@contextlib.contextmanager
def locked():
    """One alarm at a time: they share the trees."""
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit(f"alarm: another one is at work in {STATE}") from None
        yield


def files_of(top):
    names = subprocess.run(["git", "-C", str(top), "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True)
    return [name for name in names.stdout.splitlines() if (top / name).is_file()]


def fingerprint(built, tests):
    """Of what the tests without a fault depend on, and which they were."""
    names = [path for top in ("src", "include", "cl", "tests") for path in sorted((built.source / top).rglob("*")) if path.is_file()]
    digest = hashlib.sha256(repr(tests).encode())
    for path in names:
        if path.suffix not in (".toml", ".py"):
            digest.update(str(path.relative_to(built.source)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def was_green(built, tests):
    """Whether these tests were green with these sources already, in the run that this one continues."""
    stamp = STATE / "green"
    return stamp.exists() and stamp.read_text() == fingerprint(built, tests)


def note_green(built, tests):
    (STATE / "green").write_text(fingerprint(built, tests))


class Tree:
    """One worker's copy: STATE/NAME/source, built in STATE/NAME/build."""

    def __init__(self, name):
        self.folder = STATE / name
        self.source, self.build_folder = self.folder / "source", self.folder / "build"
        self.kept, self.list_of_kept = set(), self.folder / "kept"

    def sync(self):
        """Makes the copy the same as the checkout; a file that is the same already stays as old as it is."""
        names = files_of(TOP)
        if self.source.exists():
            for path in [path for path in self.source.rglob("*") if path.is_file()]:
                if str(path.relative_to(self.source)) not in set(names):
                    path.unlink()
        for name in names:
            to = self.source / name
            if not to.exists() or to.read_bytes() != (TOP / name).read_bytes():
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(TOP / name, to)
                shutil.copymode(TOP / name, to)

    def configure(self):
        status, output = run(["cmake", "-S", str(self.source), "-B", str(self.build_folder), "-G", "Ninja", *SETTINGS], LIMIT_OF_BUILD)
        if status != 0:
            raise SystemExit(f"alarm: cmake failed in {self.build_folder}:\n{output}")

    def build(self, targets, jobs=1):
        """None when it was built, else the compiler's words, with the names of files as they are in the checkout."""
        status, output = run(["ninja", "-C", str(self.build_folder), f"-j{jobs}", *targets], LIMIT_OF_BUILD)
        return None if status == 0 else output.replace(f"{self.source}/", "")

    def plant(self, fault, text):
        """`text` is the file without the fault: the checkout may be another one by now."""
        self.write(fault.file, text[:fault.begin] + fault.new + text[fault.end:])

    def restore(self, fault, text):
        self.write(fault.file, text)

    def write(self, name, text):
        """A table stays as old as it was, and what uses its formulas becomes newer: headers include it too, for its names alone, so that
        all would be built anew."""
        path = self.source / name
        age = path.stat()
        path.write_text(text)
        if path.suffix == ".def":
            os.utime(path, ns=(age.st_atime_ns, age.st_mtime_ns))
            for user in self.users(path.name):
                os.utime(user)

    def users(self, table):
        include = re.compile(rf'^#include [<"](?:\w+/)*{re.escape(table)}[>"]', re.M)
        paths = [*self.source.glob("src/**/*.c"), *self.source.glob("cl/*.cl")]
        return [path for path in paths if include.search(path.read_text())]

    def cached(self):
        """What stands in the caches of compiled kernels."""
        found = set()
        for cache in CACHES:
            folder = self.build_folder / cache
            for path in list(folder.glob("*")) + list(folder.glob("??/*")):
                if path.is_file() or path.parent != folder:
                    found.add(path)
        return found

    def keep(self):
        """Everything was green: what stands in the caches now is whole."""
        self.kept = self.cached()
        self.list_of_kept.write_text("\n".join(str(path.relative_to(self.build_folder)) for path in sorted(self.kept)))

    def forget(self):
        """Removes what a fault left in the caches, so that they do not grow without end."""
        for path in self.cached() - self.kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def forget_torn(self):
        """The same for a run that was stopped, maybe in the middle of writing: drivers fall over half an entry."""
        names = self.list_of_kept.read_text().splitlines() if self.list_of_kept.exists() else []
        self.kept = {self.build_folder / name for name in names}
        self.forget()

    def take_caches(self, build_folder):
        for cache in CACHES:
            if (build_folder / cache).exists():
                shutil.copytree(build_folder / cache, self.build_folder / cache, dirs_exist_ok=True)

    def environment(self, device):
        where = self.build_folder
        known = {"CLGRAD_BACKEND_PATH": where / "clgrad-backends", "CLGRAD_CACHE_DIR": where / "clgrad-cache",
                 "POCL_CACHE_DIR": where / "pocl-cache", "CLGRAD_DATA": self.source / "data", "CLGRAD_TEST_DEVICE": device,
                 "OMP_WAIT_POLICY": "passive"}
        vendors = pathlib.Path(os.environ.get("OCL_ICD_VENDORS", "/etc/OpenCL/vendors"))
        if vendors.is_dir() and (vendors / "pocl.icd").exists():  # one driver a process starts sooner
            known["OCL_ICD_VENDORS"] = vendors / "pocl.icd"
        return os.environ | {name: str(value) for name, value in known.items()}
