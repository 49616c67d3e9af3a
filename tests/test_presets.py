"""The presets from outside: their size and shapes, what info prints of them, training. Run with the command's path."""
import json
import sys
import unittest

from test_command import CommandTest

# Parameters for one channel and ten classes.
PRESETS = {"mlp": 669706, "lenet": 61706, "resnet-small": 151290, "resnet18": 11175370, "mobilenet-small": 86938,
           "transformer-small": 138506}


class Presets(CommandTest):
    def info(self, *arguments):
        return json.loads(self.good("info", *arguments, "--json"))

    def test_each_has_its_parameters_and_an_output_for_each_class(self):
        for name, parameters in PRESETS.items():
            with self.subTest(preset=name):
                result = self.info(name)
                self.assertEqual((result["parameters"], result["input"], result["output"]),
                                 (parameters, [1, 28, 28], [1, 10]))
                self.assertEqual(sum(layer["parameters"] for layer in result["layers"]) <= parameters, True)

    def test_what_info_prints_is_the_model_in_words_that_need_no_preset(self):
        for name in PRESETS:
            with self.subTest(preset=name):
                result = self.info(name)
                self.assertNotIn("Lazy", result["model"])
                self.assertEqual(self.info(result["model"], "--input", "1,28,28"), result)
                self.assertIn(result["model"], self.good("info", name))

    def test_each_takes_other_channels_sizes_and_classes(self):
        for name in PRESETS:
            for sample in ("3,32,32", "2,33,47") if name == "lenet" else ("3,32,32", "2,5,7", "4,1,1"):
                with self.subTest(preset=name, sample=sample):
                    self.assertEqual(self.info(name, "--input", sample, "--classes", 7)["output"], [1, 7])

    def test_resnet18_is_torchvisions(self):
        result = self.info("resnet18", "--input", "3,224,224", "--classes", 1000)
        self.assertEqual(result["parameters"], 11689512)
        self.assertAlmostEqual(result["flops"] / 1e9, 2 * 1.814, places=3)

    def test_resnet_small_is_cheap(self):
        self.assertLessEqual(self.info("resnet-small")["flops"], 15e6)

    def test_those_with_padding_train_on_the_digits(self):
        for name in ("resnet-small", "mobilenet-small", "transformer-small"):
            with self.subTest(preset=name):
                result = json.loads(self.good("train", "--model", name, "--epochs", 4, "--limit", 600, "--batch", 32,
                                              "--optimizer", "Adam(lr=0.003)", "--json"))
                self.assertGreater(result["accuracy"], 0.8)

    def test_bad_input_is_named(self):
        self.bad(2, "'resnet50' is no preset: .*resnet18", "train", "--model", "resnet50")
        self.bad(4, "'resnet50' is neither .*resnet18", "info", "resnet50")
        self.bad(2, "--classes 0", "info", "mlp", "--classes", 0)
        self.bad(2, "--input '1,0,3'", "info", "mlp", "--input", "1,0,3")
        self.bad(4, "lenet|Conv2d", "info", "lenet", "--input", "1,4,4")
        self.bad(4, "Conv2d.*input is", "info", "resnet-small", "--input", "784")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
