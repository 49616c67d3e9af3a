"""An installation, moved: backends and programs from outside are built against it alone, by pkg-config and by CMake, and go through the
proofs. docs/adding-a-device.md is followed to the letter. Usage: test_install.py COMMAND"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

COMMAND = pathlib.Path(sys.argv.pop()).resolve()
BUILD = COMMAND.parent
SOURCE = pathlib.Path(__file__).resolve().parent.parent
OUTSIDE = SOURCE / "docs" / "examples" / "outside"
CASES = sorted((SOURCE / "tests" / "cases").glob("*.safetensors"))
SANITIZED = "CLGRAD_SANITIZE:BOOL=ON" in (BUILD / "CMakeCache.txt").read_text()
FLAGS = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"] + (["-fsanitize=address,undefined"] if SANITIZED else [])


def run(*arguments, **settings):
    kept = {k: v for k, v in os.environ.items() if k not in ("CLGRAD_BACKEND_PATH", "CLGRAD_DEVICE", "CLGRAD_DATA")}
    kept.update(settings.pop("environment", {}), OMP_WAIT_POLICY="passive")
    done = subprocess.run([str(a) for a in arguments], env=kept, capture_output=True, text=True, timeout=400, **settings)
    assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = pathlib.Path(cls.folder.name)
        run("cmake", "--install", BUILD, "--prefix", cls.path / "first")
        cls.prefix = cls.path / "moved" / "somewhere else"
        cls.prefix.parent.mkdir()
        (cls.path / "first").rename(cls.prefix)
        cls.command = cls.prefix / "bin" / "clgrad"
        cls.pkg_config = next(cls.prefix.rglob("clgrad.pc")).parent
        cls.environment = {"PKG_CONFIG_PATH": str(cls.pkg_config), "PATH": f"{cls.prefix}/bin:{os.environ['PATH']}"}
        cls.built = cls.path / "built by cmake"
        run("cmake", "-S", OUTSIDE, "-B", cls.built, f"-DCMAKE_PREFIX_PATH={cls.prefix}", f"-DCMAKE_C_FLAGS={' '.join(FLAGS)}")
        run("cmake", "--build", cls.built)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def compile(self, name, *flags):
        to = self.path / name
        found = run("pkg-config", *[f for f in flags if f.startswith("--")], "clgrad", environment=self.environment)
        libraries = [f for f in flags if not f.startswith("--")]
        parts = [p.replace("\\ ", " ") for p in re.split(r"(?<!\\)\s+", found.strip())]
        run("cc", *FLAGS, OUTSIDE / (to.stem + ".c"), *parts, *libraries, "-o", to)
        return to

    def expect_all_layers(self, backend, device):
        listed = run(self.command, "devices", "--backend", backend, "--device", device)
        self.assertRegex(listed, f"(?m)^{device}(:|$)")
        settings = {"CLGRAD_BACKEND_PATH": str(backend), "CLGRAD_TEST_DEVICE": device, "CLGRAD_TEST_FALLBACK": "allow"}
        layers = run(BUILD / "tests" / "test_layers", environment=settings)
        self.assertRegex(layers, r"Tested: [1-9]\d+ \| Passing: [1-9]\d+ \| Failing: 0 \| Crashing: 0")
        self.expect_all_cases(backend, device)

    def expect_all_cases(self, backend, device):
        verified = run(self.command, "verify", *CASES, "--backend", backend, "--device", device)
        self.assertRegex(verified, r"(?m)^%d cases, 1 devices: \d+ pass, 0 fail, [1-9]\d* fallback" % len(CASES))

    def test_the_moved_command_finds_what_belongs_to_it(self):
        where = run("ldd", self.command)
        self.assertIn(str(self.prefix), where)
        self.assertIn("cpu\n", run(self.command, "devices", "--device", "cpu"))
        mnist = run(self.command, "train", "--data", "mnist", "--limit", "64", "--steps", "1", "--valid", "0", "--quiet")
        self.assertNotIn("error", mnist)
        (self.prefix / "share" / "clgrad").rename(self.path / "data away")
        try:
            environment = dict(os.environ, CLGRAD_DATA="/nowhere")
            lost = subprocess.run([self.command, "train", "--data", "mnist", "--limit", "64", "--steps", "1", "--valid", "0"],
                                  env=environment, capture_output=True, text=True, timeout=100)
            if lost.returncode != 0:  # where the sources' data folder is there, too, that is found
                self.assertIn("share/clgrad/mnist", lost.stderr)
        finally:
            (self.path / "data away").rename(self.prefix / "share" / "clgrad")

    def test_three_ops_built_by_cmake(self):
        self.expect_all_layers(self.built / "three_ops.so", "three_ops")

    def test_cblas_built_by_cmake(self):
        self.expect_all_layers(self.built / "cblas.so", "cblas")

    def test_both_built_with_pkg_config(self):
        shared = self.compile("three_ops.so", "--cflags", "-shared", "-fPIC")
        self.assertNotIn("clgrad_backend_load", run("nm", "-D", "--undefined-only", shared))
        self.assertNotRegex(run("nm", "-D", "--undefined-only", shared), r" cg_")
        self.expect_all_cases(shared, "three_ops")
        cache = (self.built / "CMakeCache.txt").read_text()
        library = re.search(r"CBLAS_LIBRARY:FILEPATH=(.*)", cache).group(1)
        include = re.search(r"CBLAS_INCLUDE_DIR:PATH=(.*)", cache).group(1)
        self.expect_all_cases(self.compile("cblas.so", "--cflags", "-shared", "-fPIC", "-I" + include, library), "cblas")

    def test_an_op_of_the_programs_own_runs_and_is_right_on_every_device(self):
        program = self.compile("own_op", "--cflags", "--libs", "-lm")
        library = {"LD_LIBRARY_PATH": str(self.pkg_config.parent)}
        devices = ["cpu", "reference"]
        for device in json.loads(run(self.command, "devices", "--json").split("\n")[0]):
            if device["device"].startswith("opencl:"):
                name = device["device"].split(",")[0]
                devices += [name + ",profile=cpu", name + ",profile=gpu"]
        for device in devices:
            said = run(program, device, environment=library)
            self.assertIn(f"{device}: the gradient of snake is right, and all of it ran on the device", said)
        three = run(program, "three_ops", environment=dict(library, CLGRAD_BACKEND_PATH=str(self.built / "three_ops.so")))
        self.assertIn("snake fell back", three)
        self.assertIn("the gradient of snake is right", three)

    def test_the_page_about_an_op_of_your_own_shows_the_example(self):
        example = " ".join((OUTSIDE / "own_op.c").read_text().split())
        blocks = re.findall(r"```c\n(.*?)```\n", (SOURCE / "docs" / "own-op.md").read_text(), re.S)
        self.assertEqual(len(blocks), 3)
        for block in blocks:
            self.assertIn(" ".join(block.split()), example)

    def test_the_page_about_adding_a_device_is_true(self):
        page = (SOURCE / "docs" / "adding-a-device.md").read_text()
        code = "".join(re.findall(r"```c\n(.*?)```\n", page, re.S))
        self.assertEqual(code, (OUTSIDE / "three_ops.c").read_text())
        self.assertLess(code.count("\n"), 200)
        work = self.path / "page"
        work.mkdir()
        (work / "three_ops.c").write_text(code)
        commands = "".join(re.findall(r"```sh\n(.*?)```\n", page, re.S))
        self.assertGreater(commands.count("three_ops"), 5)
        if SANITIZED:
            commands = commands.replace("cc ", "cc -fsanitize=address,undefined ")
        plain = self.path / "plain"  # the page's commands do not quote
        if not plain.exists():
            plain.symlink_to(self.prefix)
        environment = {"PKG_CONFIG_PATH": str(plain / self.pkg_config.relative_to(self.prefix)), "CASES": str(SOURCE / "tests" / "cases"),
                       "PATH": f"{plain}/bin:{os.environ['PATH']}"}
        said = run("bash", "-euxc", commands, environment=environment, cwd=work)
        self.assertEqual(said.count("  name       three ops in host memory\n"), 3, said)
        self.assertIn("three_ops runs relu, its gradient and add", said)


if __name__ == "__main__":
    for tool in ("cmake", "pkg-config", "cc"):
        if shutil.which(tool) is None:
            print(tool, "is not here")
            sys.exit(77)
    unittest.main(verbosity=2)
