"""Our checkpoints in Python, and Python's state dicts in our command: test_safetensors_python.py COMMAND

Needs the packages numpy and safetensors (exit status 77, skipped, without them); with torch, a checkpoint is loaded
strictly into the same model.
"""
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

COMMAND = sys.argv[1]
MODEL = "Flatten(), Linear(64, 16), ReLU(), Linear(16, 10)"
SHAPES = {"1.weight": (16, 64), "1.bias": (16,), "3.weight": (10, 16), "3.bias": (10,)}


def run(*arguments):
    result = subprocess.run([COMMAND, *arguments], capture_output=True, text=True)
    assert result.returncode == 0, f"{arguments}: {result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout


def weights_of(path):
    return {name: value for name, value in load_file(path).items() if not name.startswith("__training__.")}


def check_ours(path):
    """A checkpoint of the command has PyTorch's names and shapes, f32, and metadata; and the data is aligned."""
    weights = weights_of(path)
    assert {name: value.shape for name, value in weights.items()} == SHAPES, weights.keys()
    assert all(value.dtype == np.float32 and np.isfinite(value).all() for value in weights.values())
    with safe_open(path, "np") as file:
        metadata = file.metadata()
    assert metadata["format"] == "clgrad-checkpoint-1" and "Linear" in metadata["model"], metadata
    with open(path, "rb") as file:
        assert int.from_bytes(file.read(8), "little") % 8 == 0
    return weights


def check_torch(weights):
    try:
        import torch
    except ImportError:
        return
    model = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10)
    )
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()}, strict=True)


def main():
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs, again = (os.path.join(folder, name) for name in ("ours", "theirs", "again"))
        train = ("train", "--data", "digits", "--model", MODEL, "--device", "cpu", "--quiet")
        run(*train, "--epochs", "1", "--out", ours)
        weights = check_ours(ours)
        check_torch(weights)

        # Python's file, in half and double precision too, is what the command starts from.
        for kind in (np.float32, np.float64, np.float16):
            written = {name: value.astype(kind) for name, value in weights.items()}
            save_file(written, theirs, {"format": "pt"})
            run("eval", theirs, "--data", "digits", "--model", MODEL, "--device", "cpu")
            run(*train, "--steps", "1", "--optimizer", "SGD(lr=0.0)", "--init", theirs, "--out", again)
            for name, value in weights_of(again).items():
                assert (value == written[name].astype(np.float32)).all(), f"{name} from {kind}"
    print("ok")


main()
