"""What clgrad train shows besides losses: the finder's curve (--find-lr), and activations (--stats)."""
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import unittest

from test_command import COMMAND, SMALL, CommandTest


class FindLr(CommandTest):
    def test_the_curve_is_drawn_and_a_rate_suggested(self):
        text = self.good("train", "--model", SMALL, "--find-lr")
        self.assertRegex(text, r"suggestion lr=[\d.e-]+, where")
        self.assertEqual(len([line for line in text.splitlines() if "*" in line or "|" in line]), 13)
        self.assertRegex(text, r"\A[\x20-\x7e\n]+\Z")
        self.assertEqual(os.listdir(self.folder), [])

    def test_json_has_the_points(self):
        result = json.loads(self.good("train", "--model", SMALL, "--find-lr", "--json", "--optimizer", "SGD(lr=0.1)"))
        self.assertEqual(sorted(result["points"][0]), ["loss", "lr", "smooth"])
        rates = [point["lr"] for point in result["points"]]
        self.assertEqual(rates, sorted(rates))
        self.assertAlmostEqual(rates[0], 1e-7)
        self.assertIn(result["suggestion"], rates)
        self.assertGreater(result["suggestion"], 1e-3)

    def test_the_suggested_rate_learns_better_than_one_a_thousand_times_smaller(self):
        lr = json.loads(self.good("train", "--model", SMALL, "--find-lr", "--json"))["suggestion"]
        losses = []
        for rate in (lr, lr / 1000):
            result = json.loads(self.good("train", "--model", SMALL, "--epochs", 2, "--json", "--optimizer", f"Adam(lr={rate})"))
            losses.append(result["loss"])
        self.assertLess(losses[0], losses[1])

    def test_it_saves_nothing_and_says_so(self):
        for flag in ("--out", "--log", "--save-best"):
            self.bad(2, f"--find-lr saves nothing: {flag}", "train", "--find-lr", flag, "x")

    def test_a_rate_that_never_lowers_the_loss_is_no_suggestion(self):
        result = self.run_command("train", "--model", SMALL, "--find-lr", "--optimizer", "SGD(lr=0.1, maximize=True)")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("no suggestion", result.stdout)


class Stats(CommandTest):
    MODEL = "Flatten(), Linear(64, 12), ReLU(), Linear(12, 10)"

    def test_every_epoch_has_a_row_for_each_layer(self):
        result = json.loads(self.good("train", "--model", self.MODEL, "--epochs", 2, "--stats", "--json", "--log", "log"))
        for epochs in (result["epochs"], [line for line in self.log("log") if "train_loss" in line]):
            self.assertEqual(len(epochs), 2)
            for epoch in epochs:
                rows = epoch["activations"]
                self.assertEqual([(row["layer"], row["class"]) for row in rows],
                                 [("0", "Flatten"), ("1", "Linear"), ("2", "ReLU"), ("3", "Linear")])
                self.assertGreater(rows[2]["zeros"], 0.1)
                self.assertAlmostEqual(rows[0]["std"], 1, delta=0.1)

    def test_the_table_has_the_first_and_the_last_epoch(self):
        text = self.good("train", "--model", self.MODEL, "--epochs", 2, "--stats")
        self.assertRegex(text, r"2 ReLU +[\d.]+ +[\d.]+ +[\d.]+ % +[\d.]+ +[\d.]+ +[\d.]+ %\n")

    def test_the_trained_bytes_are_the_same_with_them(self):
        for flags in ([], ["--stats"]):
            self.train("--epochs", 2, "--out", "with" if flags else "without", *flags)
        with open(self.path("with"), "rb") as one, open(self.path("without"), "rb") as other:
            self.assertEqual(one.read(), other.read())


class Terminal(CommandTest):
    def shown(self, *arguments, locale="C.UTF-8", columns=80):
        """What a terminal gets. Small batches: a fast machine, too, spends its time in steps, not between epochs."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = dict(self.environment, TERM="xterm", LC_ALL=locale)
        command = [COMMAND, "train", "--model", SMALL, "--epochs", "100", "--batch", "2", *arguments]
        with subprocess.Popen(command, cwd=self.folder, env=environment, stdout=slave) as process:
            os.close(slave)
            said = b""
            while part := self.read(master):
                said += part
            self.assertEqual(process.wait(timeout=60), 0)
        os.close(master)
        return said.decode()

    @staticmethod
    def read(master):
        try:
            return os.read(master, 4096)
        except OSError:  # Linux's way to say that the other end is closed
            return b""

    def test_the_live_line_has_a_bar_and_a_sparkline_of_the_loss_that_falls(self):
        said = self.shown(columns=110)
        lines = [line for line in said.split("\r") if "samples/s" in line and "left" in line and line.startswith("epoch")]
        sparks = re.findall("  ([▁▂▃▄▅▆▇█]{2,16})  loss", "".join(lines))
        self.assertTrue(sparks, said[-2000:])
        self.assertTrue(all(spark[0] == "█" for spark in sparks), sparks)
        self.assertTrue(all(spark[-1] in "▁▂▃" for spark in sparks), sparks)
        self.assertIn("░", "".join(lines))
        self.assertTrue(all(len(line.split("\x1b")[0]) < 110 for line in lines))

    def test_a_narrow_terminal_has_the_curve_at_the_end(self):
        said = self.shown()
        self.assertRegex(said, r"\nloss       █[▁▂▃▄▅▆▇█]+▁  from [\d.]+ to [\d.]+\r\n")
        self.assertTrue(all(len(line.split("\x1b")[0]) < 80 for line in said.split("\r") if line.startswith("epoch ")))
        self.assertRegex(self.shown(locale="C"), r"\nloss       #[_.:=+*#-]+_  from")

    def test_quiet_and_what_is_no_terminal_have_none_of_it(self):
        self.assertEqual(self.shown("--quiet"), "")
        self.assertNotIn("\r", self.good("train", "--model", SMALL, "--epochs", 3))


if __name__ == "__main__":
    if COMMAND is None:
        sys.exit("usage: test_training_views.py PATH_OF_CLGRAD")
    unittest.main(argv=sys.argv[:1])
