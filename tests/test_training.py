"""clgrad train with schedules, clipping, averages and the rest: flags, messages, and resuming to the same bytes."""
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import unittest

from test_command import COMMAND, SMALL, CommandTest, idx, read_bytes, read_safetensors, write_bytes, write_safetensors


class TrainingTest(CommandTest):
    def expect_same_resumed(self, *flags, epochs=4, half=2):
        """`epochs` at once, and in two parts: the same bytes in the file and the same losses in the log."""
        self.train("--epochs", epochs, "--out", "whole", "--log", "whole.log", *flags)
        self.train("--epochs", epochs, "--stop-after", half, "--out", "half", "--log", "log", *flags)
        self.good("train", "--resume", "half", "--epochs", epochs, "--out", "half", "--log", "log", "--quiet")
        self.assertEqual(read_bytes(self.path("whole")), read_bytes(self.path("half")))
        keep = ("epoch", "step", "loss", "lr", "train_loss", "valid_loss", "valid_accuracy")
        first, second = ([{key: line.get(key) for key in keep} for line in self.log(name)] for name in ("whole.log", "log"))
        self.assertEqual(first, second)


class Schedules(TrainingTest):
    def rates(self, name="log"):
        return [line["lr"] for line in self.log(name) if "step" in line]

    def test_the_rate_of_every_update_is_logged(self):
        self.train("--steps", 5, "--schedule", "ExponentialLR(gamma=0.5)", "--optimizer", "SGD(lr=0.16)", "--log", "log")
        self.assertEqual(self.rates(), [0.16, 0.08, 0.04, 0.02, 0.01])
        self.train("--epochs", 2, "--schedule", "ExponentialLR(gamma=0.5)", "--schedule-every", "epoch", "--optimizer",
                   "SGD(lr=0.16)", "--log", "log")
        self.assertEqual(self.rates(), [0.16] * 23 + [0.08] * 23)

    def test_a_resumed_schedule_goes_on_with_the_same_bytes(self):
        for flags in (["--schedule", "OneCycleLR(max_lr=0.01, total_steps=92)"],
                      ["--schedule", "StepLR(step_size=2)", "--schedule-every", "epoch"],
                      ["--schedule", "ReduceLROnPlateau(patience=0, threshold=10, threshold_mode='abs')"],
                      ["--schedule", "SequentialLR(schedulers=[LinearLR(), CosineAnnealingLR(T_max=87)], milestones=[5])",
                       "--optimizer", "NAdam()"]):
            with self.subTest(flags=flags):
                self.expect_same_resumed(*flags)

    def test_a_schedule_that_ends_too_early_is_an_error_and_one_of_another_length_a_warning(self):
        cycle = "OneCycleLR(max_lr=0.01, total_steps={})"
        self.bad(2, "ends after 45 updates, the training has 46", "train", "--epochs", 2, "--schedule", cycle.format(45))
        for schedule, pattern in ((cycle.format(47), "made for 47 updates, the training has 46: .* not come down"),
                                  ("CosineAnnealingLR(T_max=45)", "made for 45 updates, .* 46: .* not follow")):
            result = self.run_command("train", "--model", SMALL, "--epochs", 2, "--schedule", schedule)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertRegex(result.stderr, pattern)
        self.assertIn("OneCycleLR", self.good("train", "--model", SMALL, "--epochs", 2, "--schedule", cycle.format(46)))

    def test_wrong_schedules_are_usage_errors(self):
        for pattern, *arguments in (
                ("Foo", "--schedule", "Foo()"), ("column", "--schedule", "StepLR("), ("step_size", "--schedule", "StepLR()"),
                ("needs --schedule", "--schedule-every", "epoch"),
                ("--schedule-every week.*epoch", "--schedule", "StepLR(3)", "--schedule-every", "week"),
                ("validation", "--schedule", "ReduceLROnPlateau()", "--valid", 0),
                ("momentum", "--schedule", "OneCycleLR(max_lr=1, total_steps=230)", "--optimizer", "Adagrad(lr=0.1)")):
            with self.subTest(arguments=arguments):
                self.bad(2, pattern, "train", "--model", SMALL, *arguments)

    def test_another_schedule_than_the_files_is_refused(self):
        self.train("--epochs", 1, "--schedule", "StepLR(step_size=30)", "--out", "a")
        self.train("--epochs", 1, "--out", "b")
        for pattern, name, *arguments in (
                (r"--schedule StepLR\(step_size=20.*30", "a", "--schedule", "StepLR(20)"),
                ("--schedule none.*StepLR", "a", "--schedule", "none"),
                ("--schedule-every epoch.*step", "a", "--schedule-every", "epoch"),
                (r"--schedule StepLR\(.*none", "b", "--schedule", "StepLR(20)")):
            with self.subTest(arguments=arguments):
                self.bad(2, pattern, "train", "--resume", name, "--epochs", 2, *arguments)
        self.good("train", "--resume", "a", "--schedule", "StepLR(30)", "--epochs", 2, "--quiet")
        self.assertEqual(json.loads(self.good("info", "a", "--json"))["checkpoint"]["schedule"],
                         "StepLR(step_size=30, gamma=0.1)")


class Options(TrainingTest):
    DROPPING = "Flatten(), Linear(64, 12), BatchNorm1d(12), Dropout(0.2), ReLU(), Linear(12, 10)"
    EVERYTHING = ("--model", DROPPING, "--schedule", "OneCycleLR(max_lr=0.01, total_steps=48)", "--clip-norm", 0.5,
                  "--clip-value", 0.1, "--accumulate", 2, "--ema", 0.9, "--freeze", "1.bias", "--groups",
                  "5.*: lr=0.01; *.bias: weight_decay=0.1", "--patience", 9, "--augment", "shift(1), mixup(0.3)")

    def test_every_option_goes_on_with_the_same_bytes(self):
        pairs = list(zip(self.EVERYTHING[::2], self.EVERYTHING[1::2]))
        for flag, value in pairs[2:]:
            with self.subTest(flag=flag):
                self.expect_same_resumed("--limit", 300, "--model", self.DROPPING, flag, value)

    def test_all_options_together_go_on_with_the_same_bytes(self):
        self.expect_same_resumed(*self.EVERYTHING)
        self.expect_same_resumed(*self.EVERYTHING, "--precision", "f16")

    def test_stopped_inside_an_epoch_it_goes_on_with_the_same_bytes(self):
        self.train("--steps", 40, *self.EVERYTHING, "--out", "whole")
        self.train("--steps", 17, *self.EVERYTHING, "--out", "part")
        self.good("train", "--resume", "part", "--steps", 40, "--out", "part", "--quiet")
        self.assertEqual(read_bytes(self.path("whole")), read_bytes(self.path("part")))

    def test_the_saved_model_is_the_average(self):
        text = self.train("--epochs", 3, "--ema", 0.95, "--out", "average", "--log", "log")
        self.assertEqual(text, "")
        result = json.loads(self.good("eval", "average", "--json"))
        self.assertAlmostEqual(result["loss"], self.log("log")[-1]["valid_loss"], places=6)
        self.train("--epochs", 3, "--out", "plain")
        header, tensors = read_safetensors(self.path("average"))
        plain, weights = read_safetensors(self.path("plain"))
        begin, end = header["__training__.raw.1.weight"]["data_offsets"]
        other, last = plain["1.weight"]["data_offsets"]
        self.assertEqual(tensors[begin:end], weights[other:last])

    def test_steps_are_updates_and_each_has_a_line(self):
        self.train("--steps", 13, "--accumulate", 3, "--log", "log")  # an epoch is 7 updates of 3 and one of 2
        steps = [line for line in self.log("log") if "step" in line]
        self.assertEqual([line["step"] for line in steps], list(range(1, 14)))
        self.assertEqual([line["epoch"] for line in steps], [1] * 8 + [2] * 5)

    def test_patience_ends_early_and_says_so_and_the_best_is_kept(self):
        flags = ("--optimizer", "SGD(lr=3)", "--epochs", 60, "--patience", 2, "--limit", 200)
        text = self.good("train", "--model", SMALL, *flags, "--save-best", "best", "--out", "last")
        epochs = int(re.search(r"stopped    after epoch (\d+): .*not fallen.*the best, of epoch \d+, in best", text).group(1))
        self.assertLess(epochs, 60)
        result = json.loads(self.good("train", "--model", SMALL, *flags, "--json"))
        self.assertTrue(result["out_of_patience"])
        self.assertEqual(len(result["epochs"]), epochs)
        accuracies = [epoch["valid_accuracy"] for epoch in result["epochs"]]
        self.assertEqual(result["best"]["valid_accuracy"], max(accuracies))
        self.assertEqual(json.loads(self.good("eval", "best", "--json"))["accuracy"], max(accuracies))
        again = self.good("train", "--resume", "last", "--epochs", 60, "--out", "again")
        self.assertIn(f"stopped    after epoch {epochs}", again)
        self.assertEqual(read_bytes(self.path("last")), read_bytes(self.path("again")))
        more = self.good("train", "--resume", "last", "--epochs", epochs + 1, "--patience", 50)
        self.assertNotIn("stopped", more)

    def test_a_resumed_training_does_not_take_a_worse_epoch_for_the_best(self):
        self.train("--epochs", 6, "--save-best", "whole", "--optimizer", "SGD(lr=1)")
        flags = ("--epochs", 6, "--save-best", "best", "--out", "half")
        self.train(*flags, "--stop-after", 3, "--optimizer", "SGD(lr=1)")
        self.good("train", "--resume", "half", *flags, "--quiet")
        self.assertEqual(read_bytes(self.path("whole")), read_bytes(self.path("best")))

    def test_fine_tuning_keeps_what_is_frozen(self):
        self.train("--model", "Flatten(), Linear(64, 12), ReLU(), Linear(12, 10)", "--epochs", 1, "--out", "base")
        self.train("--model", "Flatten(), Linear(64, 12), ReLU(), Linear(12, 10), ReLU(), Linear(10, 10)", "--init", "base",
                   "--allow-missing", "--freeze", "1.*", "--groups", "3.*: lr=1e-5", "--epochs", 1, "--out", "tuned")
        header, tensors = read_safetensors(self.path("base"))
        tuned, changed = read_safetensors(self.path("tuned"))
        for name, same in (("1.weight", True), ("1.bias", True), ("3.weight", False)):
            (a, b), (c, d) = header[name]["data_offsets"], tuned[name]["data_offsets"]
            self.assertEqual(tensors[a:b] == changed[c:d], same, name)

    def test_wrong_values_are_usage_errors(self):
        for pattern, *arguments in (
                ("--clip-norm '0'.*above 0", "--clip-norm", 0), ("--clip-value 'x'", "--clip-value", "x"),
                ("--clip-norm '-1'", "--clip-norm", -1), ("--ema '1'", "--ema", 1), ("--ema 'nan'", "--ema", "nan"),
                ("--accumulate 0", "--accumulate", 0), ("--patience 0", "--patience", 0),
                ("validation", "--patience", 3, "--valid", 0), ("9\\.", "--freeze", "9.*"),
                ("nothing is left", "--freeze", "*"), ("colon", "--groups", "lr=3"),
                ("nonsense", "--groups", "*: nonsense=3"), ("validation", "--save-best", "b", "--valid", 0)):
            with self.subTest(arguments=arguments):
                self.bad(2, pattern, "train", "--model", SMALL, *arguments)
        self.bad(4, "cannot write missing/best", "train", "--save-best", "missing/best")

    def test_flags_that_disagree_with_the_file_are_named(self):
        self.train("--limit", 300, "--epochs", 1, *self.EVERYTHING, "--out", "a")
        for pattern, *arguments in (
                ("--clip-norm 1.0 .*0.5", "--clip-norm", 1), ("--clip-value 0.2 .*0.1", "--clip-value", 0.2),
                ("--accumulate 3 .*2", "--accumulate", 3), ("--ema EMA.*0.5.*0.9", "--ema", 0.5),
                ("--freeze 5.bias .*1.bias", "--freeze", "5.bias"), ("--groups .*5", "--groups", "1.*: lr=1")):
            with self.subTest(arguments=arguments):
                self.bad(2, pattern, "train", "--resume", "a", *arguments)
        header, tensors = read_safetensors(self.path("a"))
        for key, value in (("clip_norm", "x"), ("accumulate", "-3"), ("average_updates", "[1, 2]"), ("best", "x"),
                           ("average", "Foo()"), ("schedule", "StepLR(")):
            with self.subTest(key=key):
                changed = dict(header, __metadata__=dict(header["__metadata__"], **{key: value}))
                write_safetensors(self.path("broken"), changed, tensors)
                self.bad(4, "broken", "train", "--resume", "broken")

    def test_a_nan_names_the_op_it_came_out_of(self):
        result = self.bad(1, r"epoch 1, step \d+ .*the first NaN came out of \w+, \[.*\], in ", "train", "--optimizer",
                          "SGD(lr=1e30)", "--ema", 0.9, "--clip-norm", 1e30)
        self.assertNotIn("nan", result.stdout)


    def test_other_data_of_the_same_name_is_not_gone_on_with(self):
        def make(rows):
            folder = self.path("faces")
            os.makedirs(folder, exist_ok=True)
            for part, count in (("train", rows), ("t10k", 10)):
                write_bytes(os.path.join(folder, f"{part}-images-idx3-ubyte"),
                            idx((count, 4, 4), [i * 7 % 256 for i in range(count * 16)]))
                write_bytes(os.path.join(folder, f"{part}-labels-idx1-ubyte"), idx((count,), [i % 10 for i in range(count)]))

        make(60)
        self.good("train", "--data", "faces", "--model", "Flatten(), Linear(16, 10)", "--epochs", 1, "--out", "a", "--quiet")
        make(66)
        self.bad(4, "a: it was trained on 50 rows and validated on 10, the data 'faces' has 55 and 11", "train", "--resume",
                 "a", "--data", "faces", "--epochs", 2)


class Killed(TrainingTest):
    """kill -9 at moments drawn by a seed: what is there loads, and the training that goes on ends with the same bytes.
    CLGRAD_TEST_KILLS=200 asks for more of them, CLGRAD_TEST_KILL_SEED=N for others."""
    FLAGS = ("--epochs", "6", "--save-every", "5", *map(str, Options.EVERYTHING))

    def start(self, *arguments):
        return subprocess.Popen([COMMAND, "train", *arguments, "--out", "killed", "--quiet"], cwd=self.folder,
                                env=self.environment, stderr=subprocess.PIPE)

    def killed_after(self, seconds, arguments):
        """False when the training was done before."""
        process = self.start(*arguments)
        try:
            status = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        error = process.stderr.read().decode()
        process.stderr.close()
        self.assertIn(status, (0, -signal.SIGKILL), error)
        return status != 0

    def test_kills_at_any_moment_lose_nothing_that_was_saved(self):
        flags = tuple(f.replace("total_steps=48", "total_steps=72") for f in self.FLAGS)
        begin = time.monotonic()
        self.train(*flags, "--out", "whole")
        whole = time.monotonic() - begin
        kills, left = 0, int(os.environ.get("CLGRAD_TEST_KILLS", 10))
        draw = random.Random(int(os.environ.get("CLGRAD_TEST_KILL_SEED", 1)))
        while kills < left:
            for name in os.listdir(self.folder):
                if name.startswith("killed"):
                    os.remove(self.path(name))
            going, arguments = True, flags
            while going:
                going = self.killed_after(draw.uniform(0, 1.2 * whole) if kills < left else 300, arguments)
                kills += going
                if os.path.exists(self.path("killed")):
                    self.good("info", "killed")
                    arguments = ("--resume", "killed", "--epochs", "6", "--save-every", "5")
            self.assertEqual(read_bytes(self.path("whole")), read_bytes(self.path("killed")), f"after {kills} kills")


class Precision(TrainingTest):
    MODEL = "Flatten(), Linear(64, 48), ReLU(), Dropout(0.1), Linear(48, 10)"

    def accuracy(self, *flags):
        return json.loads(self.good("train", "--model", self.MODEL, "--epochs", 8, "--json", *flags))["accuracy"]

    def test_sixteen_bits_learn_as_well(self):
        whole = self.accuracy("--out", "f32")
        for precision in ("f16", "bf16"):
            self.assertAlmostEqual(self.accuracy("--precision", precision, "--out", precision), whole, delta=0.015)
            self.assertNotEqual(read_bytes(self.path(precision)), read_bytes(self.path("f32")), "something was rounded")

    def test_eval_and_predict_keep_weights_in_sixteen_bits(self):
        self.train("--model", self.MODEL, "--epochs", 3, "--out", "a")
        loss = {p: json.loads(self.good("eval", "a", "--json", "--precision", p))["loss"] for p in ("f32", "f16", "bf16")}
        self.assertNotEqual(loss["f16"], loss["f32"])
        self.assertAlmostEqual(loss["f16"], loss["f32"], delta=1e-3)
        self.assertAlmostEqual(loss["bf16"], loss["f32"], delta=2e-2)
        self.good("predict", "a", "--count", 3, "--precision", "bf16")

    def test_it_is_kept_and_goes_on_with_the_same_bytes(self):
        for precision in ("f16", "bf16"):
            self.expect_same_resumed("--limit", 300, "--model", self.MODEL, "--precision", precision)
        checkpoint = json.loads(self.good("info", "half", "--json"))["checkpoint"]
        self.assertEqual(checkpoint["precision"], "bf16")
        self.bad(2, "--precision f16.*bf16", "train", "--resume", "half", "--epochs", 5, "--precision", "f16")
        self.bad(2, "--precision f32.*bf16", "train", "--resume", "half", "--epochs", 5, "--precision", "f32")

    def test_timed_ops_leave_the_same_bytes(self):
        flags = ("--limit", 300, "--model", self.MODEL, "--precision", "f16", "--epochs", 2, "--out")
        self.train(*flags, "plain")
        self.train(*flags, "reported", "--report", self.path("page.html"))
        self.assertEqual(read_bytes(self.path("plain")), read_bytes(self.path("reported")))

    def test_a_gradient_that_is_too_large_for_f16_leaves_its_update_out(self):
        """A loss times 65536 is soon too large: the factor is halved until it fits, and the training goes on."""
        rows = "".join(f"{i % 7},{i % 5},{(i % 7) * 300 - 1000}\n" for i in range(64))
        write_bytes(self.path("a.csv"), ("x,y,z\n" + rows).encode())
        self.good("train", "--data", self.path("a.csv"), "--task", "numbers", "--model", "Linear(2, 1)", "--optimizer", "SGD(lr=0.01)",
                  "--precision", "f16", "--epochs", 10, "--out", "a", "--log", "log")
        factor = json.loads(json.loads(self.good("info", "a", "--json"))["checkpoint"]["loss_scale"])[0]
        self.assertLess(factor, 65536)
        losses = [line["train_loss"] for line in self.log("log") if "train_loss" in line]
        self.assertLess(losses[-1], losses[0])


if __name__ == "__main__":
    if COMMAND is None:
        sys.exit("usage: test_training.py PATH_OF_CLGRAD")
    unittest.main(argv=sys.argv[:1])
