"""clgrad with a user's own data: folders of images, tables, NumPy's arrays. Run with the command's path."""
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile
import zlib

COMMAND = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else None


def png(width, height, pixels, channels=1):
    """A PNG of 8 bits a channel; `pixels` go row by row."""
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    stride = width * channels
    rows = b"".join(b"\0" + bytes(pixels[y * stride:(y + 1) * stride]) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def npy(dtype, shape, values, fortran=False):
    """An array as NumPy saves it. dtype: '|u1', '<i4', '<i8', '<f4', '<f8'."""
    header = repr({"descr": dtype, "fortran_order": fortran, "shape": tuple(shape)}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    letter = {"u1": "B", "i4": "i", "i8": "q", "f4": "f", "f8": "d", "f2": "e", "b1": "?"}[dtype[1:]]
    order = ">" if dtype[0] == ">" else "<"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + struct.pack(f"{order}{len(values)}{letter}", *values)


class DataTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="clgrad-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.environment = dict(os.environ, CLGRAD_DEVICE="cpu", OMP_WAIT_POLICY="passive")
        self.random = random.Random(1)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return self.path(name)

    def run_command(self, *arguments):
        return subprocess.run([COMMAND, *map(str, arguments)], cwd=self.folder, env=self.environment, timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def good(self, *arguments):
        result = self.run_command(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def bad(self, pattern, *arguments, status=4):
        result = self.run_command(*arguments)
        self.assertEqual(result.returncode, status, result.stderr + result.stdout)
        self.assertRegex(result.stderr, pattern)

    def train(self, data, *arguments):
        return json.loads(self.good("train", "--data", data, "--json", *arguments).stdout)


class ImageFolders(DataTest):
    def make(self, folder="shapes", count=20, channels=1):
        """Images of 6 x 5 whose left or right half is bright."""
        for name, bright in (("left side", range(0, 3)), ("right", range(3, 6))):
            for i in range(count):
                pixels = [self.random.randrange(160, 256) if x in bright else self.random.randrange(80)
                          for _ in range(5) for x in range(6) for _ in range(channels)]
                self.write(f"{folder}/{name}/{i:03}.png", png(6, 5, pixels, channels))

    def test_a_folder_a_class_trains_evaluates_and_predicts_by_name(self):
        self.make()
        self.write("shapes/right/broken.png", b"")
        self.write("shapes/README.md", "no class")
        result = self.good("train", "--data", "shapes", "--epochs", 15, "--model", "Flatten(), Linear(30, 2)",
                           "--optimizer", "Adam(lr=0.01)", "--out", "model.st")
        self.assertIn("32 training, 8 validation, 0 test rows [1, 5, 6], 2 classes", result.stdout)
        self.assertRegex(result.stderr, r"1 of 41 files in shapes could not be read .*: right/broken.png: the file is empty")
        self.assertIn("accuracy 100.00 %", result.stdout)
        again = self.good("eval", "model.st", "--data", "shapes")
        self.assertIn("accuracy 100.00 %, 8 rows", again.stdout)
        rows = json.loads(self.good("predict", "model.st", "--data", "shapes", "--json").stdout)
        self.assertEqual({row["expected"] for row in rows}, {"left side", "right"})
        self.assertTrue(all(row["expected"] == row["predicted"] for row in rows))
        info = self.good("info", "model.st").stdout
        self.assertIn("left side", info)

    def test_classes_keep_the_models_places_and_others_are_refused(self):
        self.make()
        self.good("train", "--data", "shapes", "--epochs", 15, "--model", "Flatten(), Linear(30, 2)", "--out", "m.st",
                  "--optimizer", "Adam(lr=0.01)")
        shutil.rmtree(self.path("shapes/left side"))
        rows = json.loads(self.good("predict", "m.st", "--data", "shapes", "--json").stdout)
        self.assertEqual({row["predicted"] for row in rows}, {"right"})
        self.write("shapes/wrong/1.png", png(6, 5, [1] * 30))
        self.bad("folder 'wrong', which is none of the model's 2 classes: left side, right", "eval", "m.st", "--data", "shapes")

    def test_files_are_predicted_from_images_arrays_and_folders(self):
        self.make()
        self.good("train", "--data", "shapes", "--epochs", 15, "--model", "Flatten(), Linear(30, 2)", "--out", "m.st",
                  "--optimizer", "Adam(lr=0.01)")
        left, right = [250, 240, 230, 5, 6, 7] * 5, [1, 2, 3, 255, 254, 253] * 5
        self.write("one.png", png(6, 5, left))
        self.write("many/b.png", png(6, 5, right))
        self.write("many/a.png", png(6, 5, left))
        self.write("many/broken.jpg", b"no")
        self.write("bytes.npy", npy("|u1", (5, 6), right))
        self.write("floats.npy", npy("<f4", (2, 1, 5, 6), [value / 255 for value in left + right]))
        result = self.good("predict", "m.st", "one.png", "many", "bytes.npy", "floats.npy", "--json")
        rows = json.loads(result.stdout)
        self.assertEqual([row["file"] for row in rows],
                         ["one.png", "many/a.png", "many/b.png", "bytes.npy", "floats.npy[0]", "floats.npy[1]"])
        self.assertEqual([row["predicted"] for row in rows],
                         ["left side", "left side", "right", "right", "left side", "right"])
        self.assertTrue(all("expected" not in row for row in rows))
        self.assertIn("left out: many/broken.jpg: neither PNG nor JPEG", result.stderr)
        self.assertAlmostEqual(rows[0]["probability"], rows[4]["probability"], delta=1e-6)
        text = self.good("predict", "m.st", "one.png", "--draw").stdout
        self.assertRegex(text, r"predicted +probability +file\n +0 +left side .* one.png\n")
        for pattern, name, content in (
                (r"w.png is 4 x 5, grey, the model takes 6 x 5, grey", "w.png", png(4, 5, [1] * 20)),
                (r"w.png is 6 x 5, colour, the model takes 6 x 5, grey", "w.png", png(6, 5, [1] * 90, 3)),
                (r"w.npy is \[5, 7\], the model takes 6 x 5", "w.npy", npy("|u1", (5, 7), [1] * 35)),
                ("w.png: neither PNG nor JPEG", "w.png", b"text"), ("w.png: the file is empty", "w.png", b"")):
            self.write(name, content)
            self.bad(pattern, "predict", "m.st", name)
        self.bad("nothing.png: No such file", "predict", "m.st", "nothing.png")
        self.write("none/readme.txt", "x")
        self.bad("folder none has no PNG or JPEG", "predict", "m.st", "none")
        self.bad("--data and --split exclude images", "predict", "m.st", "one.png", "--data", "shapes", status=2)
        self.bad("FILE .*is needed", "predict", status=2)

    def test_colour_has_three_channels_and_streaming_gives_the_same_bytes(self):
        self.make("colour", channels=3)
        model = ("--model", "Conv2d(3, 2, 3), ReLU(), Flatten(), Linear(24, 2)", "--epochs", 2)
        first = self.train("colour", *model, "--out", "a.st")
        self.assertEqual(first["parameters"], 56 + 50)
        self.train("colour", *model, "--out", "b.st")
        self.make("large", count=400)  # 24,000 pixels: it always fits into a MiB
        with open(self.path("a.st"), "rb") as a, open(self.path("b.st"), "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_wrong_folders_are_named(self):
        self.write("one/only/a.png", png(2, 2, [1] * 4))
        self.bad("one class only, 'only'", "train", "--data", "one")
        self.write("one/second/readme.txt", "x")
        self.bad("class 'second' is empty", "train", "--data", "one")
        self.write("one/second/b.png", png(2, 3, [1] * 6))
        self.bad(r"images differ: one/only/a.png is 2 x 2, grey; one/second/b.png is 2 x 3, grey", "train", "--data", "one")
        self.write("one/second/b.png", png(2, 2, [1] * 12, 3))
        self.bad(r"one/second/b.png is 2 x 2, colour", "train", "--data", "one")
        os.makedirs(self.path("empty"))
        self.bad("neither MNIST's IDX files nor folders of images", "train", "--data", "empty")
        self.bad("No such file", "train", "--data", "nowhere")


class Augmentation(DataTest):
    FLAGS = ("--model", "Flatten(), Linear(64, 10)", "--limit", 300)

    def bytes_of(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def test_a_resumed_training_has_the_same_bytes_whatever_the_number_of_threads(self):
        changes = ("--augment", "crop(1), flip(0.1), rotate(5), shift(0.5), cutout(2), mixup(0.3)")
        self.train("digits", *self.FLAGS, *changes, "--epochs", 4, "--out", "whole.st")
        self.train("digits", *self.FLAGS, *changes, "--epochs", 4, "--out", "part.st", "--stop-after", 2, "--workers", 3)
        self.train("digits", "--resume", "part.st", "--epochs", 4, "--out", "part.st", "--workers", 0)
        self.assertEqual(self.bytes_of("whole.st"), self.bytes_of("part.st"))
        self.train("digits", *self.FLAGS, "--epochs", 4, "--out", "plain.st")
        self.assertNotEqual(self.bytes_of("whole.st"), self.bytes_of("plain.st"))
        self.assertIn("mixup(0.3)", self.good("info", "whole.st").stdout)
        self.bad("--augment flip.* does not agree", "train", "--resume", "part.st", "--augment", "flip()", status=2)
        self.assertIn("accuracy", self.good("eval", "whole.st").stdout)

    def test_wrong_changes_are_usage_errors(self):
        for pattern, text in (("expected", "flip"), ("no augmentation flop; did you mean flip", "flop()"), ("padding", "crop()"),
                              ("at most 7", "crop(8)"), ("mixup comes last", "mixup(0.1), flip()")):
            self.bad(pattern, "train", "--augment", text, status=2)
        self.write("t.csv", "1,x\n2,y\n3,x\n4,y\n5,x\n6,y\n")
        self.bad("flip is for images", "train", "--data", "t.csv", "--augment", "flip()", status=2)
        self.good("train", "--data", "t.csv", "--augment", "mixup(1)", "--epochs", 2)


class Tables(DataTest):
    def flowers(self, header=True, separator=",", n=150):
        """Three classes around three points."""
        lines = [separator.join(("length", "width", "species"))] if header else []
        for i in range(n):
            k = i % 3
            lines.append(separator.join((f"{k + self.random.gauss(0, .1):.3f}", f"{-k + self.random.gauss(0, .1):.3f}",
                                         ("setosa", "virginica", '"versi, color"')[k])))
        return "\n".join(lines) + "\n"

    def test_text_is_a_class_with_a_header_or_without(self):
        expected = {"setosa", "virginica", "versi, color"}
        for header in (True, False):
            for separator, name in ((",", "a.csv"), ("\t", "a.tsv"), (";", "a.csv")):
                self.write(name, self.flowers(header, separator))
                result = self.good("train", "--data", name, "--epochs", 12, "--model", "Linear(2, 3)", "--out", "m.st",
                                   "--optimizer", "Adam(lr=0.1)")
                self.assertIn("120 training, 30 validation, 0 test rows [2], 3 classes, target "
                              + ("species" if header else "3"), result.stdout)
                self.assertIn("accuracy 100.00 %", result.stdout)
                self.assertIn("accuracy 100.00 %", self.good("eval", "m.st", "--data", name).stdout)
                rows = json.loads(self.good("predict", "m.st", "--data", name, "--count", 30, "--json").stdout)
                self.assertEqual({row["predicted"] for row in rows}, expected)

    def prices(self, n=200):
        lines = ["rooms,price,area"]
        for _ in range(n):
            rooms, area = self.random.randrange(1, 9), self.random.uniform(20, 200)
            lines.append(f"{rooms},{0.1 * rooms + 0.01 * area + 1:.6f},{area:.4f}")
        return "\n".join(lines) + "\n"

    def test_numbers_are_learnt_with_mean_squared_error(self):
        self.write("houses.csv", self.prices())
        for target in ("price", "2"):
            result = self.train("houses.csv", "--target", target, "--epochs", 60, "--optimizer", "Adam(lr=0.1)",
                                "--model", "Linear(2, 1)", "--out", "m.st", "--log", "log.jsonl")
            self.assertLess(result["loss"], 1e-3)
            self.assertNotIn("accuracy", result)
            self.assertIn("MSELoss", result["loss_function"])
        with open(self.path("log.jsonl"), encoding="utf-8") as file:
            epochs = [line for line in map(json.loads, file) if "train_loss" in line]
        self.assertTrue(all("valid_loss" in line and "valid_accuracy" not in line for line in epochs))
        evaluated = json.loads(self.good("eval", "m.st", "--data", "houses.csv", "--json").stdout)
        self.assertAlmostEqual(evaluated["loss"], result["loss"], delta=1e-6)
        self.assertNotIn("accuracy", evaluated)
        for row in json.loads(self.good("predict", "m.st", "--data", "houses.csv", "--json").stdout):
            self.assertAlmostEqual(row["predicted"], row["expected"], delta=0.1)
        self.assertRegex(self.good("predict", "m.st", "--data", "houses.csv").stdout, r"row +predicted +true\n +0 +\d")
        self.assertIn("price", self.good("info", "m.st").stdout)

    def test_a_resumed_training_of_a_table_ends_with_the_same_bytes(self):
        self.write("houses.csv", self.prices())
        flags = ("--target", "price", "--model", "Linear(2, 1)")
        self.train("houses.csv", *flags, "--epochs", 4, "--out", "whole.st")
        self.train("houses.csv", *flags, "--epochs", 4, "--stop-after", 2, "--out", "half.st")
        self.train("houses.csv", "--resume", "half.st", "--epochs", 4, "--out", "half.st")
        with open(self.path("whole.st"), "rb") as a, open(self.path("half.st"), "rb") as b:
            self.assertEqual(a.read(), b.read())
        self.bad("--target area does not agree", "train", "--data", "houses.csv", "--resume", "half.st", "--target", "area",
                 status=2)

    def test_many_columns_are_normalised_one_by_one(self):
        lines = []
        for _ in range(60):
            row = [self.random.gauss(0, 1) for _ in range(40)]
            lines.append(",".join(f"{value * 10 ** (i % 7 - 3) + i:.9g}" for i, value in enumerate(row))
                         + f",{'ab'[row[39] + row[0] > 0]}")
        self.write("wide.csv", "\n".join(lines))
        result = self.train("wide.csv", "--model", "Linear(40, 2)", "--epochs", 40, "--out", "m.st", "--valid", 0,
                            "--optimizer", "Adam(lr=0.03)")
        self.assertEqual(result["accuracy"], 1)
        means = re.search(r"mean +\[(.*)\]", self.good("info", "m.st").stdout)[1].split(",")
        self.assertEqual(len(means), 40)

    def test_few_whole_numbers_are_classes_unless_it_is_said(self):
        rows = "".join(f"{i},{i % 3 + 5}\n" for i in range(30))
        self.write("t.csv", rows)
        self.assertIn("3 classes", self.good("train", "--data", "t.csv", "--epochs", 1).stdout)
        self.assertIn("1 number to learn", self.good("train", "--data", "t.csv", "--epochs", 1, "--task", "numbers").stdout)
        self.write("t.csv", "".join(f"{i},{i}\n" for i in range(40)))
        self.assertIn("1 number to learn", self.good("train", "--data", "t.csv", "--epochs", 1).stdout)
        self.assertIn("40 classes", self.good("train", "--data", "t.csv", "--epochs", 1, "--task", "classes").stdout)

    def test_what_is_wrong_is_named_by_line_and_column(self):
        for pattern, content, *flags in (
                (r"t.csv, line 3: column 2 'b' is missing", "a,b,c\n1,2,x\n3,,y\n"),
                (r"t.csv, line 4: column 1 'a' is 'two': a number is needed", "a,b,c\n1,2,x\n\ntwo,2,y\n"),
                (r"t.csv, line 2: column 2 is missing", "1,2,x\n1,NA,y\n"),
                (r"t.csv, line 2: the target, column 3, is missing", "1,2,x\n1,2,\n"),
                (r"t.csv, line 3: 2 fields, the first line has 3", "a,b,c\n1,2,x\n1,2\n"),
                (r"t.csv, line 2: a quoted field begins here", 'a,b\n1,"x\n2,3\n'),
                (r"t.csv is empty", ""), (r"t.csv has no rows", "a,b\n"),
                (r"t.csv, line 1: one column only", "a\n1\n"),
                (r"column 2 has one class only, 'x'", "1,x\n2,x\n"),
                (r"no column 'd' to learn; its first line has 3: a, b, c", "a,b,c\n1,2,x\n", "--target", "d"),
                (r"no column '9' to learn", "a,b,c\n1,2,x\n", "--target", "9"),
                (r"line 3: the target, column 2 'p', is 'many', where numbers are learnt", "a,p\n1,2.5\n2,many\n"),
                (r"line 2: a byte of 0", b"1,x\n\0,y\n"),
                (r"leaves no row", "1,x\n2,y\n", "--valid", "0.1")):
            with self.subTest(pattern=pattern):
                self.write("t.csv", content)
                status = 2 if "leaves no row" in pattern else 4
                self.bad(pattern, "train", "--data", "t.csv", *flags, status=status)
        self.write("t.csv", "1,x\n2,y\n3,x\n4,y\n5,x\n6,y\n")
        self.good("train", "--data", "t.csv", "--epochs", 1, "--model", "Linear(1, 2)", "--out", "m.st")
        self.write("t.csv", "1,x\n2,z\n3,x\n4,y\n5,x\n6,y\n")
        self.bad(r"t.csv, line 2, column 2: 'z' is none of the model's 2 classes", "eval", "m.st", "--data", "t.csv")
        self.write("t.csv", "1,2\n2,3\n3,4\n4,5\n5,6\n6,7\n")
        self.bad(r"the model's output is \[64, 3\].* 1 numbers to learn: \[64, 1\]", "train", "--data", "t.csv", "--task", "numbers",
                 "--target", "1", "--model", "Linear(1, 3)")


class Arrays(DataTest):
    def make(self, dtype="<f4", n=60):
        """Rows of two numbers whose larger one is the class."""
        x = [self.random.randrange(256) for _ in range(2 * n)]
        y = [int(x[2 * i] > x[2 * i + 1]) for i in range(n)]
        return npy(dtype, (n, 2), x), npy("<i8", (n,), y)

    def archive(self, name, arrays, compression=zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(self.path(name), "w", compression) as archive:
            for key, content in arrays.items():
                with archive.open(key + ".npy", "w", force_zip64=True) as file:  # as NumPy does
                    file.write(content)

    def test_x_and_y_are_two_files_or_an_archive(self):
        for dtype in ("|u1", "<i4", "<i8", "<f4", "<f8"):
            x, y = self.make(dtype)
            self.write("x.npy", x)
            self.write("y.npy", y)
            flags = ("--model", "Linear(2, 2)", "--epochs", 30, "--optimizer", "Adam(lr=0.1)", "--valid", 0)
            first = self.train("x.npy", "--target", "y.npy", *flags)
            self.assertGreater(first["accuracy"], 0.9)
            for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                self.archive("xy.npz", {"x": x, "y": y}, compression)
                self.assertEqual(self.train("xy.npz", *flags)["loss"], first["loss"])

    def test_bytes_of_three_axes_are_images_and_test_rows_are_kept(self):
        images = npy("|u1", (20, 4, 5), [self.random.randrange(256) for _ in range(400)])
        classes = npy("|u1", (20,), [i % 4 for i in range(20)])
        self.archive("m.npz", {"x_train": images, "y_train": classes, "x_test": images, "y_test": classes})
        result = self.good("train", "--data", "m.npz", "--epochs", 1, "--model", "Conv2d(1, 2, 3), Flatten(), Linear(12, 4)")
        self.assertIn("16 training, 4 validation, 20 test rows [1, 4, 5], 4 classes", result.stdout)
        self.assertIn("test loss", result.stdout)

    def test_floats_are_numbers_to_learn_also_several(self):
        x = [self.random.gauss(0, 1) for _ in range(120)]
        y = [value for i in range(60) for value in (x[2 * i] + 1, x[2 * i] - x[2 * i + 1], 3.0)]
        self.archive("r.npz", {"x": npy("<f8", (60, 2), x), "y": npy("<f4", (60, 3), y)})
        result = self.train("r.npz", "--epochs", 100, "--model", "Linear(2, 3)", "--optimizer", "Adam(lr=0.1)", "--out", "m.st")
        self.assertLess(result["loss"], 1e-3)
        rows = json.loads(self.good("predict", "m.st", "--data", "r.npz", "--json").stdout)
        self.assertTrue(all(abs(row["predicted"][2] - 3) < 0.1 and len(row["expected"]) == 3 for row in rows))

    def test_wrong_arrays_are_named(self):
        x, y = self.make()
        self.write("y.npy", y)
        for pattern, content in (
                ("x.npy: not an array that NumPy saved", b"text" * 10), ("not an array", b""),
                (r"dtype '<f2'; u1, i4, i8, f4 and f8", npy("<f2", (2, 2), [1] * 4)),
                (r"dtype '>f4'", npy(">f4", (2, 2), [1] * 4)),
                ("Fortran's order", npy("<f4", (60, 2), [1] * 120, True)),
                (r"472 bytes follow its header, whose shape is \[60, 2\]", x[:-8]),
                (r"value 1 of row 1 .* is nan", npy("<f4", (60, 2), [1, 2, 3, float("nan")] + [0] * 116)),
                (r"y.npy: its shape is \[60\], \[30\] is needed", npy("<f4", (30, 2), [1] * 60)),
                (r"its shape is \[\], \[rows, ...\]", npy("<f4", (), [1]))):
            with self.subTest(pattern=pattern):
                self.write("x.npy", content)
                self.bad(pattern, "train", "--data", "x.npy", "--target", "y.npy")
        self.write("x.npy", x)
        self.bad("--target Y.npy names the array to learn", "train", "--data", "x.npy")
        for pattern, classes in ((r"y.npy: row 1 \(from 0\) has the class -1", [0, -1] * 30),
                                 ("all rows have the class 0", [0] * 60)):
            self.write("y.npy", npy("<i4", (60,), classes))
            self.bad(pattern, "train", "--data", "x.npy", "--target", "y.npy")
        self.archive("n.npz", {"a": x})
        self.bad("n.npz: it has neither arrays x and y nor x_train", "train", "--data", "n.npz")
        self.archive("n.npz", {"x": x})
        self.bad("n.npz: it has an array x, but no y", "train", "--data", "n.npz")
        self.archive("n.npz", {"x": x, "y": y})
        with open(self.path("n.npz"), "rb") as file:
            content = bytearray(file.read())
        for size in range(0, len(content), 37):
            self.write("n.npz", bytes(content[:size]))
            self.bad("n.npz", "train", "--data", "n.npz")
        content[120] ^= 0xFF
        self.write("n.npz", bytes(content))
        self.bad("n.npz.*(does not unpack|check sum is wrong)", "train", "--data", "n.npz")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
