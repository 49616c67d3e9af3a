"""clgrad export: the Python module's text, and where PyTorch is present what it computes. Run with the command's path."""
import ast
import importlib.util
import json
import os
import py_compile
import struct
import sys
import unittest

from test_command import CommandTest, idx, read_safetensors, write_bytes, write_safetensors

MODELS = ["mlp", "resnet-small", "mobilenet-small", "transformer-small", "Flatten(), Linear(64, 10)",
          "Flatten(), Linear(64, 16), GeneralReLU(0.1, 0.4, maxv=6.0), Residual(Linear(16, 16), Linear(16, 16)), Linear(16, 10)",
          "Flatten(), LazyLinear(16), Hardtanh(-1, inf), LazyLinear(10)"]


def torch_reason():
    """Why the modules cannot be run here; None where they can."""
    missing = [name for name in ("torch", "safetensors", "numpy") if importlib.util.find_spec(name) is None]
    return f"no {', '.join(missing)} in {sys.executable}" if missing else None


class Export(CommandTest):
    def trained(self, model, *arguments):
        self.good("train", "--model", model, "--epochs", 1, "--limit", 64, "--quiet", "--out", "out", *arguments)

    def export(self, *arguments):
        self.assertEqual(self.good("export", "out", "--pytorch", "model.py", *arguments), "")
        with open(self.path("model.py")) as file:
            return file.read()

    def test_the_module_compiles_and_names_every_layer_of_the_file(self):
        for model in MODELS:
            with self.subTest(model=model):
                self.trained(model)
                text = self.export()
                py_compile.compile(self.path("model.py"), cfile=self.path("model.pyc"), doraise=True)
                self.assertEqual(self.layers_of(text), self.layers_of_file())
                self.assertFalse([line for line in text.splitlines() if len(line) > 130 or line.rstrip() != line])

    @staticmethod
    def layers_of(text):
        """Names of the classes that Model's constructor calls, in their order."""
        model = next(node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == "Model")
        calls = [node for node in ast.walk(model) if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute))]
        calls.sort(key=lambda node: (node.lineno, node.col_offset))
        names = [ast.unparse(node.func) for node in calls if ast.unparse(node.func) not in ("super", "super().__init__")]
        return [ast.unparse(model.bases[0])] + names

    def layers_of_file(self):
        text = read_safetensors(self.path("out"))[0]["__metadata__"]["model"]
        own = ("Residual", "GeneralReLU", "Permute")
        calls = sorted((node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)),
                       key=lambda node: node.col_offset)
        return [name if name in own else "nn." + name for name in (node.func.id for node in calls)]

    def test_only_what_the_model_has_is_written_out(self):
        self.trained("Flatten(), Linear(64, 10)")
        text = self.export()
        for name in ("Residual", "GeneralReLU", "Permute", "import inf"):
            self.assertNotIn(name, text)

    def test_the_checkpoint_s_facts_are_in_the_module(self):
        self.trained("mlp", "--normalize", "0.25,0.5")
        text = self.export()
        for line in ('CHECKPOINT = pathlib.Path(__file__).parent / "out"', "SAMPLE = (1, 8, 8)", "CLASSES = tuple(str(i) for i in range(10))",
                     "MEAN = (0.25,)", "STD = (0.5,)", "BYTES = 16"):
            self.assertIn(line + "\n", text)

    def test_the_names_of_classes_are_python_s_strings(self):
        self.trained("mlp")
        header, tensors = read_safetensors(self.path("out"))
        names = ["plain", 'quote " and \\', "tab\tand \u00e9"] + list("3456789")
        header["__metadata__"]["class_names"] = json.dumps(names)
        write_safetensors(self.path("out"), header, tensors)
        tree = ast.parse(self.export())
        classes = next(node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "CLASSES")
        self.assertEqual(list(ast.literal_eval(classes)), names)

    def test_a_checkpoint_elsewhere_is_found_by_its_whole_path(self):
        self.trained("mlp")
        os.mkdir(self.path("there"))
        self.good("export", "out", "--pytorch", "there/model.py")
        with open(self.path("there/model.py")) as file:
            self.assertIn(json.dumps(os.path.realpath(self.path("out"))), file.read())

    def test_weights_alone_need_the_model_said(self):
        self.trained("mlp")
        header, tensors = read_safetensors(self.path("out"))
        header.pop("__metadata__")
        header = {name: entry for name, entry in header.items() if not name.startswith("__training__.")}
        end = max(entry["data_offsets"][1] for entry in header.values())
        write_safetensors(self.path("out"), header, tensors[:end])
        self.bad(2, "--model is needed", "export", "out", "--pytorch", "model.py")
        text = self.export("--model", "mlp", "--input", "1,8,8", "--classes", 10)
        self.assertIn("nn.Linear(64, 512)", text)
        self.bad(4, "shape", "export", "out", "--pytorch", "model.py", "--model", "mlp", "--input", "1,9,9", "--classes", 10)

    def test_bad_input_is_named_and_leaves_no_file(self):
        self.trained("mlp")
        self.bad(2, "--pytorch MODEL.py is needed", "export", "out")
        self.bad(4, "none", "export", "none", "--pytorch", "model.py")
        self.bad(4, "cannot write nowhere/model.py", "export", "out", "--pytorch", "nowhere/model.py")
        self.bad(2, "--input 'x'", "export", "out", "--pytorch", "model.py", "--input", "x")
        write_bytes(self.path("broken"), struct.pack("<Q", 9) + b"{}")
        self.bad(4, "broken", "export", "broken", "--pytorch", "model.py")
        os.mkdir(self.path("folder"))
        self.bad(4, "cannot write folder", "export", "out", "--pytorch", "folder")
        self.assertEqual(sorted(os.listdir(self.folder)), ["broken", "folder", "out"])

    @unittest.skipIf(torch_reason(), torch_reason())
    def test_pytorch_computes_the_same_probabilities(self):
        import numpy
        random = numpy.random.default_rng(1)
        images = random.integers(0, 256, (40, 8, 8), numpy.uint8)
        labels = [i % 10 for i in range(40)]
        for part in ("train", "t10k"):
            write_bytes(self.path(f"{part}-images-idx3-ubyte"), idx(images.shape, images.tobytes()))
            write_bytes(self.path(f"{part}-labels-idx1-ubyte"), idx([40], labels))
        for model in MODELS:
            with self.subTest(model=model):
                self.trained(model, "--data", self.folder, "--valid", 0)
                self.export()
                spec = importlib.util.spec_from_file_location("exported", self.path("model.py"))
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                rows = json.loads(self.good("predict", "out", "--data", self.folder, "--count", 40, "--json"))
                probabilities = module.predict(module.load(), images[:, None]).numpy()
                expected = numpy.array([row["probabilities"] for row in rows])
                self.assertLess(numpy.abs(probabilities - expected).max(), 1e-5)


if __name__ == "__main__":
    if torch_reason():
        print(f"PyTorch's side is skipped: {torch_reason()}")
    unittest.main(argv=sys.argv[:1], verbosity=2)
