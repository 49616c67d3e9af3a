"""The doctor and the decorators from outside: a lying backend is found, the case it leaves shows the fault to clgrad verify and to nobody
else, reports and traces are what they say. Usage: test_check.py COMMAND"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

COMMAND = pathlib.Path(sys.argv.pop()).resolve()
PLUGINS = COMMAND.parent / "tests" / "plugins"


class CommandTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        self.environment = dict(os.environ, OMP_WAIT_POLICY="passive", CLGRAD_BACKEND_PATH=str(PLUGINS / "liar"))

    def run_command(self, *arguments):
        return subprocess.run([COMMAND, *map(str, arguments)], cwd=self.path, env=self.environment, capture_output=True,
                              text=True, timeout=500)

    def train(self, device, *arguments):
        return self.run_command("train", "--data", "digits", "--model", "Flatten(), Linear(64, 10)", "--limit", 128, "--epochs", 2,
                                "--device", device, *arguments)


class Check(CommandTest):
    def check(self, *arguments):
        result = self.run_command("check", "--json", *arguments)
        return result.returncode, json.loads(result.stdout)

    def test_passes_on_cpu_and_meets_every_op(self):
        status, devices = self.check("--device", "cpu")
        results = devices[0]["results"]
        wrong = [r for r in results if r["outcome"] == "FAIL"]
        self.assertEqual((status, wrong), (0, []))
        for group in ("layers", "losses", "optimizers", "ops", "numbers", "memory"):
            self.assertTrue([r for r in results if r["group"] == group], group)
        skipped = {r["name"] for r in results if r["outcome"] == "skipped"}
        comparisons = {f"{op}_backward_{side}" for op in ("eq", "ne", "lt", "le", "gt", "ge") for side in "ab"}
        self.assertLessEqual(comparisons, skipped, "nothing flows back through comparisons")
        self.assertFalse(skipped & {"argmax", "strided_copy", "cast", "index_select", "index_add", "gather", "scatter_add", "one_hot"})

    def test_finds_a_liar_and_leaves_a_case_that_shows_it(self):
        status, devices = self.check("--device", "liar:one", "--out", "cases")
        self.assertEqual(status, 1)
        results = {(r["group"], r["name"]): r for r in devices[0]["results"]}
        relu = results["layers", "relu"]
        self.assertEqual(relu["outcome"], "FAIL")
        self.assertRegex(relu["message"], "check: relu is wrong on .*liar:one: element .* the reference says 0 ")
        self.assertEqual(results["ops", "relu"]["outcome"], "FAIL")
        self.assertEqual(results["layers", "linear"]["outcome"], "fallback")
        self.assertRegex(results["layers", "linear"]["message"], "ran on the CPU: tiny runs relu only")
        self.assertTrue(self.path.joinpath(relu["case"]).is_file())
        self.assertEqual(self.run_command("verify", relu["case"], "--device", "cpu").returncode, 0)
        shown = self.run_command("verify", relu["case"], "--device", "liar:one")
        self.assertEqual(shown.returncode, 1)
        self.assertRegex(shown.stdout, r"\AFAIL relu liar:one ")

    def test_every_case_that_it_writes_is_one_that_cpu_passes(self):
        self.check("--device", "fault,kind=lost,at=20:cpu", "--out", "cases")
        cases = sorted(self.path.glob("cases/*/*.safetensors"))
        self.assertGreater(len(cases), 40)
        result = self.run_command("verify", *cases, "--device", "cpu")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_writes_reports_for_people_and_machines(self):
        self.run_command("check", "--device", "liar:one", "--report", "report.html")
        html = self.path.joinpath("report.html").read_text()
        self.assertRegex(html, r"<!doctype html>(.|\n)*<h2>liar:one</h2>(.|\n)*<td>FAIL</td><td>layers</td><td>relu</td>")
        self.run_command("check", "--device", "liar:one", "--report", "report.txt")
        self.assertRegex(self.path.joinpath("report.txt").read_text(), r"liar:one\n(.|\n)*FAIL\tlayers\trelu\t")
        self.run_command("check", "--device", "liar:one", "--report", "report.json")
        devices = json.loads(self.path.joinpath("report.json").read_text())
        self.assertEqual(devices[0]["name"], "Tiny One")
        self.assertGreater(devices[0]["FAIL"], 0)

    def test_bad_input_is_named(self):
        for status, pattern, *arguments in (
                (4, "cannot write /no/such/folder", "--report", "/no/such/folder/r.html"),
                (4, "cannot make the folder", "--device", "cpu", "--out", "/proc/no"),
                (3, "no such backend", "--device", "nothing"), (2, "unknown flag --foo", "--foo")):
            with self.subTest(arguments=arguments):
                result = self.run_command("check", *arguments)
                self.assertEqual(result.returncode, status, result.stderr)
                self.assertRegex(result.stderr, pattern)


class Decorators(CommandTest):
    def test_trace_writes_a_file_for_viewers_and_a_table(self):
        result = self.train("trace:cpu", "--quiet")
        self.assertEqual(result.returncode, 0, result.stderr)
        events = json.loads(self.path.joinpath("clgrad-trace.json").read_text())
        ops = [e for e in events if e.get("cat") == "op"]
        self.assertGreater(len(ops), 50)
        for event in ops:
            self.assertEqual(event["ph"], "X")
            self.assertGreaterEqual(event["dur"], 0)
            self.assertTrue(event["args"]["op"])
        products = [e for e in ops if e["name"] == "matmul"]
        self.assertTrue(all(e["args"]["flops"] > 0 and e["args"]["bytes"] > 0 for e in products))
        lines = re.findall(r"^ *\d+ +(\d+\.\d+) +[\d.]+ %.*  (\w+)(?: \(.*\))?$", result.stderr, re.M)
        times = [float(seconds) for seconds, name in lines]
        self.assertIn("matmul", [name for seconds, name in lines])
        self.assertEqual(times, sorted(times, reverse=True), result.stderr)

    def test_a_lost_device_leaves_the_checkpoint_of_the_last_epoch(self):
        saved = 0
        for call in range(10, 300, 23):
            out = self.path / f"out{call}.safetensors"
            result = self.train(f"fault,kind=lost,at={call}:cpu", "--quiet", "--out", out)
            self.assertEqual(result.returncode, 3, result.stderr)
            self.assertRegex(result.stderr, r"clgrad: .*is lost: .* failed \(fault: call \d+\)")
            if out.exists():
                saved += 1
                self.assertEqual(self.run_command("info", out).returncode, 0)
                self.assertEqual(self.run_command("eval", out, "--device", "cpu").returncode, 0)
        self.assertGreater(saved, 0)

    def test_fallbacks_are_told_at_the_end_or_forbidden(self):
        told = self.train("liar:one", "--quiet")
        self.assertRegex(told.stderr, r"matmul +\d+ times, [\d.]+ [KM]?i?B moved: tiny runs relu only")
        self.assertEqual(self.train("liar:one", "--quiet", "--fallback", "allow").stderr, "")
        forbidden = self.train("liar:one", "--quiet", "--fallback", "error")
        self.assertEqual(forbidden.returncode, 3)
        self.assertRegex(forbidden.stderr, "cannot run .*: tiny runs relu only; falling back to the CPU is not allowed")

    def test_eval_and_predict_tell_or_forbid_fallbacks_too(self):
        out = self.path / "model.safetensors"
        self.assertEqual(self.train("cpu", "--quiet", "--out", out).returncode, 0)
        for command in (["eval", out], ["predict", out, "--count", "2"]):
            told = self.run_command(*command, "--device", "liar:one")
            self.assertRegex(told.stderr, r"matmul +\d+ times, [\d.]+ [KM]?i?B moved: tiny runs relu only")
            self.assertEqual(self.run_command(*command, "--device", "liar:one", "--fallback", "allow").stderr, "")
            forbidden = self.run_command(*command, "--device", "liar:one", "--fallback", "error")
            self.assertEqual(forbidden.returncode, 3)
            self.assertIn("falling back to the CPU is not allowed", forbidden.stderr)


class Devices(CommandTest):
    def test_tells_what_each_leaves_to_the_cpu_and_why(self):
        listed = json.loads(self.run_command("devices", "--json").stdout)
        devices = {d["device"]: d for d in listed}
        self.assertEqual(devices["cpu"]["falls_back"], [])
        reasons = {row["op"]: row["reason"] for row in devices["liar:one"]["falls_back"]}
        self.assertEqual(reasons["matmul"], "tiny runs relu only")
        self.assertNotIn("relu", reasons)
        text = self.run_command("devices").stdout
        self.assertIn("falls back nothing: it runs every op of every layer and loss", text)
        self.assertIn("falls back matmul: tiny runs relu only", text)


if __name__ == "__main__":
    unittest.main()
