"""Several processes train one model: what they compute is what one computes, and how they end together.
Usage: test_ranks.py COMMAND"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

COMMAND = pathlib.Path(sys.argv.pop()).resolve()
SMOOTH = "Flatten(), Linear(64, 24), Tanh(), Linear(24, 10)"
# As root, with more processes than cores, and without the network: what a test machine needs and a user does not.
MPI = dict(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1",
           OMPI_MCA_hwloc_base_binding_policy="none", OMPI_MCA_btl_vader_single_copy_mechanism="none", OMP_NUM_THREADS="1")


def environment(**more):
    return {**os.environ, **MPI, **more}


def words(ranks, *arguments):
    return [*(["mpirun", "-n", str(ranks)] if ranks > 1 else []), str(COMMAND), "train", *arguments]


def train(ranks, *arguments, **more):
    return subprocess.run(words(ranks, *arguments), env=environment(**more), capture_output=True, text=True, timeout=300)


def said(text):
    """What clgrad said, without mpirun's own sentences."""
    return [line[line.index("clgrad: "):] for line in text.splitlines() if "clgrad: " in line]


class Ranks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def losses(self, ranks, *arguments, **more):
        log = self.folder / "log.jsonl"
        log.unlink(missing_ok=True)
        done = train(ranks, "--model", SMOOTH, "--quiet", "--log", str(log), *arguments, **more)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        return [line["loss"] for line in lines if "loss" in line], [line["valid_loss"] for line in lines if "valid_loss" in line]

    def compare(self, ranks, *arguments, **more):
        """Each step's loss, and the validation's, within 1e-5 of one process's."""
        one, many = self.losses(1, *arguments, **more), self.losses(ranks, *arguments, **more)
        self.assertGreater(len(one[0]), 0)
        for expected, actual in zip(one, many):
            self.assertEqual(len(expected), len(actual))
            for a, b in zip(expected, actual):
                self.assertLess(abs(a - b), 1e-5 * abs(a), (expected, actual))

    def test_two_and_four_compute_what_one_computes(self):
        for ranks in (2, 4):
            self.compare(ranks, "--epochs", "2", "--device", "cpu", "--optimizer", "SGD(lr=0.1, momentum=0.9)")

    def test_batches_that_do_not_divide(self):
        # 97 rows: the last of three batches has one row, which one rank takes; of the others each takes 16.
        self.compare(3, "--epochs", "3", "--device", "cpu", "--batch", "48", "--limit", "97", "--valid", "0.1", "--clip-norm", "0.5",
                     "--accumulate", "2")

    def test_a_loss_that_sums(self):
        self.compare(2, "--epochs", "1", "--device", "cpu", "--loss", "CrossEntropyLoss(reduction='sum')", "--optimizer", "SGD(lr=0.001)")

    def test_ops_that_run_at_once(self):
        self.compare(2, "--steps", "10", "--epochs", "1", "--device", "cpu", CLGRAD_EAGER="1")

    def test_an_opencl_device(self):
        if "opencl:pocl" not in subprocess.run([COMMAND, "devices"], capture_output=True, text=True).stdout:
            self.skipTest("PoCL is not here")
        self.compare(2, "--steps", "20", "--device", "opencl:pocl")

    def test_each_takes_its_device(self):
        done = train(2, "--model", SMOOTH, "--epochs", "1", "--device", "cpu", "--device", "reference")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("ranks      2 processes", done.stdout)
        missing = train(2, "--model", SMOOTH, "--epochs", "1", "--device", "cpu", "--device", "nothing")
        self.assertNotEqual(missing.returncode, 0)
        self.assertRegex(" ".join(said(missing.stderr)), "rank 1 of 2: .*nothing")
        alone = train(1, "--device", "cpu", "--device", "reference")
        self.assertEqual(alone.returncode, 2)
        self.assertIn("--device was given 2 times", alone.stderr)

    def test_a_checkpoint_of_several_goes_on_alone_and_together(self):
        path = str(self.folder / "model.safetensors")
        whole = self.losses(1, "--epochs", "4", "--device", "cpu")[0]
        first = self.losses(2, "--epochs", "4", "--stop-after", "2", "--device", "cpu", "--out", path)[0]
        kept = shutil.copy(path, self.folder / "kept.safetensors")
        for ranks in (1, 2):
            rest = self.losses(ranks, "--epochs", "4", "--device", "cpu", "--resume", str(kept))[0]
            for a, b in zip(whole, first + rest):
                self.assertLess(abs(a - b), 1e-4 * abs(a))
            self.assertEqual(len(whole), len(first + rest))

    def test_errors_are_said_once(self):
        for arguments, status, text in ((("--model", "Linear(3"), 2, "expected ',' or ')'"), (("--batch", "1"), 2, "a batch of 1 for 2 processes"),
                                        (("--data", "nowhere"), 4, "nowhere")):
            done = train(2, "--device", "cpu", *arguments)
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertIn(text, " ".join(said(done.stderr)))
            self.assertEqual(len(said(done.stderr)), 1, done.stderr)
        done = train(2, "--device", "cpu", "--find-lr")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--find-lr is for one process, not for 2", done.stderr)

    def test_a_loss_that_is_not_a_number_ends_all(self):
        done = train(2, "--model", SMOOTH, "--device", "cpu", "--quiet", "--optimizer", "SGD(lr=1e38)")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(len(said(done.stderr)), 1, done.stderr)
        self.assertIn("the loss is not a number", done.stderr)

    def begin_endless(self, path):
        process = subprocess.Popen(words(2, "--model", SMOOTH, "--epochs", "1000000", "--device", "cpu", "--quiet", "--out", path),
                                   env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        end = time.monotonic() + 60
        while not os.path.exists(path) and time.monotonic() < end:
            time.sleep(0.05)
        self.assertTrue(os.path.exists(path), "an epoch was saved")
        return process

    def check_saved(self, path, half_written=False):
        """The checkpoint is whole, and nothing lies beside it but, where half_written, what a killed process was writing."""
        beside = [name for name in os.listdir(self.folder) if name != os.path.basename(path)]
        self.assertEqual([name for name in beside if not (half_written and name.endswith(".tmp"))], [])
        done = subprocess.run([COMMAND, "eval", path, "--device", "cpu"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_an_interrupt_ends_all_after_the_same_update(self):
        path = str(self.folder / "model.safetensors")
        process = self.begin_endless(path)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertNotEqual(process.returncode, 0)
        self.assertIn("interrupted in epoch", err)
        self.assertIn("go on with", err)
        self.check_saved(path)

    def test_a_rank_that_is_lost_ends_all_with_the_last_checkpoint(self):
        for lost in (0, 1):
            path = str(self.folder / f"model{lost}.safetensors")
            process = self.begin_endless(path)
            os.kill(self.rank_of(process, lost), signal.SIGKILL)
            out, err = process.communicate(timeout=60)
            self.assertNotEqual(process.returncode, 0)
            self.assertIn("another process of this run does not answer any more", err)
            if lost == 1:
                self.assertIn(f"the last checkpoint: saved to {path}; go on with", err)
            self.check_saved(path, half_written=lost == 0)
            for name in os.listdir(self.folder):
                os.unlink(self.folder / name)

    def rank_of(self, process, rank):
        """The process of a rank among mpirun's children."""
        for entry in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                text = entry.read_bytes()
                parent = int((entry.parent / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if parent == process.pid and f"OMPI_COMM_WORLD_RANK={rank}\0".encode() in text:
                return int(entry.parent.name)
        self.fail(f"no process of rank {rank}")


def missing():
    if shutil.which("mpirun") is None:
        return "mpirun is not here"
    starts = subprocess.run(["mpirun", "-n", "2", "true"], env=environment(), capture_output=True, text=True)
    if starts.returncode != 0:
        return "mpirun does not start here: " + " ".join(starts.stderr.split())
    done = train(2, "--device", "cpu", "--epochs", "1", "--quiet")
    return "this build has no MPI" if "needs MPI" in done.stderr or "need MPI" in done.stderr else None


if __name__ == "__main__":
    reason = missing()
    if reason is not None:
        print(f"ranks: skipped, {reason}")
        sys.exit(77)
    unittest.main(verbosity=2)
