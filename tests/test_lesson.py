"""The lesson's programs and pages from outside: bad input, and that tools/lesson finds a page that says something else than a run.

What the pages say is run on each device by the tests lesson_CHAPTER.DEVICE; here are README.md and what must go wrong.
Usage: test_lesson.py COMMAND
"""
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree
import zlib

BUILD = pathlib.Path(sys.argv.pop()).resolve().parent
ROOT = pathlib.Path(__file__).resolve().parent.parent
LESSON = ROOT / "docs" / "lesson"
PROGRAMS = BUILD / "docs" / "lesson"


def run(*arguments):
    environment = dict(os.environ, OMP_WAIT_POLICY="passive")
    done = subprocess.run([str(a) for a in arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def png(side, pixels):
    """A grey image as a file, one byte a pixel."""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + bytes(pixels[i:i + side]) for i in range(0, side * side, side))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Programs(unittest.TestCase):
    def expect(self, status, message, program, *arguments):
        found, _, error = run(PROGRAMS / program, *arguments)
        self.assertEqual(found, status, error)
        self.assertRegex(error, message)

    def test_flags_that_are_none_are_named_with_the_usage(self):
        self.expect(2, r"unknown flag --row\nusage: lesson_forward \[--device STR\] \[--data VALUE\]", "lesson_forward", "--row", "3")
        self.expect(2, "--rows needs a value", "lesson_forward", "--rows")
        for value in ("0", "-3", "many", "7x", "", "99999999999999999999"):
            self.expect(2, f"--rows {value}: expected a whole number of at least 1", "lesson_forward", "--device", "cpu", "--rows", value)

    def test_sizes_and_files_that_cannot_be_are_named(self):
        for value in ("7", "8192"):
            self.expect(2, f"--size {value}: expected a multiple of 4 up to 4096", "lesson_tiles", "--device", "cpu", "--size", value)
        self.expect(4, "/nowhere/chart.svg: No such file", "lesson_init", "--device", "cpu", "--rows", "10", "--out", "/nowhere/chart.svg")

    def test_backends_that_cannot_be_used_are_named(self):
        self.expect(3, "/nowhere.so", "lesson_device", "--device", "cpu", "--backend", "/nowhere.so")
        self.expect(3, "README.md", "lesson_device", "--device", "cpu", "--backend", ROOT / "README.md")
        self.expect(3, "own", "lesson_device", "--device", "own")

    def test_a_wrong_kernel_is_found_where_opencl_is(self):
        device = "opencl:pocl"
        status, said, error = run(PROGRAMS / "lesson_kernel", "--device", device, "--wrong", "1")
        if status == 3:
            self.skipTest(error)
        self.assertEqual(status, 1, said + error)
        self.assertRegex(error, "ramp, proof 2 .*: gradient of input 0 .* 29 of 65 elements differ")

    def test_devices_and_data_that_are_not_there_are_named(self):
        self.expect(3, "no_such", "lesson_forward", "--device", "no_such")
        self.expect(4, "lesson_forward: .*/nowhere", "lesson_forward", "--device", "cpu", "--data", "/nowhere")
        self.expect(4, "images of 64 pixels, the lesson's have 784", "lesson_forward", "--device", "cpu", "--data", "digits")

    def test_recorded_numbers_that_are_wrong_are_found(self):
        recorded = (LESSON / "recorded.txt").read_text()
        first = re.search(r"^w1 \| \[20, 10\] \| (\S+)", recorded, re.M)[1]
        for message, status, text in (("has no line 'w1 |'", 4, "# nothing"),
                                      (r"w1: expected NAME \| \[SIZES\] \| NUMBERS", 4, "w1 | 20 | 1 2"),
                                      ("w1 has 2 numbers, expected 6", 4, "w1 | [2, 3] | 1 2 x"),
                                      (r"\[20, 10\] against \[2\]", 1, "w1 | [2] | 1 2"),
                                      ("distance from PyTorch's gradient: .*, expected at most 1e-05", 1, recorded.replace(first, "9"))):
            with self.subTest(message=message), tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
                file.write(text + "\n")
                file.flush()
                self.expect(status, message, "lesson_backward", "--device", "cpu", "--recorded", file.name)
        self.expect(4, "/nowhere.txt: No such file", "lesson_backward", "--device", "cpu", "--recorded", "/nowhere.txt")

    def test_a_folder_of_letters_is_split_and_counted_as_the_page_says(self):
        command = re.search(r"^```sh folder\n(.*?)^```", (LESSON / "1-data.md").read_text(), re.M | re.S)[1]
        with tempfile.TemporaryDirectory() as name:
            for letter in range(10):
                folder = pathlib.Path(name) / "ABCDEFGHIJ"[letter]
                folder.mkdir()
                for i in range(20):
                    (folder / f"{i}.png").write_bytes(png(28, [(letter * 20 + i * 3 + p) % 256 for p in range(28 * 28)]))
            (pathlib.Path(name) / "A" / "broken.png").write_bytes(b"")
            command = command.replace("notMNIST_small", f"'{name}'").replace("build/release", f"'{BUILD}'")
            status, said, error = run("bash", "-ec", command)
        if "without" in error and "libpng" in error:
            self.skipTest(error)
        self.assertEqual(status, 0, error)
        self.assertRegex(said, r"training +160:( +1\d){10}\nvalidation +40:( +[1-9]){10}\n")
        self.assertIn("broken.png", error)
        self.assertRegex(said, r"  training +mean +0.0000   std 1.0000")

    def test_every_program_is_short(self):
        programs = [source for source in LESSON.glob("*.c") if "int main(" in source.read_text()]
        self.assertGreater(len(programs), 1)
        for source in programs:
            self.assertLess(source.read_text().count("\n"), 150, source.name)


class Pages(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "own.c").write_text("int one = 1;\n")

    def check(self, page, *arguments):
        (self.folder / "1-own.md").write_text(page)
        return run(ROOT / "tools" / "lesson", "check", "own", "--build", BUILD, "--lesson", self.folder, *arguments)

    def expect(self, page, message):
        status, _, error = self.check(page)
        self.assertEqual(status, 1, error)
        self.assertRegex(error, message)

    def test_a_page_that_says_something_else_is_found(self):
        self.assertEqual(self.check("# 1\n\n```sh\necho 7\n```\n\n```text\n7\n```\n")[0], 0)
        self.expect("# 1\n\n```sh\necho 7\n```\n\n```text\n8\n```\n", "1-own.md says something else than cpu:\necho 7\n  page: 8\n  run:  7")
        self.expect("# 1\n\n```sh\necho 7; echo 8\n```\n\n```text\n7\n```\n", "page: \n  run:  8")
        self.expect("# 1\n\n```sh\nfalse\n```\n", "exit status 1")
        self.expect("# 1\n\n```sh sometimes\ntrue\n```\n", "```sh sometimes is not known")
        self.expect("# 1\n\n```c\nint two = 2;\n```\n", "stands in no source")

    def test_only_times_may_differ(self):
        self.assertEqual(self.check("# 1\n\n```sh\necho '7 in 3.5 ms'\n```\n\n```text\n7 in   12.0 ms\n```\n")[0], 0)
        self.expect("# 1\n\n```sh\necho '7 in 3.5 ms'\n```\n\n```text\n8 in 3.5 ms\n```\n", "page: 8")

    def test_numbers_of_a_training_may_be_a_tenth_off_and_no_more(self):
        page = "# 1\n\n```sh near\necho 'loss {0}, accuracy 95.0 %'\n```\n\n```text\nloss 0.100, accuracy 97.0 %\n```\n"
        self.assertEqual(self.check(page.format("0.109"))[0], 0)
        self.expect(page.format("0.112"), "page: loss 0.100")
        self.expect(page.format("0.109").replace("accuracy", "share", 1), "run:  loss 0.109, share")
        self.expect(page.format("nan"), "run:  loss nan")

    def test_what_a_page_writes_does_not_stay(self):
        page = "# 1\n\n```sh\nmkdir -p build/own_page\necho 7 > build/own_page/one\nls build/own_page/one\n```\n\n```text\nbuild/own_page/one\n```\n"
        self.assertEqual(self.check(page), (0, "1-own.md: 1 blocks of commands ran on cpu\n", ""))
        self.assertFalse((ROOT / "build" / "own_page").exists())

    def test_the_device_of_the_run_is_the_one_asked_for(self):
        status, said, error = self.check("# 1\n\n```sh\necho --device cpu\n```\n\n```text\n--device opencl:one\n```\n", "--device", "opencl:one")
        self.assertEqual((status, error), (0, ""), said)

    def test_a_chapter_that_is_not_there_is_named(self):
        status, _, error = run(ROOT / "tools" / "lesson", "check", "nothing")
        self.assertEqual(status, 1)
        self.assertRegex(error, "no chapter nothing; there are .*forward, backward")

    def test_the_contents_name_every_chapter_and_its_commands_run(self):
        readme = (LESSON / "README.md").read_text()
        for page in LESSON.glob("[0-9]*.md"):
            self.assertIn(f"({page.name})", readme)
        for command in re.findall(r"^```sh\n(.*?)^```", readme, re.M | re.S):
            status, said, error = run("bash", "-ec", command.replace("build/release", f"'{BUILD}'"))
            self.assertEqual(status, 0, error)
            self.assertRegex(said, "(?m)^cpu")

    def test_every_page_has_its_test_on_each_device(self):
        registered = re.search(r'^set\(chapters "(.*)"\)', (BUILD / "tests" / "device_tests.cmake").read_text(), re.M)[1]
        pages = sorted(page.stem.split("-", 1)[1] for page in LESSON.glob("[0-9]*.md"))
        self.assertEqual(sorted(registered.split(";")), pages)

    def test_the_html_pages_link_each_other(self):
        status, said, error = run(ROOT / "tools" / "lesson", "html", self.folder)
        if "python3-markdown is missing" in error:
            self.skipTest(error)
        self.assertEqual(status, 0, error)
        pages = sorted(self.folder.glob("*.html"))
        self.assertEqual(len(pages), 1 + len(list(LESSON.glob("[0-9]*.md"))), said)
        for page in pages:
            text = page.read_text()
            self.assertIn('<meta name="viewport" content="width=device-width', text)
            for link in re.findall(r'(?:href|src)="([^":]+\.(?:html|svg|c|h))"', text):
                self.assertTrue((self.folder / link).exists(), f"{page.name}: {link}")
        for chart in self.folder.glob("*.svg"):
            xml.etree.ElementTree.parse(chart)


if __name__ == "__main__":
    unittest.main()
