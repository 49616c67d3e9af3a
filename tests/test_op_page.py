"""Follows docs/adding-an-op.md literally in a copy of the source and proves the new ops on every device: COMMAND is clgrad."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMMAND = sys.argv.pop(1)
# A line that names a file and the place, and the block below it; or a block of commands.
STEP = re.compile(r"^`(?P<file>[^`]+)`, (?P<place>at the end|a new file|(?:after|before) `(?P<line>[^`]+)`):\n\n```\w*\n(?P<text>.*?)^```$"
                  r"|^```sh\n(?P<commands>.*?)^```$", re.M | re.S)


def devices():
    """Every device there is, each OpenCL one in both profiles."""
    listed = json.loads(subprocess.run([COMMAND, "devices", "--json"], capture_output=True, text=True, check=True).stdout)
    names = {row["device"].partition(",profile=")[0] for row in listed}
    return ["reference", "cpu"] + [f"{name},profile={profile}" for name in sorted(names) if name.startswith("opencl")
                                   for profile in ("cpu", "gpu")]


def apply(folder, step):
    path, text = folder / step["file"], step["text"]
    if step["place"] == "a new file":
        assert not path.exists(), f"{path} is there already"
        path.write_text(text)
        return
    old = path.read_text()
    if step["place"] == "at the end":
        path.write_text(old + text)
        return
    line = step["line"] + "\n"
    assert old.count(line) == 1, f"{step['file']} has {old.count(line)} lines '{step['line']}'"
    path.write_text(old.replace(line, line + text if step["place"].startswith("after") else text + "\n" + line))


def copy_source(folder):
    """What the build needs, without what was built."""
    for name in ("CMakeLists.txt", "cmake", "include", "src", "cl", "tools", "tests", "docs", "data"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)


class AddingAnOp(unittest.TestCase):
    def run_commands(self, folder, commands):
        result = subprocess.run(["sh", "-ec", commands], cwd=folder, capture_output=True, text=True, env={**os.environ})
        self.assertEqual(result.returncode, 0, f"{commands}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}")

    def test_the_page_ends_with_new_ops_green_on_every_device(self):
        steps = list(STEP.finditer((ROOT / "docs" / "adding-an-op.md").read_text()))
        build, prove = [step["commands"] for step in steps if step["commands"] is not None]
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name) / "clgrad"
            folder.mkdir()
            copy_source(folder)
            for step in steps:
                if step["commands"] is None:
                    apply(folder, step)
            self.run_commands(folder, build)
            for device in devices():
                with self.subTest(device=device):
                    self.run_commands(folder, prove.replace("CLGRAD_TEST_DEVICE=cpu", f"CLGRAD_TEST_DEVICE='{device}'"))
                    print(f"the ops of docs/adding-an-op.md are green on {device}", flush=True)


if __name__ == "__main__":
    if "CLGRAD_TEST_SLOW" in os.environ:
        print("skipped: it builds without sanitizers, as every other build does")
        sys.exit(77)
    unittest.main()
