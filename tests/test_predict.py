"""clgrad predict: what it draws and writes. Run with the command's path."""
import csv
import io
import json
import os
import pty
import subprocess
import sys
import unittest

import test_command
from test_command import CommandTest
from test_data_sources import png


class Predict(CommandTest):
    def setUp(self):
        super().setUp()
        self.environment["LC_ALL"] = "C.UTF-8"

    def trained(self):
        self.train("--epochs", 2, "--out", "out")

    def colour_folder(self, count=4):
        """Reds and blues of 5 x 4 pixels, and a model of them."""
        for name, pixel in (("blue", [0, 0, 255]), ("red", [255, 0, 0])):
            os.makedirs(self.path(f"images/{name}"))
            for i in range(count):
                with open(self.path(f"images/{name}/{i}.png"), "wb") as file:
                    file.write(png(5, 4, pixel * 20, 3))
        self.good("train", "--data", "images", "--valid", 0, "--model", "Flatten(), LazyLinear(2)", "--epochs", 20, "--batch", 2,
                  "--quiet", "--out", "out")

    def on_terminal(self, *arguments, **environment):
        """What the command writes to a terminal of 80 columns."""
        main, other = pty.openpty()
        process = subprocess.Popen([test_command.COMMAND, *map(str, arguments)], cwd=self.folder, stdin=subprocess.DEVNULL,
                                   stdout=other, stderr=other, env={**self.environment, **environment})
        os.close(other)
        output = b""
        try:
            while piece := os.read(main, 65536):
                output += piece
        except OSError:  # the other end is closed
            pass
        os.close(main)
        self.assertEqual(process.wait(timeout=60), 0, output)
        return output.decode()

    def table(self, *arguments):
        return list(csv.DictReader(io.StringIO(self.good("predict", "out", "--csv", *arguments))))

    def test_csv_says_what_json_says(self):
        self.trained()
        rows = json.loads(self.good("predict", "out", "--rows", "3,0", "--json"))
        for line, row in zip(self.table("--rows", "3,0"), rows, strict=True):
            self.assertEqual([line["row"], line["predicted"], line["expected"]],
                             [str(row["row"]), row["predicted"], row["expected"]])
            for i, probability in enumerate(row["probabilities"]):
                self.assertAlmostEqual(float(line[str(i)]), probability, places=7)

    def test_top_keeps_the_likeliest_in_their_order(self):
        self.trained()
        whole = json.loads(self.good("predict", "out", "--count", 5, "--json"))
        for row, line in zip(json.loads(self.good("predict", "out", "--count", 5, "--json", "--top", 3)),
                             self.table("--count", 5, "--top", 3), strict=True):
            all_of_row = whole[row["row"]]["probabilities"]
            expected = sorted(range(10), key=lambda c: -all_of_row[c])[:3]
            self.assertEqual([int(entry["class"]) for entry in row["top"]], expected)
            self.assertEqual([entry["probability"] for entry in row["top"]], [all_of_row[c] for c in expected])
            self.assertNotIn("probabilities", row)
            self.assertEqual([line["predicted"], line["class_2"], line["class_3"]], [str(c) for c in expected])
        self.assertEqual(len(json.loads(self.good("predict", "out", "--count", 1, "--json", "--top", 99))[0]["top"]), 10)

    def test_names_with_commas_and_quotes_are_read_back(self):
        self.colour_folder()
        os.rename(self.path("images/red"), self.path('images/red, "dark"'))
        self.good("train", "--data", "images", "--valid", 0, "--model", "Flatten(), LazyLinear(2)", "--epochs", 1, "--quiet", "--out", "out")
        line = self.table("--data", "images", "--split", "train", "--count", 1)[0]
        self.assertEqual(list(line)[-2:], ["blue", 'red, "dark"'])
        self.assertAlmostEqual(float(line["blue"]) + float(line['red, "dark"']), 1, places=5)

    def test_a_drawing_has_its_classes_below_with_bars(self):
        self.trained()
        lines = self.good("predict", "out", "--rows", 4, "--draw", "--top", 2).splitlines()
        row = json.loads(self.good("predict", "out", "--rows", 4, "--json", "--top", 2))[0]
        self.assertEqual(len(lines), 2 + 1 + 1 + 4 + 2)  # table, gap, caption, 8 rows of pixels in 4, classes
        for line, entry in zip(lines[-2:], row["top"], strict=True):
            self.assertRegex(line, rf"^{entry['class']} +\S* +{100 * entry['probability']:.1f} %")
            self.assertAlmostEqual(line.count("█"), int(12 * entry["probability"]), delta=1)

    def test_a_terminal_gets_greys_and_colours(self):
        self.trained()
        terminal = {"TERM": "xterm-256color", "NO_COLOR": "", "COLORTERM": ""}
        drawn = self.on_terminal("predict", "out", "--rows", 4, **terminal)
        self.assertIn("\x1b[38;5;232;48;5;", drawn)  # black paper
        self.assertEqual(drawn.count("\x1b[0m"), 4)
        for change in ({"NO_COLOR": "1"}, {"TERM": "xterm"}):
            plain = self.on_terminal("predict", "out", "--rows", 4, **{**terminal, **change})
            self.assertNotIn("\x1b", plain)
            self.assertIn("▀", plain)
        self.colour_folder()
        drawn = self.on_terminal("predict", "out", "images/red/0.png", "images/blue/0.png", **terminal)
        self.assertIn("0.png: red", drawn)
        self.assertIn("\x1b[38;5;196;48;5;196m▀", drawn)  # red
        self.assertIn("\x1b[38;5;21;48;5;21m▀", drawn)  # blue

    def test_wide_images_are_made_smaller(self):
        os.makedirs(self.path("images/a"))
        os.makedirs(self.path("images/b"))
        for name, value in (("a", 255), ("b", 0)):
            with open(self.path(f"images/{name}/0.png"), "wb") as file:
                file.write(png(200, 10, [value] * 2000))
        self.good("train", "--data", "images", "--valid", 0, "--model", "Flatten(), LazyLinear(2)", "--epochs", 1, "--quiet", "--out", "out")
        lines = self.good("predict", "out", "images/a/0.png", "--draw").splitlines()
        self.assertEqual(sum(line.startswith("█" * 50) for line in lines), 1)
        self.assertLess(max(map(len, lines)), 80)

    def test_standard_input_is_an_image(self):
        self.colour_folder()
        with open(self.path("images/red/0.png"), "rb") as file:
            image = file.read()
        before = set(os.listdir(self.folder))
        self.environment["TMPDIR"] = self.folder
        result = subprocess.run([test_command.COMMAND, "predict", "out", "-", "--json"], input=image, cwd=self.folder,
                                env=self.environment, capture_output=True)
        row = json.loads(result.stdout)[0]
        self.assertEqual((row["file"], row["predicted"], result.stderr), ("-", "red", b""))
        self.assertEqual(set(os.listdir(self.folder)), before)
        self.bad(4, "standard input is empty", "predict", "out", "-", stdin=subprocess.DEVNULL)
        self.bad(2, "can be read once", "predict", "out", "-", "-", input="x")
        self.bad(4, "clgrad-", "predict", "out", "-", input="no image")
        self.environment["TMPDIR"] = self.path("nowhere")
        self.bad(4, "no file for standard input in .*nowhere", "predict", "out", "-", input="x")
        self.environment["TMPDIR"] = "/" + "long" * 2000
        self.bad(4, "the name of the folder TMPDIR is too long", "predict", "out", "-", input="x")
        self.assertEqual(set(os.listdir(self.folder)), before)

    def test_wrong_flags_are_usage_errors(self):
        self.trained()
        self.bad(2, "--json and --csv exclude each other", "predict", "out", "--json", "--csv")
        self.bad(2, "--top 0", "predict", "out", "--top", 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
