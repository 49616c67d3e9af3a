"""Machines without OpenCL: no library, a loader without a driver, a driver without a device. The program starts, lists cpu, says why
OpenCL is not there, and trains. Usage: test_no_opencl.py COMMAND"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

COMMAND = pathlib.Path(sys.argv.pop()).resolve()
BUILD = COMMAND.parent


def run(environment, *arguments):
    kept = {k: v for k, v in os.environ.items() if k not in ("CLGRAD_BACKEND_PATH", "CLGRAD_DEVICE", "OCL_ICD_VENDORS")}
    kept.update(environment, OMP_WAIT_POLICY="passive")
    return subprocess.run([COMMAND, *arguments], env=kept, capture_output=True, text=True, timeout=120)


class NoOpenCL(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def expect_cpu_only(self, environment, reason):
        listed = run(environment, "devices")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertTrue(listed.stdout.startswith("cpu\n"), listed.stdout)
        self.assertNotIn("\n  version", listed.stdout)  # of an OpenCL device
        if reason:
            self.assertIn(reason, listed.stdout + listed.stderr)
        asked = run(environment, "train", "--device", "opencl")
        self.assertEqual(asked.returncode, 3, asked.stderr)
        self.assertIn("opencl", asked.stderr)
        trained = run(environment, "train", "--epochs", "1", "--quiet")
        self.assertEqual(trained.returncode, 0, trained.stderr)
        return asked.stderr

    def test_no_opencl_library(self):
        # The same files, but for a plug-in that wants a library which nobody has.
        shutil.copy(BUILD / "libclgrad.so.0", self.path)
        (self.path / "clgrad-backends").mkdir()
        plugin = (BUILD / "clgrad-backends" / "opencl.so").read_bytes()
        self.assertIn(b"libOpenCL.so.1\0", plugin)
        (self.path / "clgrad-backends" / "opencl.so").write_bytes(plugin.replace(b"libOpenCL.so.1\0", b"libOpenCL.so.9\0"))
        message = self.expect_cpu_only({"LD_LIBRARY_PATH": str(self.path)}, "libOpenCL.so.9: cannot open shared object file")
        self.assertIn("libOpenCL.so.9", message)

    def test_a_loader_without_a_driver(self):
        self.expect_cpu_only({"OCL_ICD_VENDORS": str(self.path)}, "it finds no device")

    def test_a_driver_without_a_device(self):
        (self.path / "empty.icd").write_text(str(BUILD / "tests" / "plugins" / "libempty_driver.so") + "\n")
        self.expect_cpu_only({"OCL_ICD_VENDORS": str(self.path)}, "it finds no device")


if __name__ == "__main__":
    unittest.main(verbosity=2)
