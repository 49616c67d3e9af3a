"""The compilers: where they are, and running them."""
import pathlib
import re
import subprocess
import sys

from .variants import ROOT

FOLDER = ROOT / "build/gpu-report"
LIBCLC = FOLDER / "libclc/usr/lib/clc"


class Failure(Exception):
    """A compiler did not take a kernel."""


def run(command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace")
    if done.returncode != 0:
        lines = done.stdout.splitlines()
        bad = [line for line in lines if re.search(r"error|fatal|unresolved|unsupported", line, re.I)]
        raise Failure((bad or lines or ["exit status %d" % done.returncode])[0])
    return done.stdout


def nvidia(name):
    return next(iter((FOLDER / "venv").glob("lib/*/site-packages/nvidia/*/bin/" + name)), None)


def install():
    """libclc-19 is unpacked and not installed: it and Mesa's OpenCL driver, which the tests use, exclude each other."""
    subprocess.run([ROOT / "tools/install-packages", "gpu"], check=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not LIBCLC.exists():
        run_in = lambda words: subprocess.run(words, check=True, cwd=FOLDER, stdout=subprocess.DEVNULL)
        run_in(["apt-get", "-qq", "download", "libclc-19"])
        for package in FOLDER.glob("libclc-19*.deb"):
            run_in(["dpkg", "-x", package, "libclc"])
    if nvidia("ptxas") is None or nvidia("nvdisasm") is None:
        subprocess.run([sys.executable, "-m", "venv", FOLDER / "venv"], check=True)
        subprocess.run([FOLDER / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
                        "nvidia-cuda-nvcc==13.5.37", "nvidia-cuda-nvdisasm==13.5.37"], check=True)


def clang(source, output, options):
    return run(["clang-19", "-w", "-x", "cl", "-cl-std=CL1.2", "-cl-fp32-correctly-rounded-divide-sqrt", "-Xclang",
                "-finclude-default-header", "-O3", "-nogpulib", source, "-o", output, *options])
