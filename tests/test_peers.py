"""tools/bench/peers.py with a peer that needs no PyTorch: turns alternate, ratios are of medians, a page is written between its marks.
Usage: test_peers.py COMMAND"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

COMMAND = pathlib.Path(sys.argv.pop()).resolve()
PEERS = pathlib.Path(__file__).resolve().parents[1] / "tools" / "bench" / "peers.py"

# Answers as torch_works.py does, with 1, 2, 3 ... seconds; keeps what it was asked.
PEER = """#!{python}
import json, pathlib, sys
print(json.dumps({{"version": "Peer 7", "threads": 2}}), flush=True)
asked = pathlib.Path({asked!r}).open("w")
for number, line in enumerate(sys.stdin):
    print(line.strip(), file=asked, flush=True)
    if number == {stop}:
        sys.exit(5)
    print(json.dumps({{"calls": 1, "ms": 1000.0 * number}}), flush=True)
"""
PAGE = "# Before\n<!-- written by tools/bench/peers.py -->\nold\n<!-- the end of what it wrote -->\nafter\n"


class GpuBounds(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_bounds(self, page):
        rows = [{"name": "relu", "pass": "both", "flops": None, "bytes": 1638 * 10**6}, {"name": "relu", "pass": "forward", "flops": None, "bytes": 1},
                {"name": "matmul-1", "pass": "both", "flops": 453 * 10**11, "bytes": 1000}]
        bench = self.folder / "bench.json"
        bench.write_text(json.dumps(rows))
        return subprocess.run([sys.executable, PEERS.parent / "gpu_bounds.py", bench, "--docs", page], capture_output=True, text=True, timeout=60)

    def test_the_longer_of_two_times_is_written_between_the_marks(self):
        page = self.folder / "page.md"
        page.write_text("before\n<!-- written by tools/bench/gpu_bounds.py -->\nold\n<!-- the end of what gpu_bounds.py wrote -->\nafter\n")
        done = self.run_bounds(page)
        self.assertEqual(done.returncode, 0, done.stderr)
        text = page.read_text()
        self.assertTrue(text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text, text)
        memory, arithmetic = (line.strip("| ").split(" | ") for line in text.splitlines() if "both" in line)
        self.assertEqual(memory[:5], ["relu, both", "0.00", "1638.0", "0", "1e+03"], "1638 MB at 1638 GB/s")
        self.assertGreater(float(arithmetic[4]), 1e6, "45.3 Tflop at 45.3 TFLOP/s, and what the loop leaves of it")
        self.assertLess(float(arithmetic[4]), 1.25e6)

    def test_a_page_without_marks_is_left_alone(self):
        page = self.folder / "page.md"
        page.write_text("nothing\n")
        done = self.run_bounds(page)
        self.assertEqual((done.returncode, page.read_text()), (1, "nothing\n"))
        self.assertIn("has not both marks once", done.stderr)


class Peers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_peers(self, *arguments, stop=-1):
        peer, self.asked = self.folder / "peer", self.folder / "asked"
        peer.write_text(PEER.format(python=sys.executable, asked=str(self.asked), stop=stop))
        peer.chmod(0o755)
        fixed = ["--python", peer, "--command", COMMAND, "--seconds", "0.001", "--pause", "0"]
        return subprocess.run([sys.executable, PEERS, *fixed, *map(str, arguments)], capture_output=True, text=True, timeout=60)

    def test_another_peer_has_a_figure_of_its_own(self):
        done = self.run_peers("mlp", "mlp-small", "--turns", 1, "--peer", "tinygrad")
        self.assertEqual(done.returncode, 0, done.stderr)
        head, mlp, small = done.stdout.splitlines()
        self.assertIn("tinygrad ms", head)
        self.assertIn("4.0, 4.0: ", mlp)
        self.assertEqual(small.split()[-2], "to", small)

    def test_a_ratio_is_of_medians_and_the_first_turn_is_dropped(self):
        done = self.run_peers("xent-128", "--turns", 3, "--json", self.folder / "rows.json")
        self.assertEqual(done.returncode, 0, done.stderr)
        (row,) = json.loads((self.folder / "rows.json").read_text())
        self.assertEqual((row["name"], row["pass"], row["device"], row["turns"]), ("xent-128", "both", "cpu", 3))
        self.assertEqual(row["peer_ms"], 2000, "of 1, 2 and 3 seconds; 0 was the warm-up")
        self.assertAlmostEqual(row["ratio"] * row["ms"] / 2000, 1)
        self.assertLessEqual(row["low"], row["high"])
        asked = [json.loads(line) for line in self.asked.read_text().splitlines()]
        self.assertEqual([(one["work"]["name"], one["pass"], one["seconds"]) for one in asked], [("xent-128", "both", 0.001)] * 4)

    def test_memory_is_of_a_process_for_each_training(self):
        page = self.folder / "page.md"
        page.write_text(PAGE)
        done = self.run_peers("mlp-small", "xent-128", "--turns", 1, "--memory", "--docs", page)
        self.assertEqual(done.returncode, 0, done.stderr)
        (row,) = [line for line in page.read_text().splitlines() if line.startswith("| mlp-small | ") and "*" not in line]
        ours, theirs = (int(cell) for cell in row.strip("| ").split(" | ")[1:])
        self.assertIn(row, done.stdout)
        self.assertGreater(ours, 1)
        self.assertGreater(theirs, 1)
        self.assertNotIn("| xent-128 | ", done.stdout, "no training")
        asked = [json.loads(line) for line in self.asked.read_text().splitlines()]
        self.assertEqual([(one["work"]["name"], one["pass"], one["seconds"]) for one in asked], [("mlp-small", "train", 0.001)], "the process of the turns is another one")

    def test_passes_devices_and_patterns_are_chosen(self):
        done = self.run_peers("linear-512-1*", "adam", "--turns", 1, "--pass", "forward", "--pass", "step", "--device", "cpu", "--device", "reference")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.split()[:3] for line in done.stdout.splitlines()[1:]]
        self.assertEqual(rows, [["linear-512-10", "forward", "cpu"], ["linear-512-10", "forward", "reference"], ["adam", "step", "cpu"], ["adam", "step", "reference"]])
        self.assertIn("1.2, 2.0: aimed at", done.stdout)

    def test_a_page_is_written_between_its_marks(self):
        page = self.folder / "page.md"
        page.write_text(PAGE)
        done = self.run_peers("xent-128", "--turns", 1, "--docs", page)
        self.assertEqual(done.returncode, 0, done.stderr)
        text = page.read_text()
        self.assertTrue(text.startswith("# Before\n<!-- written by") and text.endswith("<!-- the end of what it wrote -->\nafter\n"), text)
        for words in ("Peer 7, 2 threads", "--python PYTHON", "| xent-128, both | **", "| `cpu` |"):
            self.assertIn(words, text)
        for words in ("old", "--python /"):
            self.assertNotIn(words, text)

    def test_what_is_wrong_is_said(self):
        page = self.folder / "page.md"
        page.write_text("no marks\n")
        cases = (
            (["nothing"], "there is no work 'nothing'"),
            (["xent-128", "--turns", 0], "at least 1"),
            (["xent-128", "--turns", 1, "--docs", page], "has not both marks"),
            (["mlp", "--peer", "tinygrad", "--memory"], "--docs and --memory are of PyTorch"),
            (["xent-128", "--turns", 1, "--device", "nowhere"], "clgrad on nowhere ended with status 3"),
        )
        for arguments, words in cases:
            done = self.run_peers(*arguments)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(words, done.stderr)
        done = self.run_peers("xent-128", stop=2)
        self.assertEqual(done.returncode, 1)
        self.assertIn("PyTorch ended with status 5", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
