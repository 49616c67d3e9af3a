"""tools/conformance and tools/test-totals: what they make of results, and that they see what is wrong. Run with the command's path."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parent.parent / "tools"
GOOD = "layer\tlinear\tcpu\tstarted\t0\t\nlayer\tlinear\tcpu\tpass\t1.2e-07\t\n"


class ToolTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name, text=None):
        path = os.path.join(self.folder.name, name)
        if text is not None:
            pathlib.Path(path).write_text(text)
        return path

    def tool(self, name, *arguments):
        return subprocess.run([sys.executable, TOOLS / name, *arguments], capture_output=True, text=True)

    def table(self, results):
        self.path("1.tsv", results)
        result = self.tool("conformance", self.folder.name, self.folder.name)
        self.assertEqual(result.returncode, 0, result.stderr)
        return pathlib.Path(self.path("conformance.md")).read_text()


class Conformance(ToolTest):
    def test_a_row_has_the_worst_of_its_cases(self):
        text = self.table(GOOD + "layer\tlinear\tcpu\tpass\t3e-06\t\n")
        self.assertIn("| linear | pass 3e-06 |", text)
        self.assertIn("Nothing.", text)
        text = self.table(GOOD + "layer\tlinear\tcpu\tfail\t0.5\tproof 2: 3 elements differ\n")
        self.assertIn("| linear | fail |", text)
        self.assertIn("* linear, `cpu`: fail: proof 2: 3 elements differ", text)

    def test_a_case_that_never_ended_is_a_failure(self):
        text = self.table(GOOD + "loss\tmse_loss\tcpu\tstarted\t0\t\n")
        self.assertIn("| mse_loss | fail |", text)
        self.assertIn("it crashed, or ran into its time limit", text)

    def test_the_page_searches_and_escapes(self):
        self.table(GOOD + "op\ta < b\tcpu\tfallback\t0\tno kernel <b>\n")
        page = pathlib.Path(self.path("conformance.html")).read_text()
        self.assertIn("type=search", page)
        self.assertIn("a &lt; b", page)
        self.assertNotIn("no kernel <b>", page)

    def test_a_table_that_is_out_of_date_is_found(self):
        self.table(GOOD)
        table = self.path("conformance.md")
        self.assertEqual(self.tool("conformance", "--check", self.folder.name, table).returncode, 0)
        self.path("1.tsv", GOOD.replace("pass", "fail"))
        result = self.tool("conformance", "--check", self.folder.name, table)
        self.assertEqual(result.returncode, 1)
        self.assertIn("linear, `cpu`", result.stdout)
        self.path("1.tsv", GOOD + GOOD.replace("linear", "relu"))
        self.assertEqual(self.tool("conformance", "--check", self.folder.name, table).returncode, 1)

    def test_no_results_are_an_error(self):
        self.assertEqual(self.tool("conformance", self.folder.name, self.folder.name).returncode, 1)
        self.assertEqual(self.tool("conformance").returncode, 1)


class Totals(ToolTest):
    def test_devices_are_named_with_their_totals(self):
        path = self.path("tests.xml", """<testsuite>
            <testcase name="layer.relu.cpu" status="run"/><testcase name="layer.relu.opencl-pocl-gpu" status="fail">
            <system-out>first\n{}last</system-out></testcase>
            <testcase name="core" status="run"/><testcase name="missing.opencl-intel" status="notrun"/></testsuite>""".format("more\n" * 50))
        result = self.tool("test-totals", path)
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = result.stdout.splitlines()
        self.assertEqual(lines[-1], "2 passed, 1 failed, 1 skipped")
        self.assertEqual(lines[0], "failed: layer.relu.opencl-pocl-gpu")
        end_of_words = lines.index("    last")
        self.assertEqual(lines[end_of_words + 1], "skipped: missing.opencl-intel")
        self.assertNotIn("    first", lines, "the last lines are what says why")
        self.assertIn("opencl-pocl-gpu        0 passed, 1 failed, 0 skipped", lines)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
