"""One OpenCL driver that does not work: the others are listed all the same, and what is wrong with it is said. Usage:
test_broken_driver.py COMMAND"""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

COMMAND = pathlib.Path(sys.argv.pop()).resolve()
VENDORS = pathlib.Path(os.environ.get("OCL_ICD_VENDORS") or "/etc/OpenCL/vendors")


def devices(vendors):
    environment = dict(os.environ, OCL_ICD_VENDORS=str(vendors), OMP_WAIT_POLICY="passive")
    done = subprocess.run([COMMAND, "devices"], env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, [line for line in done.stdout.splitlines() if line.startswith("opencl:") and "not usable" not in line], done.stdout


class BrokenDriver(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        for file in VENDORS.glob("*.icd"):
            (self.path / file.name).write_text(file.read_text())

    def tearDown(self):
        self.folder.cleanup()

    def expect(self, content, reason):
        status, before, _ = devices(self.path)
        self.assertEqual(status, 0)
        self.assertGreater(len(before), 0)
        (self.path / "broken.icd").write_text(content)
        status, listed, said = devices(self.path)
        self.assertEqual(status, 0, said)
        self.assertEqual(listed, before)
        self.assertRegex(said, r"(?m)^opencl: broken\.icd: not usable: " + reason)
        self.assertEqual(said.count("not usable"), 1, said)

    def test_a_library_that_is_not_there(self):
        self.expect("/nowhere/libdriver.so\n", "/nowhere/libdriver.so: cannot open shared object file")

    def test_a_library_that_is_no_driver(self):
        self.expect("libm.so.6\n", "its library is no OpenCL driver")

    def test_a_file_that_is_no_library(self):
        text = self.path / "text.so"
        text.write_text("not a library, but rather long, so that its head can be read whole" * 9)
        self.expect(f"{text}\n", ".*invalid ELF header")

    def test_a_library_that_is_cut_short(self):
        whole = (COMMAND.parent / "clgrad-backends" / "opencl.so").read_bytes()
        cut = self.path / "cut.so"
        for share in (0.3, 0.9):
            cut.write_bytes(whole[: int(len(whole) * share)])
            (self.path / "broken.icd").unlink(missing_ok=True)
            self.expect(f"{cut}\n", "its library is cut short")

    def test_a_file_that_names_nothing(self):
        self.expect("", "it names no library")


if __name__ == "__main__":
    if not VENDORS.is_dir() or not devices(VENDORS)[1]:
        print("no folder of working OpenCL drivers here")
        sys.exit(77)
    unittest.main(verbosity=2)
