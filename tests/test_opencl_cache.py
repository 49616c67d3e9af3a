"""Compiled kernels on disk: used the next time, rebuilt when damaged, done without where the folder cannot be had.
Usage: test_opencl_cache.py COMMAND"""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

COMMAND = pathlib.Path(sys.argv.pop()).resolve()
TRAIN = ("train", "--steps", "3", "--limit", "192", "--device", "opencl", "--quiet")


def run(cache, *arguments):
    environment = dict(os.environ, CLGRAD_CACHE_DIR=str(cache), CLGRAD_LOG="1", OMP_WAIT_POLICY="passive")
    return subprocess.run([COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=300)


class Cache(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name) / "made" / "when needed"

    def tearDown(self):
        self.folder.cleanup()

    def train(self, cache):
        done = run(cache, *TRAIN)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stderr.count("compiled ")

    def files(self):
        return sorted(self.path.glob("opencl-*.bin"))

    def test_kernels_are_compiled_once(self):
        self.assertGreater(self.train(self.path), 3)
        self.assertGreater(len(self.files()), 3)
        self.assertEqual(self.train(self.path), 0)
        self.assertEqual([f for f in self.path.iterdir() if f not in self.files()], [], "nothing half written is left")

    def test_damaged_files_are_not_trusted(self):
        self.train(self.path)
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
        self.assertEqual(self.train(self.path), 0)

    def test_a_folder_that_cannot_be_made_is_done_without(self):
        blocker = pathlib.Path(self.folder.name) / "file"
        blocker.write_text("in the way")
        self.assertGreater(self.train(blocker / "cache"), 3)


if __name__ == "__main__":
    if run("", "devices").stdout.count("opencl:") == 0 or run("", *TRAIN).returncode == 3:
        print("no OpenCL device here")
        sys.exit(77)
    unittest.main(verbosity=2)
