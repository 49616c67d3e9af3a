"""clgrad bench overhead: rows as machines read them, and what an op may cost on the cpu. Usage: test_bench.py COMMAND"""
import json
import os
import pathlib
import subprocess
import sys
import unittest

COMMAND = pathlib.Path(sys.argv.pop()).resolve()
CACHE = (COMMAND.parent / "CMakeCache.txt").read_text()
OPTIMIZED = "CMAKE_BUILD_TYPE:STRING=Release" in CACHE and "CLGRAD_SANITIZE:BOOL=ON" not in CACHE


def run(*arguments):
    environment = dict(os.environ, OMP_WAIT_POLICY="passive")
    return subprocess.run([COMMAND, "bench", *arguments], env=environment, capture_output=True, text=True, timeout=120)


class Bench(unittest.TestCase):
    def test_an_op_on_the_cpu_costs_under_300_nanoseconds(self):
        done = run("overhead", "--device", "cpu", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads(done.stdout)
        self.assertEqual([set(row) for row in rows], [{"name", "device", "pass", "n", "min_ms", "median_ms", "p90_ms", "gflops", "gbs"}])
        row = rows[0]
        self.assertEqual((row["name"], row["device"], row["pass"]), ("overhead", "cpu", "op"))
        self.assertLessEqual(row["min_ms"], row["median_ms"])
        self.assertLessEqual(row["median_ms"], row["p90_ms"])
        self.assertGreater(row["min_ms"], 0)
        if OPTIMIZED:
            self.assertLess(row["min_ms"], 0.0003)

    def test_opencl_stands_beside_the_bare_driver(self):
        done = run("overhead", "--device", "opencl", "--json")
        if done.returncode == 3:
            self.skipTest("no OpenCL device here")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = {row["pass"]: row for row in json.loads(done.stdout)}
        self.assertEqual(set(rows), {"op", "bare"})
        ratio = rows["op"]["min_ms"] / rows["bare"]["min_ms"]
        print(f"{rows['op']['device']}: an op costs {ratio:.2f} times the bare calls", file=sys.stderr)
        self.assertLess(ratio, 4, "far above 1.5: more than the noise of a busy machine")

    def test_all_benchmarks_run_when_none_is_named(self):
        done = run("--device", "cpu")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("overhead   cpu ", done.stdout)

    def test_what_is_no_benchmark_is_said(self):
        done = run("headlnie", "--device", "cpu")
        self.assertEqual(done.returncode, 2)
        self.assertIn("there is no benchmark 'headlnie'", done.stderr)
        self.assertEqual(run("overhead", "--device", "nothing").returncode, 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
