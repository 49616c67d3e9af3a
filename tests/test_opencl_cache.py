"""Compiled kernels on disk: used the next time, rebuilt when damaged, done without where the folder cannot be had.
Usage: test_opencl_cache.py COMMAND"""
import os
import pathlib
import pty
import shutil
import subprocess
import sys
import tempfile
import unittest

COMMAND = pathlib.Path(sys.argv.pop()).resolve()
TRAIN = ("train", "--steps", "1", "--limit", "64", "--valid", "0", "--model", "Flatten(), Linear(64, 10)", "--device", "opencl", "--quiet")


def run(cache, *arguments, environment={}, before=(), **settings):
    environment = {**os.environ, "CLGRAD_CACHE_DIR": str(cache), "CLGRAD_LOG": "1", "OMP_WAIT_POLICY": "passive", **environment}
    return subprocess.run([*before, COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=300, **settings)


class Cache(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """One cache that is filled already, for the tests that begin with one: compiling takes seconds, and a driver that is slow to hand
        out binaries fills it over several runs."""
        cls.filled = tempfile.TemporaryDirectory()
        compiled = [run(cls.filled.name, *TRAIN).stderr.count("compiled ")]
        while compiled[-1] > 0 and len(compiled) < 20:
            compiled.append(run(cls.filled.name, *TRAIN).stderr.count("compiled "))
        assert compiled[0] > 3 and compiled[-1] == 0, compiled
        assert all(before > after for before, after in zip(compiled, compiled[1:])), f"each run keeps some: {compiled}"

    @classmethod
    def tearDownClass(cls):
        cls.filled.cleanup()

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name) / "made" / "when needed"

    def tearDown(self):
        self.folder.cleanup()

    def fill(self):
        shutil.copytree(self.filled.name, self.path)

    def train(self, cache):
        done = run(cache, *TRAIN)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stderr.count("compiled ")

    def files(self):
        return sorted(self.path.glob("opencl-*.bin"))

    def test_kernels_are_compiled_once(self):
        self.fill()
        self.assertGreater(len(self.files()), 3)
        self.assertEqual(self.train(self.path), 0)
        self.assertEqual([f for f in self.path.iterdir() if f not in self.files()], [], "nothing half written is left")

    def test_damaged_files_are_not_trusted(self):
        self.fill()
        files = self.files()
        for i, file in enumerate(files):
            content = bytearray(file.read_bytes())
            if i % 4 == 0:
                content = content[: len(content) // 2]
            elif i % 4 == 1:
                content[-1] ^= 1
            elif i % 4 == 2:
                content[len(content) // 2] ^= 0x40
            else:
                content = bytearray()
            file.write_bytes(content)
        self.assertEqual(self.train(self.path), len(files))
        self.assertLess(self.train(self.path), len(files), "some are good again")

    def test_a_folder_that_cannot_be_made_is_done_without(self):
        blocker = pathlib.Path(self.folder.name) / "file"
        blocker.write_text("in the way")
        self.assertGreater(self.train(blocker / "cache"), 3)
        self.assertGreater(self.train(blocker), 3)

    def test_a_link_is_not_followed(self):
        elsewhere = pathlib.Path(self.folder.name) / "elsewhere"
        elsewhere.mkdir()
        link = pathlib.Path(self.folder.name) / "link"
        link.symlink_to(elsewhere)
        for cache in (link, str(link) + "/"):
            self.assertGreater(self.train(cache), 3)
        self.assertEqual(list(elsewhere.iterdir()), [])
        link.unlink()
        link.symlink_to("/nowhere/at/all")
        self.assertGreater(self.train(link), 3)

    def test_a_folder_that_cannot_be_written_is_done_without(self):
        self.fill()
        removed = self.files()[0]
        removed.unlink()
        self.path.chmod(0o555)
        try:
            pathlib.Path(self.folder.name).chmod(0o755)
            nobody = {"user": 65534} if os.geteuid() == 0 else {}
            if nobody:
                for file in [self.path.parent, *self.files()]:
                    file.chmod(0o755)
            own = tempfile.mkdtemp()
            os.chmod(own, 0o777)
            environment = dict(POCL_CACHE_DIR=own, HOME=own)
            done = run(self.path, *TRAIN, environment=environment, **nobody)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stderr.count("compiled "), 1, "the others are read from there")
            self.assertFalse(removed.exists())
        finally:
            self.path.chmod(0o755)

    def test_a_full_disk_is_done_without(self):
        self.path.mkdir(parents=True)
        script = f"mount -t tmpfs -o size=16k none '{self.path}' && \"$@\"; status=$?; ls -A '{self.path}' | grep -c '[.]bin[.]' >&2; exit $status"
        inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
        if subprocess.run([*inside, "true"], capture_output=True).returncode != 0:
            inside = ["unshare", "--mount", "sh", "-c", script, "sh"]
            if subprocess.run([*inside, "true"], capture_output=True).returncode != 0:
                self.skipTest("no small file system can be mounted here")
        done = run(self.path, *TRAIN, before=inside)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(done.stderr.count("compiled "), 3)
        self.assertEqual(done.stderr.rstrip().split("\n")[-1], "0", "nothing half written is left")

    def test_the_folder_stays_small_and_what_was_not_used_for_longest_goes_first(self):
        self.fill()
        kept = self.files()[-1]
        old = self.path / ("opencl-" + "0" * 32 + ".bin")  # of no kernel that the next run needs: it would come back
        old.write_bytes(kept.read_bytes())
        files = self.files()
        self.assertEqual(files[0], old)
        total = sum(f.stat().st_size for f in files)
        for i, file in enumerate(files):
            os.utime(file, (1000 + i, 1000 + i))
        other = self.path / "notes.txt"
        other.write_text("not ours")
        abandoned = self.path / (old.name + ".ABCDEF")
        abandoned.write_bytes(b"half")
        os.utime(abandoned, (1000, 1000))
        kept.unlink()  # will be compiled again, and saved: then the folder is looked through
        limit = total - old.stat().st_size // 2
        done = run(self.path, *TRAIN, environment={"CLGRAD_CACHE_LIMIT": str(limit)})
        self.assertEqual(done.returncode, 0, done.stderr)
        left = self.files()
        self.assertLessEqual(sum(f.stat().st_size for f in left), limit)
        self.assertEqual(left, files[1:])
        self.assertTrue(other.exists())
        self.assertFalse(abandoned.exists())
        self.assertEqual(run(self.path, *TRAIN, environment={"CLGRAD_CACHE_LIMIT": "0"}).returncode, 0)

    def test_files_that_are_used_count_as_new(self):
        self.fill()
        for file in self.files():
            os.utime(file, (1000, 1000))
        self.assertEqual(self.train(self.path), 0)
        self.assertTrue(all(file.stat().st_mtime > 2000 for file in self.files()))

    def test_processes_side_by_side_share_it(self):
        environment = dict(os.environ, CLGRAD_CACHE_DIR=str(self.path), CLGRAD_LOG="1", OMP_WAIT_POLICY="passive")
        running = [subprocess.Popen([COMMAND, *TRAIN], env=environment, stderr=subprocess.PIPE, text=True) for _ in range(3)]
        for process in running:
            said = process.communicate(timeout=300)[1]
            self.assertEqual(process.returncode, 0, said)
        self.assertLess(self.train(self.path), len(list(pathlib.Path(self.filled.name).iterdir())), "what they kept is good")
        self.assertEqual([f for f in self.path.iterdir() if f not in self.files()], [])

    def test_clear_cache_removes_what_is_ours(self):
        self.fill()
        count = len(self.files())
        (self.path / "notes.txt").write_text("not ours")
        cleared = run(self.path, "devices", "--clear-cache")
        self.assertEqual(cleared.returncode, 0, cleared.stderr)
        self.assertIn(f"{self.path}: {count} compiled programs removed", cleared.stdout)
        self.assertEqual([f.name for f in self.path.iterdir()], ["notes.txt"])
        self.assertIn(": 0 compiled programs removed", run(self.path, "devices", "--clear-cache").stdout)

    def test_a_terminal_shows_that_kernels_are_compiled(self):
        driver = tempfile.mkdtemp()
        environment = dict(os.environ, CLGRAD_CACHE_DIR=str(self.path), POCL_CACHE_DIR=driver, TERM="xterm", OMP_WAIT_POLICY="passive")
        master, slave = pty.openpty()
        process = subprocess.Popen([COMMAND, *TRAIN], env=environment, stdout=subprocess.DEVNULL, stderr=slave)
        os.close(slave)
        said = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:  # Linux's way to say that the other end is closed
                break
            if not part:
                break
            said += part
        self.assertEqual(process.wait(timeout=300), 0, said)
        os.close(master)
        log = run(self.path, *TRAIN, environment={"POCL_CACHE_DIR": driver}).stderr
        self.assertNotIn("compiling", log, "no terminal, no progress; and nothing is left to compile")
        if b"compiling kernels" not in said:
            self.skipTest("this driver compiles in under a second")
        self.assertRegex(said.decode(), r"compiling kernels, once for this driver: \w+\.cl \(\d+ done, \d+ s\)")
        self.assertTrue(said.endswith(b"\r\x1b[K") or b"\r\x1b[K" in said)


if __name__ == "__main__":
    if run("", "devices").stdout.count("opencl:") == 0 or run("", *TRAIN).returncode == 3:
        print("no OpenCL device here")
        sys.exit(77)
    unittest.main(verbosity=2)
