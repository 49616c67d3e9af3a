"""Metrics of clgrad train and eval, and the page of --report, against figures worked out here from single predictions."""
import base64
import json
import os
import re
import resource
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import time
import unittest
import zlib
from html.parser import HTMLParser

from test_command import COMMAND, SMALL, CommandTest


def png(width, height, pixels):
    """A grey image."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    rows = b"".join(b"\0" + pixels[y * width:(y + 1) * width] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def class_scores(pairs, name):
    """(precision, recall, f1, support) of a class, as scikit-learn defines them."""
    right = sum(expected == predicted == name for expected, predicted in pairs)
    support = sum(expected == name for expected, _ in pairs)
    guessed = sum(predicted == name for _, predicted in pairs)
    return (right / guessed if guessed else 0, right / support if support else 0,
            2 * right / (support + guessed) if support + guessed else 0, support)


class Metrics(CommandTest):
    def pairs(self, file):
        rows = json.loads(self.good("predict", file, "--split", "valid", "--count", 9999, "--json"))
        return [(row["expected"], row["predicted"]) for row in rows], rows

    def check(self, result, pairs):
        names = [row["class"] for row in result["per_class"]]
        for row in result["per_class"]:
            for key, value in zip(("precision", "recall", "f1", "support"), class_scores(pairs, row["class"])):
                self.assertAlmostEqual(row[key], value, places=12)
        present = [name for name in names if any(name in pair for pair in pairs)]
        for place, key in enumerate(("precision", "recall", "f1")):
            mean = sum(class_scores(pairs, name)[place] for name in present) / len(present)
            self.assertAlmostEqual(result[key], mean, places=12)
        self.assertEqual(result["confusion"],
                         [[sum(pair == (row, column) for pair in pairs) for column in names] for row in names])

    def test_eval_and_train_have_the_matrix_and_what_follows_from_it(self):
        trained = json.loads(self.good("train", "--model", SMALL, "--epochs", 2, "--out", "out", "--json"))
        pairs, rows = self.pairs("out")
        result = json.loads(self.good("eval", "out", "--json"))
        self.check(result, pairs)
        self.check(trained, pairs)
        top = [sum(p > row["probabilities"][int(row["expected"])] for p in row["probabilities"]) < 5 for row in rows]
        self.assertEqual(result["top_k"]["k"], 5)
        self.assertAlmostEqual(result["top_k"]["accuracy"], sum(top) / len(top), places=12)

    def test_a_class_that_is_never_predicted_counts_as_zero(self):
        self.train("--epochs", 0, "--out", "out", "--seed", 4)
        pairs, _ = self.pairs("out")
        result = json.loads(self.good("eval", "out", "--json"))
        self.check(result, pairs)
        self.assertIn(0, [row["precision"] for row in result["per_class"]])

    def test_the_text_has_a_row_for_each_class(self):
        self.train("--epochs", 1, "--out", "out")
        text = self.good("eval", "out")
        self.assertRegex(text, r"rows, F1 0\.\d{4}\n")
        self.assertEqual(len([line for line in text.splitlines() if line[:1].isdigit()]), 10)
        self.assertRegex(text, r"\nmean of classes +0\.\d{4} +0\.\d{4} +0\.\d{4} +359\n")

    def test_numbers_have_their_errors(self):
        with open(self.path("t.csv"), "w") as file:
            file.write("a,b,y\n" + "".join(f"{i % 7},{i % 5},{0.5 + i % 7 - 2.5 * (i % 5)}\n" for i in range(80)))
        trained = json.loads(self.good("train", "--data", "t.csv", "--model", "Linear(2, 1)", "--epochs", 3, "--out", "out", "--json"))
        rows = json.loads(self.good("predict", "out", "--data", "t.csv", "--split", "valid", "--count", 99, "--json"))
        errors = [row["predicted"] - row["expected"] for row in rows]
        mean = sum(row["expected"] for row in rows) / len(rows)
        self.assertAlmostEqual(trained["mae"], sum(map(abs, errors)) / len(errors), places=5)
        self.assertAlmostEqual(trained["mse"], trained["loss"], places=4)
        whole = sum((row["expected"] - mean) ** 2 for row in rows)
        self.assertAlmostEqual(trained["r2"], 1 - sum(error ** 2 for error in errors) / whole, places=5)
        self.assertRegex(self.good("eval", "out", "--data", "t.csv"), r"rows, MAE [\d.]+, R2 -?[\d.]+\n\Z")


class Page(HTMLParser):
    """What a page says: tables and lists by id, charts with their series, pictures; and that every tag is closed."""

    EMPTY = {"meta", "img", "br", "link", "input", "path", "circle"}

    def __init__(self, path):
        super().__init__()
        self.open, self.tables, self.charts, self.images, self.ids, self.links = [], {}, {}, [], {}, []
        self.figure = self.row = self.cell = None
        with open(path, encoding="utf-8") as file:
            self.text = file.read()
        self.feed(self.text)
        self.close()
        assert self.open == [], self.open

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag not in self.EMPTY:
            self.open.append((tag, values.get("id")))
        self.links += [values[key] for key in ("src", "href") if key in values]
        if "id" in values:
            self.ids[values["id"]] = ""
        if tag == "table" and "id" in values:
            self.tables[values["id"]] = []
        if tag == "img":
            self.images.append(values)
        if tag == "svg":
            assert values["role"] == "img" and values["aria-label"]
            self.charts[self.figure] = {"label": values["aria-label"], "series": {}, "log": "data-log" in values}
        if tag == "g" and "data-name" in values:
            numbers = [[float(x) if x else None for x in values[key].split(" ")] for key in ("data-x", "data-y")]
            self.charts[self.figure]["series"][values["data-name"]] = list(zip(*numbers))
        if tag == "tr":
            self.row = []
        if tag in ("td", "th"):
            self.cell = ""

    def handle_endtag(self, tag):
        opened, _ = self.open.pop()
        assert opened == tag, (opened, tag)
        if tag in ("td", "th"):
            self.row.append(self.cell)
            self.cell = None
        tables = [name for name in (name for _, name in self.open) if name in self.tables]
        if tag == "tr" and tables:
            self.tables[tables[-1]].append(self.row)

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data
        if self.open and self.open[-1][0] == "figcaption":
            self.figure = data
        for _, name in self.open:
            if name is not None:
                self.ids[name] += data


def pixels_of(uri):
    """(width, height, channels, rows) of a PNG in a data URI whose rows are not filtered."""
    assert uri.startswith("data:image/png;base64,")
    content, chunks, at = base64.b64decode(uri.split(",", 1)[1], validate=True), {}, 8
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    while at < len(content):
        size, kind = struct.unpack(">I4s", content[at:at + 8])
        body = content[at + 8:at + 8 + size]
        assert struct.unpack(">I", content[at + 8 + size:at + 12 + size])[0] == zlib.crc32(kind + body)
        chunks[kind], at = body, at + 12 + size
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert depth == 8 and b"IEND" in chunks
    channels = {0: 1, 2: 3, 6: 4}[colour]
    raw = zlib.decompress(chunks[b"IDAT"])
    rows = [raw[y * (width * channels + 1):(y + 1) * (width * channels + 1)] for y in range(height)]
    assert all(row[0] == 0 for row in rows) and len(raw) == height * (width * channels + 1)
    return width, height, channels, [list(row[1:]) for row in rows]


class Report(CommandTest):
    def page(self, name="run.html"):
        page = Page(self.path(name))
        for link in page.links:
            self.assertRegex(link, r"\Adata:image/png;base64,")
        self.assertNotRegex(page.text, r"@import|url\(|<link|<iframe")
        self.assertEqual(self.leftovers(), [])
        return page

    def close(self, series, wanted):
        self.assertEqual([x for x, _ in series], [x for x, _ in wanted])
        for (_, mine), (_, other) in zip(series, wanted):
            self.assertAlmostEqual(mine, other, delta=1e-5 * abs(other) + 1e-12)

    def test_curves_and_figures_are_those_of_the_log_and_of_eval(self):
        self.train("--epochs", 3, "--report", "run.html", "--log", "log", "--out", "out", "--schedule", "StepLR(30, 0.5)")
        page, log = self.page(), self.log("log")
        steps = [line for line in log if "step" in line]
        epochs = [line for line in log if "train_loss" in line]
        loss = page.charts["Loss"]["series"]
        self.assertEqual(len(steps), 69)
        self.close(loss["updates"], [(float(f"{line['step'] / 23:.6g}"), line["loss"]) for line in steps])
        self.close(page.charts["Learning rate"]["series"]["learning rate"],
                   [(float(f"{line['step'] / 23:.6g}"), line["lr"]) for line in steps])
        for name, chart, key in (("training", "Loss", "train_loss"), ("validation", "Loss", "valid_loss"),
                                 ("validation", "Accuracy", "valid_accuracy")):
            self.close(page.charts[chart]["series"][name], [(line["epoch"], line[key]) for line in epochs])
        result = json.loads(self.good("eval", "out", "--json"))
        self.assertEqual([row[1:] for row in page.tables["confusion"][1:]],
                         [[str(count) for count in row] for row in result["confusion"]])
        for row, wanted in zip(page.tables["classes"][1:], result["per_class"]):
            self.assertEqual(row[:5], [wanted["class"]] + [f"{wanted[key]:.4f}" for key in ("precision", "recall", "f1")]
                             + [str(wanted["support"])])
        self.assertEqual(page.tables["classes"][-1][1:4], [f"{result[key]:.4f}" for key in ("precision", "recall", "f1")])
        self.assertEqual(page.ids["state"], "finished")
        self.assertIn(f"{100 * result['accuracy']:.2f}", page.text)

    def test_the_most_wrong_images_are_the_rows_that_predict_is_most_wrong_on(self):
        self.train("--epochs", 2, "--report", "run.html", "--out", "out")
        page = self.page()
        rows = json.loads(self.good("predict", "out", "--split", "valid", "--count", 9999, "--json"))
        wrong = sorted((row["probabilities"][int(row["expected"])], row["row"], row) for row in rows
                       if row["expected"] != row["predicted"])[:24]
        shown = re.findall(r'<li class="wrong" data-row="(\d+)">', page.text)
        self.assertEqual([int(row) for row in shown], [row for _, row, _ in wrong])
        pictures = [image for image in page.images if "taken for" in image["alt"]]
        self.assertEqual([image["alt"] for image in pictures],
                         [f"A {row['expected']} that was taken for {row['predicted']}" for _, _, row in wrong])
        for image in pictures:
            width, height, channels, pixels = pixels_of(image["src"])
            self.assertEqual((width, height, channels), (8, 8, 1))
            self.assertGreater(max(map(max, pixels)), 200)
        first = wrong[0][2]
        self.assertIn(f"{100 * max(first['probabilities']):.2f}", page.ids["worst"])

    def test_filters_are_the_first_weights(self):
        self.train("--epochs", 1, "--report", "run.html")
        filters = [pixels_of(image["src"]) for image in self.page().images if image["alt"] == ""]
        self.assertEqual([picture[:3] for picture in filters], [(8, 8, 4)] * 10)
        self.assertTrue(all(max(row[i] for row in picture[3] for i in range(3, 32, 4)) == 255 for picture in filters))
        self.good("train", "--model", "Conv2d(1, 5, 3), Flatten(), LazyLinear(10)", "--epochs", 1, "--report", "conv.html")
        filters = [pixels_of(image["src"]) for image in self.page("conv.html").images if image["alt"] == ""]
        self.assertEqual([picture[:3] for picture in filters], [(3, 3, 4)] * 5)

    def test_a_training_has_the_same_bytes_with_a_page(self):
        for flags in ([], ["--report", "run.html"]):
            self.good("train", "--model", "Flatten(), Linear(64, 12), BatchNorm1d(12), Dropout(0.3), ReLU(), Linear(12, 10)",
                      "--epochs", 2, "--ema", 0.9, "--clip-norm", 1, "--out", "with" if flags else "without", *flags)
        with open(self.path("with"), "rb") as one, open(self.path("without"), "rb") as other:
            self.assertEqual(one.read(), other.read())

    def test_the_command_repeats_the_run(self):
        arguments = ["train", "--model", SMALL, "--epochs", 2, "--report", "it's a run.html", "--json", "--limit", "300"]
        first = json.loads(self.good(*arguments))
        page = self.page("it's a run.html")
        command = shlex.split(page.ids["command"].split("\n")[1])
        self.assertEqual(command, ["clgrad", *map(str, arguments), "--device", "cpu"])
        again = json.loads(self.good(*command[1:]))
        self.assertEqual((first["loss"], first["accuracy"]), (again["loss"], again["accuracy"]))

    def test_times_device_data_and_model_are_told(self):
        self.train("--epochs", 1, "--report", "run.html")
        page = self.page()
        ops = page.tables["op-times"][1:]
        self.assertIn("cross_entropy", [row[0] for row in ops])
        self.assertAlmostEqual(sum(float(row[3].rstrip("\xa0%")) for row in ops), 100, delta=1)
        times = [float(row[2]) for row in ops]
        self.assertEqual(times, sorted(times, reverse=True))
        self.assertIn("650", page.ids["model"])
        self.assertRegex(page.ids["data"], r"training rows\s*1,438")
        self.assertRegex(page.ids["device"], r"device string\s*cpu")
        self.assertIn("CrossEntropyLoss()", page.ids["training"])

    def test_numbers_have_curves_of_their_errors_and_a_scatter(self):
        with open(self.path("t.csv"), "w") as file:
            file.write("a,b,y\n" + "".join(f"{i % 7},{i % 5},{0.5 + i % 7 - 2.5 * (i % 5)}\n" for i in range(80)))
        result = json.loads(self.good("train", "--data", "t.csv", "--model", "Linear(2, 1)", "--epochs", 3, "--json", "--report",
                                      "run.html", "--log", "log", "--out", "out"))
        page, epochs = self.page(), [line for line in self.log("log") if "train_loss" in line]
        self.assertEqual([line["valid_mae"] for line in epochs], [float(f"{epoch['valid_mae']:.9g}") for epoch in result["epochs"]])
        self.close(page.charts["Mean absolute error"]["series"]["validation"], [(e["epoch"], e["valid_mae"]) for e in epochs])
        self.close(page.charts["R²"]["series"]["validation"], [(e["epoch"], e["valid_r2"]) for e in epochs])
        rows = json.loads(self.good("predict", "out", "--data", "t.csv", "--split", "valid", "--count", 99, "--json"))
        self.close(page.charts["Predicted and true"]["series"]["rows"],
                   [(float(f"{row['expected']:.6g}"), row["predicted"]) for row in rows])
        self.assertAlmostEqual(float(page.tables["numbers"][2][1]), result["r2"], places=5)
        self.assertNotIn("confusion", page.tables)

    def test_a_resumed_run_has_the_whole_curve_where_the_log_is_at_hand(self):
        self.train("--epochs", 3, "--stop-after", 2, "--out", "out", "--log", "log", "--report", "run.html")
        self.assertIn("stopped after 46 of 69 updates", self.page().ids["state"])
        shutil.copy(self.path("out"), self.path("half"))
        self.good("train", "--resume", "half", "--epochs", 3, "--quiet", "--report", "short.html")
        short = self.page("short.html")
        self.assertIn("no log of what came before", short.ids["curves"])
        self.assertEqual([x for x, _ in short.charts["Loss"]["series"]["validation"]], [3])
        self.good("train", "--resume", "out", "--epochs", 3, "--quiet", "--log", "log", "--report", "run.html")
        whole = self.page()
        self.assertIn("are the log’s, log", whole.ids["curves"])
        self.assertEqual([x for x, _ in whole.charts["Loss"]["series"]["validation"]], [1, 2, 3])
        self.assertEqual(len(whole.charts["Loss"]["series"]["updates"]), 69)

    def test_without_validation_training_rows_are_sampled_and_that_is_said(self):
        self.train("--epochs", 1, "--valid", 0, "--report", "run.html")
        page = self.page()
        self.assertIn("training rows, a sample", page.ids["results"])
        self.assertEqual(sum(int(count) for row in page.tables["confusion"][1:] for count in row[1:]), 1797)

    def test_names_of_folders_are_no_html(self):
        names = ["<script>alert(1)</script>".replace("/", "_"), 'a "b" & \'c\'']
        for place, name in enumerate(names):
            os.makedirs(os.path.join(self.path("shapes"), name))
            for i in range(12):
                with open(os.path.join(self.path("shapes"), name, f"<{i}>.png"), "wb") as file:
                    file.write(png(4, 4, bytes((17 * i + 40 * place) % 256 for _ in range(16))))
        self.good("train", "--data", "shapes", "--model", "Flatten(), Linear(16, 2)", "--epochs", 1, "--valid", 0.5, "--report", "run.html", "--quiet")
        page = self.page()
        self.assertNotIn("<script>alert", page.text)
        self.assertEqual(page.text.count("<script"), 1)
        self.assertEqual(sorted(row[0] for row in page.tables["classes"][1:-1]), sorted(names))

    def test_one_class_only_is_refused_before_there_is_a_page(self):
        with open(self.path("t.csv"), "w") as file:
            file.write("a,b,y\n" + "".join(f"{i},{i % 5},same\n" for i in range(20)))
        self.bad(4, "one class only, 'same'", "train", "--data", "t.csv", "--model", "Linear(2, 1)", "--report", "run.html")
        self.assertFalse(os.path.exists(self.path("run.html")))

    def test_a_model_without_a_mistake_says_so(self):
        with open(self.path("t.csv"), "w") as file:
            file.write("a,b,y\n" + "".join(f"{i % 2},{i % 5},{'left' if i % 2 else 'right'}\n" for i in range(60)))
        self.good("train", "--data", "t.csv", "--model", "Linear(2, 2)", "--epochs", 9, "--optimizer", "Adam(lr=0.1)", "--report", "run.html", "--quiet")
        page = self.page()
        self.assertIn("No row was taken for another class", page.ids["results"])
        self.assertNotIn("worst", page.ids)
        self.assertNotIn("filters", page.ids)

    def test_steps_without_a_whole_epoch_have_a_page_and_nothing_at_all_too(self):
        self.train("--steps", 5, "--report", "run.html")
        page = self.page()
        self.assertEqual(len(page.charts["Loss"]["series"]["updates"]), 5)
        self.assertIn("after 5 updates", page.ids["results"])
        self.train("--epochs", 0, "--report", "run.html")
        self.assertEqual(self.page().ids["state"], "finished")

    def test_paths_that_cannot_be_written_are_refused_before_the_training(self):
        os.mkdir(self.path("folder"))
        for pattern, path in (("No such file", "missing/run.html"), ("it is a folder", "folder"), ("not a regular file", "/dev/full")):
            self.bad(4, f"cannot write {path}.*{pattern}", "train", "--report", path, "--log", "log")
            self.assertFalse(os.path.exists(self.path("log")))
        for flag in ("--out", "--log", "--save-best"):
            self.bad(2, f"--report and {flag} name the same file", "train", "--report", "x", flag, "x")
        self.bad(2, "--find-lr saves nothing: --report", "train", "--find-lr", "--report", "x")

    def test_a_full_disk_stops_no_training_and_is_an_error_at_the_end(self):
        with open(self.path("run.html"), "w") as file:
            file.write("what was there")

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))

        result = self.run_command("train", "--model", SMALL, "--epochs", 2, "--quiet", "--out", "out", "--report", "run.html", preexec_fn=limit)
        self.assertEqual(result.returncode, 4, result.stderr)
        self.assertEqual(result.stderr, "clgrad: cannot write run.html: File too large; the training goes on\n"
                                        "clgrad: cannot write run.html: File too large\n")
        with open(self.path("run.html")) as file:
            self.assertEqual(file.read(), "what was there")
        self.assertEqual(self.leftovers(), [])
        self.assertGreater(json.loads(self.good("eval", "out", "--json"))["accuracy"], 0.5)

    def test_an_interrupted_run_and_one_that_met_nan_leave_a_page_that_says_so(self):
        arguments = [COMMAND, "train", "--model", SMALL, "--epochs", "100000", "--quiet", "--report", "run.html"]
        process = subprocess.Popen(arguments, cwd=self.folder, env=self.environment, stderr=subprocess.PIPE, text=True)
        while not os.path.exists(self.path("run.html")):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        self.assertIn("interrupted in epoch", process.communicate(timeout=60)[1])
        self.assertEqual(process.returncode, 130)
        page = self.page()
        self.assertIn("interrupted in epoch", page.ids["state"])
        self.assertIn("classes", page.tables)
        self.bad(1, "not a number", "train", "--optimizer", "SGD(lr=1e30)", "--quiet", "--report", "nan.html")
        self.assertIn("failed: the loss is not a number", self.page("nan.html").ids["state"])


if __name__ == "__main__":
    if COMMAND is None:
        sys.exit("usage: test_report.py PATH_OF_CLGRAD")
    unittest.main(argv=sys.argv[:1])
