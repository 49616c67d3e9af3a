"""Drivers that crash, hang, return garbage or fail without a word take no other device's tests down: the tests of one device run in
processes of their own with a time limit. A layer's test, as this build registers it, runs on four bad devices and on a good one, side by side.
Usage: test_bad_drivers.py COMMAND"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

COMMAND = pathlib.Path(sys.argv.pop()).resolve()
BUILD = COMMAND.parent
PLUGIN = BUILD / "tests" / "plugins" / "moody"
CASES = pathlib.Path(__file__).resolve().parent / "cases"
LIMIT = 10  # seconds, where the registered test has more


def properties(test):
    return {entry["name"]: entry["value"] for entry in test["properties"]}


def environment(test):
    return dict(line.split("=", 1) for line in properties(test).get("ENVIRONMENT", []))


def registered():
    listed = subprocess.run(["ctest", "--show-only=json-v1"], cwd=BUILD, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(listed.stdout)["tests"]


def add_test(name, command, variables):
    words = " ".join(f"[==[{word}]==]" for word in command)
    settings = ";".join(f"{key}={value}" for key, value in variables.items())
    return (f"add_test([==[{name}]==] {words})\n"
            f"set_tests_properties([==[{name}]==] PROPERTIES TIMEOUT {LIMIT} ENVIRONMENT [==[{settings}]==])\n")


class BadDrivers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tests = registered()

    def test_every_test_of_a_device_has_a_time_limit_and_one_device(self):
        about_devices = [test for test in self.tests if "CLGRAD_TEST_DEVICE" in environment(test)]
        self.assertGreater(len(about_devices), 20)
        for test in about_devices:
            self.assertLessEqual(properties(test)["TIMEOUT"], 900, test["name"])
            self.assertEqual(len(properties(test)["LABELS"]), 1, test["name"])

    def outcomes(self, devices):
        pattern = next(test for test in self.tests if test["name"] == "layer.linear.reference")
        text = ""
        for device in devices:
            variables = dict(environment(pattern), CLGRAD_TEST_DEVICE=device, CLGRAD_BACKEND_PATH=str(PLUGIN))
            variables["ASAN_OPTIONS"] = "detect_leaks=0"  # the crash is wanted: no report among those of the suite
            variables.pop("CLGRAD_TEST_RESULTS", None)  # the bad ones have no place in the table
            text += add_test(device, pattern["command"], variables)
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "CTestTestfile.cmake").write_text(text)
            result = subprocess.run(["ctest", "-j5"], cwd=folder, capture_output=True, text=True, timeout=300)
        found = re.findall(r"Test +#\d+: (\S+) \.*\s*(Passed|\*\*\*\w+)", result.stdout)
        return {name: outcome.strip("*") for name, outcome in found}

    def test_the_others_go_on(self):
        bad = ["moody:crash", "moody:hang", "moody:garbage", "moody:silent"]
        outcomes = self.outcomes(bad[:2] + ["reference"] + bad[2:])
        self.assertEqual(outcomes.pop("reference"), "Passed")
        self.assertEqual(outcomes.pop("moody:hang"), "Timeout")
        self.assertEqual(outcomes, dict.fromkeys(["moody:crash", "moody:garbage", "moody:silent"], "Failed"))

    def test_garbage_and_silence_are_verdicts_of_their_device_alone(self):
        devices = [word for name in ("moody:garbage", "moody:silent", "cpu") for word in ("--device", name)]
        variables = dict(os.environ, CLGRAD_BACKEND_PATH=str(PLUGIN), OMP_WAIT_POLICY="passive")
        result = subprocess.run([COMMAND, "verify", CASES / "linear.safetensors", *devices], env=variables, capture_output=True,
                                text=True, timeout=120)
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertRegex(result.stdout, r"FAIL linear moody:garbage ")
        self.assertRegex(result.stdout, r"pass linear cpu ")
        self.assertRegex(result.stdout, r"FAIL linear moody:silent .* failed with 77")


if __name__ == "__main__":
    unittest.main(verbosity=2)
