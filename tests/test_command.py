"""The clgrad command from outside: exit statuses, messages, log, checkpoints. Run with the command's path."""
import gzip
import json
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

COMMAND = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else None
SMALL = "Flatten(), Linear(64, 10)"
NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


def idx(shape, values):
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + bytes(values)


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def write_bytes(path, content):
    with open(path, "wb") as file:
        file.write(content)


def read_safetensors(path):
    """(header, bytes of the tensors)."""
    content = read_bytes(path)
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8:8 + size]), content[8 + size:]


def write_safetensors(path, header, tensors):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    write_bytes(path, struct.pack("<Q", len(text)) + text + tensors)


class CommandTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="clgrad-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        # Threads that wait must not spin: other tests run on the same cores.
        self.environment = dict(os.environ, CLGRAD_DEVICE="cpu", OMP_WAIT_POLICY="passive")
        self.environment.pop("CLGRAD_LOG", None)

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_command(self, *arguments, **options):
        return subprocess.run([COMMAND, *map(str, arguments)], cwd=self.folder, env=self.environment, timeout=300,
                              capture_output=True, text=True, **options)

    def good(self, *arguments):
        result = self.run_command(*arguments)
        self.assertEqual(result.returncode, 0, f"{arguments}: {result.stderr}")
        self.assertEqual(result.stderr, "")
        return result.stdout

    def bad(self, status, pattern, *arguments, **options):
        """Exactly this exit status and one message on stderr that holds the pattern."""
        result = self.run_command(*arguments, **options)
        self.assertEqual(result.returncode, status, f"{arguments}: {result.stderr}")
        self.assertRegex(result.stderr, r"\Aclgrad[a-z ]*: ")
        self.assertRegex(result.stderr, pattern)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        return result

    def train(self, *arguments):
        return self.good("train", "--model", SMALL, "--quiet", *arguments)

    def log(self, name):
        with open(self.path(name)) as file:
            return [json.loads(line) for line in file]

    def leftovers(self):
        return sorted(name for name in os.listdir(self.folder) if "tmp" in name)


class Usage(CommandTest):
    def test_help_is_there_for_every_command_and_names_the_exit_statuses(self):
        self.assertIn("train", self.good("--help"))
        for command in ("devices", "train", "eval", "predict", "info", "tune"):
            text = self.good(command, "--help")
            self.assertIn("--device", text)
            self.assertIn("--json", text)
            self.assertIn("Exit status", text)

    def test_version_names_backends_and_libraries(self):
        text = self.good("--version")
        for word in (r"\Aclgrad \d", "backend cpu", "backend reference", "zlib", "cJSON", "libpng", "libjpeg"):
            self.assertRegex(text, word)

    def test_wrong_flags_are_usage_errors(self):
        for pattern, *arguments in (
                ("unknown flag --foo .*clgrad train --help", "--foo"), ("unknown flag --foo", "--foo=3"),
                ("unknown flag -x", "-x"),
                ("--batch 0.*at least 1", "--batch", 0), ("--batch -3", "--batch", -3), ("--batch x", "--batch=x"),
                ("--batch 1e3", "--batch", "1e3"), ("--batch needs a value", "--batch"),
                ("--batch needs a value", "--batch", "--json"), ("--quiet takes no value", "--quiet=1"),
                ("--seed -1", "--seed", -1), ("--seed 9{30}", "--seed", "9" * 30), ("--epochs -1", "--epochs", -1),
                ("--valid '1'", "--valid", 1), ("--valid 'nan'", "--valid", "nan"), ("--limit 0", "--limit", 0),
                ("--normalize '3'", "--normalize", 3), ("--normalize '1,0'", "--normalize", "1,0"),
                ("--fallback maybe.*allow", "--fallback", "maybe"), ("--precision f8.*one of f32.f16.bf16", "--precision", "f8"),
                ("unexpected argument 'x'", "x"), ("--save-every needs --out", "--save-every", 3),
                ("--allow-extra needs --init", "--allow-extra"),
                ("exclude each other", "--init", "a", "--resume", "b")):
            with self.subTest(arguments=arguments):
                self.bad(2, pattern, "train", *arguments)

    def test_missing_and_unknown_commands_are_usage_errors(self):
        self.assertEqual(self.run_command().returncode, 2)
        self.bad(2, "unknown command bogus", "bogus")
        self.bad(2, "FILE is needed", "eval")
        self.bad(2, "--split", "eval", "x", "--split", "dev")
        self.bad(3, "there is nothing to tune", "tune", "--device", "cpu")
        self.bad(2, "--rows", "predict", self.saved(), "--rows", "1,x")

    def saved(self):
        self.train("--epochs", 1, "--out", "saved")
        return "saved"

    def test_models_losses_and_optimizers_that_do_not_parse_are_usage_errors(self):
        for pattern, *arguments in (
                ("Foo", "--model", "Foo(3)"), ("column 10", "--model", "Linear(64"), ("Linear", "--model", "Linear(64)"),
                ("empty", "--model", ""), ("Foo", "--optimizer", "Foo()"), ("column", "--optimizer", "SGD(lr="),
                ("momentun", "--optimizer", "SGD(lr=0.1, momentun=0.9)"), ("Foo", "--loss", "Foo()")):
            with self.subTest(arguments=arguments):
                self.bad(2, pattern, "train", *arguments)

    def test_a_full_output_is_not_success(self):
        with open("/dev/full", "w") as full:
            result = subprocess.run([COMMAND, "devices"], stdout=full, stderr=subprocess.PIPE, env=self.environment)
        self.assertEqual(result.returncode, 4)


class Devices(CommandTest):
    def test_every_device_has_a_string_that_opens_it(self):
        devices = json.loads(self.good("devices", "--json"))
        self.assertIn("cpu", [device["device"] for device in devices])
        for device in devices:
            self.assertNotEqual(device["name"], "")
            for key in ("device", "name", "vendor", "driver", "driver_version", "type", "units", "memory_bytes"):
                self.assertIn(key, device)
        self.assertIn("cpu", self.good("devices"))
        self.assertEqual(json.loads(self.good("devices", "--json", "--device", "cpu"))[0]["device"], "cpu")

    def test_a_device_that_is_not_there_is_a_device_error(self):
        self.bad(3, "bogus", "train", "--device", "bogus")
        self.bad(2, "comma", "train", "--device", "cpu,")
        self.bad(2, "colour", "train", "--device", "cpu,colour=red")
        self.environment["CLGRAD_DEVICE"] = "bogus"
        self.bad(3, "bogus", "train")

    def test_without_plug_ins_the_cpu_is_listed_and_trains(self):
        self.environment["CLGRAD_BACKEND_PATH"] = self.folder
        self.environment["CLGRAD_DEVICE"] = "auto"
        self.assertEqual(json.loads(self.good("devices", "--json"))[0]["device"], "cpu")
        self.train("--epochs", 1)


class Training(CommandTest):
    def test_without_arguments_the_digits_are_learned(self):
        begin = time.monotonic()
        text = self.good("train")
        if "CLGRAD_TEST_SLOW" not in os.environ:  # a build with sanitizers
            self.assertLess(time.monotonic() - begin, 60, "10 seconds on a machine that does nothing else")
        accuracy = float(re.search(r"accuracy ([\d.]+) %", text.splitlines()[-1]).group(1))
        self.assertGreaterEqual(accuracy, 96)

    def test_the_log_has_one_line_for_each_update_and_each_epoch(self):
        self.train("--epochs", 2, "--log", "log")
        lines = self.log("log")
        steps = [line for line in lines if "step" in line]
        epochs = [line for line in lines if "train_loss" in line]
        self.assertEqual([list(line) for line in steps], [["epoch", "step", "loss", "lr", "seconds"]] * 46)
        self.assertEqual([line["step"] for line in steps], list(range(1, 47)))
        self.assertEqual([line["epoch"] for line in steps], [1] * 23 + [2] * 23)
        self.assertTrue(all(a["seconds"] <= b["seconds"] for a, b in zip(steps, steps[1:])))
        self.assertTrue(all(line["lr"] == 0.001 for line in steps))
        keys = ["epoch", "train_loss", "valid_loss", "valid_accuracy", "train_seconds"]
        self.assertEqual([list(line) for line in epochs], [keys] * 2)
        self.assertEqual(lines.index(epochs[0]), 23)
        self.assertTrue(all(0 <= line["valid_accuracy"] <= 1 for line in epochs))
        self.assertLess(steps[-1]["loss"], steps[0]["loss"])

    def test_without_validation_the_log_has_no_validation(self):
        self.train("--epochs", 1, "--valid", 0, "--log", "log")
        self.assertEqual(list(self.log("log")[-1]), ["epoch", "train_loss", "train_seconds"])

    def test_steps_are_exact_and_go_across_epochs(self):
        self.train("--steps", 30, "--log", "log")
        lines = self.log("log")
        self.assertEqual(sum("step" in line for line in lines), 30)
        self.assertEqual(lines[-1]["epoch"], 2)

    def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(self):
        for name, seed in (("a", 3), ("b", 3), ("c", 4)):
            self.train("--epochs", 2, "--seed", seed, "--out", name)
        self.assertEqual(read_bytes(self.path("a")), read_bytes(self.path("b")))
        self.assertNotEqual(read_bytes(self.path("a")), read_bytes(self.path("c")))
        self.assertEqual(self.leftovers(), [])

    def test_another_device_draws_the_same_initial_weights(self):
        for device in ("cpu", "reference"):
            self.train("--epochs", 0, "--device", device, "--out", device)
        self.assertEqual(read_bytes(self.path("cpu")), read_bytes(self.path("reference")))

    def test_stopped_and_resumed_is_as_if_it_had_not_stopped(self):
        self.train("--epochs", 4, "--out", "whole", "--log", "whole.log")
        self.train("--epochs", 4, "--stop-after", 2, "--out", "half", "--log", "log")
        self.good("train", "--resume", "half", "--epochs", 4, "--out", "resumed", "--log", "log", "--quiet")
        self.assertEqual(read_bytes(self.path("whole")), read_bytes(self.path("resumed")))
        self.assertEqual(*([line.get("loss") for line in self.log(name)] for name in ("whole.log", "log")))

    def test_resuming_inside_an_epoch_keeps_the_order_of_rows(self):
        self.train("--steps", 40, "--out", "whole")
        self.train("--steps", 30, "--out", "part")
        self.good("train", "--resume", "part", "--steps", 40, "--out", "part", "--quiet")
        self.assertEqual(read_bytes(self.path("whole")), read_bytes(self.path("part")))

    def test_interrupted_training_saves_says_how_to_go_on_and_can(self):
        self.train("--epochs", 100, "--out", "whole")
        process = subprocess.Popen([COMMAND, "train", "--model", SMALL, "--epochs", "100", "--out", "half", "--log", "log"],
                                   cwd=self.folder, env=self.environment, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        while not (os.path.exists(self.path("log")) and os.path.getsize(self.path("log")) > 0):
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=120)[1]
        self.assertEqual(process.returncode, 130, error)
        self.assertRegex(error, r"(?s)interrupted in epoch \d+.*clgrad train --resume half --out half --epochs 100")
        self.good("train", "--resume", "half", "--out", "half", "--epochs", 100, "--quiet")
        self.assertEqual(read_bytes(self.path("whole")), read_bytes(self.path("half")))

    def test_every_optimizer_goes_on_with_the_same_bytes(self):
        for optimizer in ("SGD(lr=0.1, momentum=0.9)", "Adam(amsgrad=True)", "AdamW()", "RMSprop(momentum=0.5, centered=True)",
                          "Adagrad(lr_decay=0.1, initial_accumulator_value=0.1)", "Adadelta()", "NAdam()", "RAdam()", "Lion()", "LAMB()"):
            with self.subTest(optimizer=optimizer):
                self.train("--limit", 128, "--optimizer", optimizer, "--epochs", 2, "--out", "whole")
                self.train("--limit", 128, "--optimizer", optimizer, "--epochs", 1, "--out", "half")
                self.good("train", "--resume", "half", "--out", "half", "--epochs", 2, "--quiet")
                self.assertEqual(read_bytes(self.path("whole")), read_bytes(self.path("half")))

    def test_a_checkpoint_from_before_an_optimizer_had_all_its_arguments_goes_on(self):
        self.train("--epochs", 2, "--out", "whole")
        self.train("--epochs", 1, "--out", "half")
        header, tensors = read_safetensors(self.path("half"))
        text = header["__metadata__"]["optimizer"]
        header["__metadata__"]["optimizer"] = re.sub(r", amsgrad=.*\)", ")", text)
        self.assertNotEqual(header["__metadata__"]["optimizer"], text)
        write_safetensors(self.path("half"), header, tensors)
        self.good("train", "--resume", "half", "--out", "half", "--epochs", 2, "--quiet")
        self.assertEqual(read_bytes(self.path("whole")), read_bytes(self.path("half")))

    def test_flags_that_disagree_with_the_resumed_file_are_named(self):
        self.train("--epochs", 1, "--out", "a")
        for pattern, *arguments in (
                ("--batch 32.*64", "--batch", 32), ("--seed 7.*0", "--seed", 7), ("--limit 5.*0", "--limit", 5),
                ("--valid 0.1.*0.2", "--valid", 0.1), ("--no-shuffle", "--no-shuffle"),
                ("--model .*Linear", "--model", "Flatten(), Linear(64, 12)"), ("--loss|MSELoss", "--loss", "MSELoss()"),
                ("--optimizer SGD.*Adam", "--optimizer", "SGD(lr=0.1)"), ("--normalize none", "--normalize", "none"),
                ("--data mnist.*digits", "--data", "mnist")):
            with self.subTest(arguments=arguments):
                self.bad(2, pattern, "train", "--resume", "a", *arguments)
        self.good("train", "--resume", "a", "--model", SMALL, "--optimizer", "Adam()", "--batch", 64, "--quiet",
                  "--epochs", 2)

    def test_a_loss_that_is_not_a_number_is_the_answer_wrong(self):
        result = self.bad(1, "epoch 1, step 2", "train", "--optimizer", "SGD(lr=1e30)", "--out", "out", "--log", "log")
        self.assertNotIn("nan", result.stdout)
        self.assertFalse(os.path.exists(self.path("out")))
        self.assertIsNone(self.log("log")[-1]["loss"])

    def test_the_json_result_is_one_object(self):
        result = json.loads(self.good("train", "--model", SMALL, "--epochs", 2, "--json", "--out", "out"))
        self.assertEqual([epoch["epoch"] for epoch in result["epochs"]], [1, 2])
        self.assertEqual((result["device"], result["split"], result["n"], result["steps"]), ("cpu", "valid", 359, 46))
        self.assertEqual(result["parameters"], 650)
        self.assertEqual(result["accuracy"], result["epochs"][-1]["valid_accuracy"])

    def test_plain_output_has_no_control_characters(self):
        self.assertNotRegex(self.good("train", "--model", SMALL, "--epochs", 2), r"[\r\x1b]")
        self.assertEqual(self.good("train", "--model", SMALL, "--epochs", 1, "--quiet"), "")


class Files(CommandTest):
    def test_what_cannot_be_written_is_found_before_the_training(self):
        for name in ("missing/out", ".", "/dev/null", "missing/"):
            with self.subTest(name=name):
                result = self.bad(4, "cannot write", "train", "--out", name, "--epochs", 1000000)
                self.assertEqual(result.stdout, "")
        self.bad(4, "cannot write missing/log", "train", "--log", "missing/log", "--epochs", 1000000)

    @unittest.skipIf("CLGRAD_TEST_COVERAGE" in os.environ, "the limit of a file's size would cut the files of counters, too")
    def test_a_full_disk_leaves_the_old_checkpoint_whole(self):
        def limit_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        self.train("--epochs", 1, "--out", "out")
        before = read_bytes(self.path("out"))
        self.assertGreater(len(before), 4096)
        self.bad(4, "cannot write .*out", "train", "--model", SMALL, "--epochs", 2, "--out", "out",
                 preexec_fn=limit_files)
        self.assertEqual(read_bytes(self.path("out")), before)
        self.assertEqual(self.leftovers(), [])

    def test_shapes_that_do_not_fit_are_named(self):
        self.bad(4, r"\[64, 64\].*\[10, 63\]", "train", "--model", "Flatten(), Linear(63, 10)")
        self.bad(4, "10 classes", "train", "--model", "Flatten(), Linear(64, 5)")
        self.bad(4, r"\[64, 10\].*\[64\]", "train", "--model", SMALL, "--loss", "MSELoss()")

    def test_a_checkpoint_cut_anywhere_is_a_file_error(self):
        self.train("--epochs", 1, "--out", "out")
        content = read_bytes(self.path("out"))
        header = 8 + struct.unpack("<Q", content[:8])[0]
        cuts = [0, 1, 7, 8, 9, header // 2, header - 1, header, header + 1, len(content) // 2, len(content) - 1]
        for cut in cuts:
            with self.subTest(cut=cut):
                write_bytes(self.path("cut"), content[:cut])
                self.bad(4, "cut", "eval", "cut")
                self.bad(4, "cut", "train", "--resume", "cut")
                self.bad(4, "cut", "info", "cut")
        write_bytes(self.path("cut"), content + b"\0")
        self.bad(4, "cut", "eval", "cut")

    def test_checkpoints_that_do_not_fit_the_model_are_file_errors(self):
        self.train("--epochs", 1, "--out", "out")
        header, tensors = read_safetensors(self.path("out"))
        self.bad(4, "shape|not", "train", "--init", "out", "--model", "Flatten(), Linear(64, 12)")
        self.bad(4, "2.weight|2.bias", "train", "--init", "out", "--model", "Flatten(), Linear(64, 10), Linear(10, 10)")
        changed = dict(header, extra=dict(header["1.bias"]))
        write_safetensors(self.path("missing"), {k: v for k, v in header.items() if k != "1.bias"}, tensors)
        self.bad(4, "missing", "eval", "missing")
        write_safetensors(self.path("extra"), changed, tensors)
        self.bad(4, "extra", "eval", "extra")
        begin, end = header["1.weight"]["data_offsets"]
        write_safetensors(self.path("nan"), header, tensors[:begin] + b"\xff" * 4 + tensors[begin + 4:])
        self.bad(4, "1.weight", "eval", "nan")
        self.bad(4, "1.weight", "train", "--init", "nan", "--model", SMALL)
        changed = json.loads(json.dumps(header))
        changed["__metadata__"]["model"] = "Linear(("
        write_safetensors(self.path("model"), changed, tensors)
        self.bad(4, "model", "eval", "model")
        self.bad(4, "model", "info", "model")

    def test_a_bare_state_dict_is_taken_with_a_model(self):
        self.train("--epochs", 2, "--out", "out")
        header, tensors = read_safetensors(self.path("out"))
        kept, content = {}, b""
        for name in ("1.weight", "1.bias"):
            begin, end = header[name]["data_offsets"]
            kept[name] = dict(header[name], data_offsets=[len(content), len(content) + end - begin])
            content += tensors[begin:end]
        write_safetensors(self.path("bare"), kept, content)
        self.bad(2, "--data", "eval", "bare")
        self.bad(2, "--model", "eval", "bare", "--data", "digits")
        ours = json.loads(self.good("eval", "out", "--json"))
        theirs = json.loads(self.good("eval", "bare", "--data", "digits", "--model", SMALL, "--json"))
        self.assertEqual(ours["loss"], theirs["loss"])
        self.assertIn("1.weight", self.good("info", "bare"))
        self.train("--init", "bare", "--steps", 1)
        self.bad(4, "no state of a training", "train", "--resume", "bare")
        self.bad(4, "1.bias|2.", "train", "--init", "bare", "--model", SMALL + ", Linear(10, 10)")
        self.train("--init", "bare", "--model", SMALL + ", Linear(10, 10)", "--allow-missing", "--steps", 1)
        self.train("--init", "out", "--steps", 1)

    def test_files_that_are_not_there_or_not_checkpoints(self):
        for command in ("eval", "predict"):
            self.bad(4, "missing", command, "missing")
        self.bad(4, "missing", "info", "missing")
        self.bad(4, "missing", "train", "--resume", "missing")
        self.bad(4, "missing", "train", "--init", "missing")
        self.bad(4, "folder", "eval", ".")
        write_bytes(self.path("text"), b"hello, this is not a checkpoint at all")
        self.bad(4, "text", "eval", "text")


class Data(CommandTest):
    def make(self, **changes):
        folder = tempfile.mkdtemp(dir=self.folder)
        count = {"train": 60, "t10k": 20}
        for name in NAMES:
            n = count[name.split("-")[0]]
            content = idx((n, 4, 4), [i * 7 % 256 for i in range(n * 16)]) if "images" in name else \
                idx((n,), [i % 10 for i in range(n)])
            key = name.split("-")[0] + "_" + name.split("-")[1]
            content = changes[key](content) if key in changes else content
            if content is not None:
                write_bytes(os.path.join(folder, name), content)
        return folder

    def test_a_folder_of_idx_files_is_read(self):
        folder = self.make()
        text = self.good("train", "--data", folder, "--model", "Flatten(), Linear(16, 10)", "--epochs", 1, "--out", "out")
        self.assertIn("50 training, 10 validation, 20 test", text)
        self.assertRegex(text.splitlines()[-1], r"^test .*\(20 rows\), saved to out$")
        self.good("eval", "out", "--data", folder)
        for name in NAMES:
            write_bytes(os.path.join(folder, name + ".gz"), gzip.compress(read_bytes(os.path.join(folder, name))))
            os.remove(os.path.join(folder, name))
        self.good("eval", "out", "--data", folder)

    def test_bad_data_is_a_data_error_that_names_the_file(self):
        cases = {
            "train-images": dict(train_images=lambda content: None),
            "train-labels": dict(train_labels=lambda content: content[:-1]),
            "t10k-images": dict(t10k_images=lambda content: content[:10]),
            "t10k-labels": dict(t10k_labels=lambda content: content + b"x"),
            "train-images-idx3": dict(train_images=lambda content: b"\1\2\3\4" + content[4:]),
            "labels": dict(train_labels=lambda content: idx((59,), [0] * 59)),
            "train-labels-idx1": dict(train_labels=lambda content: b""),
        }
        for pattern, changes in cases.items():
            with self.subTest(pattern=pattern):
                self.bad(4, pattern, "train", "--data", self.make(**changes), "--out", "out")
                self.assertFalse(os.path.exists(self.path("out")))

    def test_data_that_is_not_there_is_a_data_error(self):
        self.bad(4, "nowhere", "train", "--data", "nowhere")
        self.bad(4, "no test rows", "eval", self.trained(), "--split", "test")

    def trained(self):
        self.train("--epochs", 1, "--out", "trained")
        return "trained"


class Results(CommandTest):
    def setUp(self):
        super().setUp()
        self.train("--epochs", 8, "--out", "out", "--seed", 2)

    def test_eval_takes_split_and_normalisation_from_the_checkpoint(self):
        trained = json.loads(self.good("train", "--resume", "out", "--epochs", 8, "--json"))
        for split, rows in (("valid", 359), ("train", 1438)):
            result = json.loads(self.good("eval", "out", "--split", split, "--json"))
            self.assertEqual((result["split"], result["n"]), (split, rows))
            self.assertTrue(0.7 < result["accuracy"] <= 1)
        result = json.loads(self.good("eval", "out", "--json", "--batch", 64))
        self.assertEqual((result["loss"], result["accuracy"]), (trained["loss"], trained["accuracy"]))
        self.assertRegex(self.good("eval", "out"), r"digits valid on cpu: loss [\d.]+, accuracy [\d.]+ %, 359 rows")

    def test_predict_gives_probabilities_and_the_true_class(self):
        rows = json.loads(self.good("predict", "out", "--rows", "5,0,7", "--json"))
        self.assertEqual([row["row"] for row in rows], [5, 0, 7])
        for row in rows:
            self.assertAlmostEqual(sum(row["probabilities"]), 1, places=5)
            self.assertEqual(row["probability"], max(row["probabilities"]))
            self.assertEqual(row["predicted"], str(row["probabilities"].index(row["probability"])))
        self.assertEqual(len(json.loads(self.good("predict", "out", "--json"))), 10)
        self.assertEqual(len(json.loads(self.good("predict", "out", "--json", "--count", 400, "--split", "valid"))), 359)
        self.bad(4, "row 359", "predict", "out", "--rows", "359")

    def test_digits_are_drawn_with_what_the_locale_shows(self):
        self.assertNotIn("█", self.good("predict", "out", "--count", 3))
        self.environment["LC_ALL"] = "C.UTF-8"
        self.assertIn("█", self.good("predict", "out", "--count", 3, "--draw"))
        self.environment["LC_ALL"] = "C"
        self.assertRegex(self.good("predict", "out", "--count", 3, "--draw"), r"\A[\x00-\x7f]+\Z")

    def test_info_shows_the_layers_of_a_file_and_of_a_model(self):
        result = json.loads(self.good("info", "out", "--json"))
        self.assertEqual([layer["class"] for layer in result["layers"]], ["Flatten", "Linear"])
        self.assertEqual(result["parameters"], 650)
        self.assertEqual(result["flops"], 2 * 64 * 10)
        self.assertEqual((result["checkpoint"]["data"], result["checkpoint"]["epoch"]), ("digits", 8))
        self.assertIn("CrossEntropyLoss()", self.good("info", "out"))
        result = json.loads(self.good("info", "mlp", "--input", "1,28,28", "--json"))
        self.assertEqual(result["parameters"], 669706)
        self.assertEqual(result["layers"][-1]["output"], [1, 10])
        self.bad(2, "--input", "info", SMALL)
        self.bad(2, "--input 'x'", "info", "mlp", "--input", "x")
        self.bad(4, r"\[1, 3\].*\[10, 64\]", "info", "Linear(64, 10)", "--input", 3)

    def test_all_of_it_runs_on_the_reference_too(self):
        mine = json.loads(self.good("eval", "out", "--json"))
        other = json.loads(self.good("eval", "out", "--json", "--device", "reference"))
        self.assertEqual(other["device"], "reference")
        self.assertAlmostEqual(mine["loss"], other["loss"], places=5)


if __name__ == "__main__":
    if COMMAND is None:
        sys.exit("usage: test_command.py PATH_OF_CLGRAD")
    unittest.main(argv=sys.argv[:1])
