"""clgrad verify: cases that pass, cases with one thing wrong, exit statuses. Run with the command's path."""
import json
import math
import os
import re
import shutil
import struct
import sys
import unittest

import test_command
from test_command import CommandTest, read_safetensors, write_safetensors

CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")
CODES = {"BOOL": "?", "F64": "d", "F32": "f", "I64": "q", "I32": "i"}
LINE = re.compile(r"(pass|FAIL|fallback|unsupported) (\S+) (\S+) max_abs=(\S+) max_rel=(\S+) at=(\S+)( .*)?")


def names():
    return sorted(name[:-len(".safetensors")] for name in os.listdir(CASES) if name.endswith(".safetensors"))


def case_path(name):
    return os.path.join(CASES, name + ".safetensors")


class Case:
    """A case file taken apart: metadata, and {name: [dtype, shape, values]}."""

    def __init__(self, path):
        header, data = read_safetensors(path)
        self.metadata = header.pop("__metadata__")
        self.tensors = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            code = CODES[entry["dtype"]]
            values = struct.unpack(f"<{(end - begin) // struct.calcsize(code)}{code}", data[begin:end])
            self.tensors[name] = [entry["dtype"], entry["shape"], list(values)]

    def write(self, path):
        header, data = {"__metadata__": self.metadata}, b""
        for name, (dtype, shape, values) in self.tensors.items():
            packed = struct.pack(f"<{len(values)}{CODES[dtype]}", *values)
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(packed)]}
            data += packed
        write_safetensors(path, header, data)

    def values(self, name):
        return self.tensors[name][2]

    def expected(self):
        """Names of the tensors that a device must compute, by group."""
        groups = {}
        for name in self.tensors:
            group = name.partition(".")[0]
            given = self.metadata["kind"] == "optimizer" and group == "grad"
            if group in ("output", "grad", "after", "lr", "momentum") and not given:
                groups.setdefault(group, []).append(name)
        return groups


class VerifyTest(CommandTest):
    def case(self, name):
        return Case(case_path(name))

    def write(self, case, name="changed"):
        path = self.path(name + ".safetensors")
        case.write(path)
        return path

    def verify(self, status, *arguments):
        """(verdicts, totals, stderr): [(outcome, case, device, max_abs, max_rel, at, reason)], the four counts."""
        result = self.run_command("verify", *arguments)
        self.assertEqual(result.returncode, status, f"{arguments}: {result.stdout}{result.stderr}")
        *lines, last = result.stdout.splitlines()
        matches = [LINE.fullmatch(line) for line in lines]
        self.assertTrue(all(matches), result.stdout)
        totals = re.fullmatch(r"(\d+) cases, (\d+) devices: (\d+) pass, (\d+) fail, (\d+) fallback, (\d+) unsupported",
                              last)
        self.assertTrue(totals, last)
        error = re.sub(r"==\d+==WARNING: AddressSanitizer failed to allocate.*\n", "", result.stderr)
        return [match.groups() for match in matches], [int(count) for count in totals.groups()], error

    def verdict(self, status, case, *arguments):
        """The one line of a changed case."""
        verdicts, _, error = self.verify(status, self.write(case), *arguments)
        self.assertEqual((len(verdicts), error), (1, ""))
        return verdicts[0]

    def refused(self, pattern, case, status=4):
        """A changed case gives one message and no line, and the file after it is replayed all the same."""
        path = case if isinstance(case, str) else self.write(case)
        verdicts, totals, error = self.verify(status, path, case_path("relu"))
        self.assertEqual([line[:2] for line in verdicts], [("pass", "relu")])
        self.assertEqual(totals[2:], [1, 0, 0, 0])
        self.assertRegex(error, r"\Aclgrad: .*" + pattern)
        self.assertEqual(error.count("\n"), 1, error)


class Cases(VerifyTest):
    def test_every_case_passes_on_cpu_and_reference(self):
        files = [case_path(name) for name in names()]
        verdicts, totals, error = self.verify(0, *files, "--device", "cpu", "--device", "reference", "--strict")
        hosts = sum(self.case(name).metadata["kind"] == "schedule" for name in names())
        runs = 2 * (len(files) - hosts) + hosts
        self.assertGreaterEqual(len(files), 43)
        self.assertEqual(totals, [len(files), 2, runs, 0, 0, 0])
        self.assertEqual(len(verdicts), runs)
        for outcome, name, device, max_abs, max_rel, at, reason in verdicts:
            kind = self.case(name).metadata["kind"]
            self.assertEqual((outcome, reason), ("pass", None))
            self.assertEqual(device == "host", kind == "schedule")
            self.assertTrue(math.isfinite(float(max_abs)) and math.isfinite(float(max_rel)))
            tensors = self.case(name).tensors
            judged = [tensors[key][1] for key in tensors if key.partition(".")[0] in ("output", "grad", "after", "lr", "momentum")]
            of_nothing = all(0 in shape for shape in judged)
            self.assertTrue(at == "-" if of_nothing else at.partition("[")[0] in tensors, (name, at))
        self.assertEqual(error, "")

    def test_in_doubles_every_module_agrees_to_the_last_digits(self):
        modules = [name for name in names() if self.case(name).metadata["kind"] == "module"]
        verdicts, _, _ = self.verify(0, *map(case_path, modules), "--device", "reference,dtype=f64")
        singles = {"celu", "hardsigmoid"}  # PyTorch has 1 / alpha and 1 / 6 in float in the midst of its float64
        for _, name, _, max_abs, *_ in verdicts:
            self.assertLess(float(max_abs), 1e-7 if name in singles else 1e-13, name)
        self.assertTrue(all(verdict[2] == "reference,dtype=f64" for verdict in verdicts))

    def test_the_list_that_the_cases_are_recorded_from_has_them_all(self):
        with open(os.path.join(CASES, "list.txt")) as file:
            listed = [line.partition("|")[0].strip() for line in file if not line.startswith("#")]
        self.assertEqual(sorted(listed), names())

    def test_all_means_every_device_once(self):
        listed = [device["device"].partition(",")[0] for device in json.loads(self.good("devices", "--json"))]
        verdicts, totals, _ = self.verify(0, case_path("relu"), "--device", "all", "--device", "cpu")
        devices = [verdict[2] for verdict in verdicts]
        self.assertEqual(devices[:2], ["cpu", "reference"])
        self.assertEqual(len(devices), len(set(devices)))
        self.assertEqual({device.partition(",")[0] for device in devices}, set(listed))
        self.assertTrue(all(f"{device},profile={profile}" in devices for device in listed if device.startswith("opencl")
                            for profile in ("cpu", "gpu")))
        self.assertEqual(totals[1], len(devices))

    def test_json_says_the_same(self):
        files = [case_path(name) for name in ("linear", "adam", "one_cycle")]
        verdicts, totals, _ = self.verify(0, *files)
        result = json.loads(self.good("verify", *files, "--json"))
        keys = ("cases", "devices", "pass", "fail", "fallback", "unsupported")
        self.assertEqual([result[key] for key in keys], totals)
        self.assertEqual(result["errors"], [])
        for line, row in zip(verdicts, result["results"]):
            self.assertEqual((row["outcome"], row["case"], row["device"], row["at"]), (*line[:3], line[5]))
            self.assertEqual((f"{row['max_abs']:.3g}", row["reason"]), (f"{float(line[3]):.3g}", ""))

    def test_json_has_what_is_no_verdict_too(self):
        with open(self.path("empty"), "w"):
            pass
        result = self.run_command("verify", "empty", case_path("relu"), "--json")
        self.assertEqual(result.returncode, 4)
        self.assertEqual(len(json.loads(result.stdout)["errors"]), 1)
        self.assertIn("empty", json.loads(result.stdout)["errors"][0]["message"])


class Results(VerifyTest):
    RULES = {"module": (1e-4, 1e-5), "optimizer": (1e-5, 1e-6), "schedule": (1e-9, 1e-9)}

    def test_results_have_the_names_shapes_and_values_of_what_was_expected(self):
        self.verify(0, *map(case_path, names()), "--device", "cpu", "--device", "reference", "--out", "deep/results")
        for name in names():
            case = self.case(name)
            hosts = ["host"] if case.metadata["kind"] == "schedule" else ["cpu", "reference"]
            for device in hosts:
                result = Case(self.path(f"deep/results/{device}/{name}.safetensors"))
                self.assertEqual(result.metadata["device"], device)
                self.assert_agree(name, case, result)
        self.assertEqual(sorted(os.listdir(self.path("deep/results"))), ["cpu", "host", "reference"])

    def assert_agree(self, name, case, result):
        """The rule, written once more."""
        rtol, atol = self.RULES[case.metadata["kind"]]
        groups = case.expected()
        self.assertEqual(sorted(result.tensors), sorted(sum(groups.values(), [])))
        for group in groups.values():
            scale = max((abs(value) for tensor in group for value in case.values(tensor)), default=0)
            for tensor in group:
                self.assertEqual(result.tensors[tensor][:2], case.tensors[tensor][:2], f"{name} {tensor}")
                for actual, expected in zip(result.values(tensor), case.values(tensor)):
                    self.assertLessEqual(abs(actual - expected), rtol * abs(expected) + atol * scale)

    def test_a_scalar_stays_one(self):
        self.verify(0, case_path("mse_loss"), "--out", "out")
        self.assertEqual(Case(self.path("out/cpu/mse_loss.safetensors")).tensors["output.0"][1], [])

    def test_results_are_written_for_what_fails_and_not_for_what_is_unsupported(self):
        wrong, unknown = self.case("relu"), self.case("relu")
        wrong.values("output.0")[0] += 1
        unknown.metadata["module"] = "Relu7()"
        self.verify(1, self.write(wrong, "wrong"), self.write(unknown, "unknown"), "--out", "out")
        self.assertEqual(os.listdir(self.path("out/cpu")), ["wrong.safetensors"])

    def test_what_cannot_be_written_is_a_file_error(self):
        with open(self.path("file"), "w"):
            pass
        for out in ("file", "file/below", "/dev/null/x"):
            result = self.bad(4, "cannot make", "verify", case_path("relu"), "--out", out)
            self.assertEqual(result.stdout, "")
        os.makedirs(self.path("out/cpu/relu.safetensors"))
        verdicts, _, error = self.verify(4, case_path("relu"), "--out", "out")
        self.assertEqual(verdicts[0][0], "pass")
        self.assertRegex(error, "relu.safetensors")

    def test_two_cases_of_one_name_cannot_have_one_result(self):
        os.mkdir(self.path("other"))
        shutil.copy(case_path("relu"), self.path("other"))
        files = [case_path("relu"), "other/relu.safetensors"]
        self.bad(2, "relu.safetensors", "verify", *files, "--out", "out")
        self.verify(0, *files)


class Verdicts(VerifyTest):
    def test_a_value_beyond_its_tolerance_fails_and_is_named(self):
        case = self.case("linear")
        case.values("grad.param.weight")[2 * 7 + 3] += 0.01
        outcome, name, device, max_abs, _, at, reason = self.verdict(1, case)
        self.assertEqual((outcome, name, device, at), ("FAIL", "changed", "cpu", "grad.param.weight[2,3]"))
        self.assertAlmostEqual(float(max_abs), 0.01, places=4)
        self.assertRegex(reason, r"1 of \d+ wrong: actual=.* expected=")

    def test_tolerance_is_relative_and_to_the_largest_of_the_group(self):
        for factor, outcome in ((0.8, "pass"), (1.2, "FAIL")):
            case = self.case("linear_constant_input")
            outputs = case.values("output.0")
            largest = max(map(abs, outputs))
            at = min(range(len(outputs)), key=lambda i: abs(outputs[i]))
            outputs[at] += factor * (1e-4 * abs(outputs[at]) + 1e-5 * largest)
            self.assertEqual(self.verdict(outcome == "FAIL", case)[0], outcome)

    def test_a_case_may_bring_its_own_tolerance(self):
        case = self.case("linear")
        case.values("output.0")[0] += 0.01
        case.metadata.update(rtol="0", atol="0.1")
        self.assertEqual(self.verdict(0, case)[0], "pass")
        case.metadata.update(rtol="0", atol="0")
        self.assertEqual(self.verdict(1, case)[0], "FAIL")
        for tolerance in ("-1", "nan", "inf", "x", ""):
            case.metadata["atol"] = tolerance
            self.refused('metadata "atol"', case)

    def test_every_kind_and_every_group_is_compared(self):
        for name in ("linear_eval", "adam", "one_cycle", "mse_loss", "cross_entropy", "residual_linear"):
            for tensor in sum(self.case(name).expected().values(), []):
                with self.subTest(name=name, tensor=tensor):
                    case = self.case(name)
                    case.values(tensor)[-1] += 0.01
                    verdict = self.verdict(1, case)
                    self.assertEqual((verdict[0], verdict[5].partition("[")[0]), ("FAIL", tensor))

    def test_a_schedule_is_held_to_a_thousand_millionth(self):
        for change, outcome in ((1e-10, "pass"), (1e-8, "FAIL")):
            case = self.case("cosine_lr")
            case.values("lr")[4] *= 1 + change
            self.assertEqual(self.verdict(outcome == "FAIL", case)[0], outcome)

    def test_nan_and_infinity_never_agree_with_numbers(self):
        for value in (math.nan, math.inf):
            case = self.case("relu")
            case.values("input.0")[5] = value
            verdict = self.verdict(1, case)
            self.assertEqual((verdict[0], verdict[3], verdict[5]), ("FAIL", "inf", "output.0[0,5]"))
        case = self.case("relu")
        case.values("output.0")[5] = math.inf
        self.assertEqual(self.verdict(1, case)[0], "FAIL")

    def test_an_infinity_agrees_with_itself_and_does_not_widen_the_tolerance(self):
        case = self.case("relu")
        case.values("input.0")[5] = case.values("output.0")[5] = math.inf
        case.values("grad.input.0")[5] = case.values("grad_output.0")[5]
        self.assertEqual(self.verdict(0, case)[0], "pass")
        case.values("output.0")[6] += 0.1
        self.assertEqual(self.verdict(1, case)[5], "output.0[0,6]")

    def test_a_shape_other_than_expected_fails(self):
        case = self.case("mse_loss")
        for name in ("output.0", "grad_output.0"):
            case.tensors[name][1] = [1]
        verdict = self.verdict(1, case)
        self.assertEqual(verdict[0], "FAIL")
        self.assertRegex(verdict[6], r"output.0 is \[\], expected \[1\]|was not computed")

    def test_what_has_no_name_here_is_unsupported(self):
        for name, key, text, missing in (
                ("relu", "module", "Rectifier()", "module Rectifier"),
                ("relu", "module", "Sequential(ReLU(), Residual(Wavelet(3)))", "module Wavelet"),
                ("adam", "optimizer", "LBFGS(lr=0.01)", "optimizer LBFGS"),
                ("adam", "optimizer", "Adam(lr=0.01, fused=True)", "fused=True"),
                ("step_lr", "schedule", "Spiral(step_size=3)", "schedule Spiral"),
                ("step_lr", "schedule", "StepLR(step_size=3, last_epoch=4)", "last_epoch=4")):
            with self.subTest(text=text):
                case = self.case(name)
                case.metadata[key] = text
                verdict = self.verdict(0, case)
                self.assertEqual((verdict[0], *verdict[3:6]), ("unsupported", "-", "-", "-"))
                self.assertIn(missing, verdict[6])
                self.verdict(1, case, "--strict")
        self.verify(0, case_path("relu"), "--strict")

    def test_right_values_that_another_device_computed_are_a_fallback(self):
        plugin = os.path.join(os.path.dirname(test_command.COMMAND), "tests", "plugins", "tiny")
        if not os.path.isdir(plugin):
            self.skipTest("the plug-ins of the tests are not built")
        self.environment["CLGRAD_BACKEND_PATH"] = plugin
        files = [case_path("linear"), case_path("step_lr")]
        verdicts, totals, _ = self.verify(0, *files, "--device", "tiny:0", "--require", "tiny")
        self.assertEqual([line[0] for line in verdicts], ["fallback", "pass"])
        self.assertRegex(verdicts[0][6], "matmul: tiny runs relu only")
        self.assertEqual(totals, [2, 1, 1, 0, 1, 0])
        self.verify(1, *files, "--device", "tiny:0", "--strict")
        case = self.case("linear")
        case.values("output.0")[0] += 1
        self.assertEqual(self.verdict(1, case, "--device", "tiny:0")[0], "FAIL")

    def test_arguments_at_pytorchs_defaults_change_nothing(self):
        case = self.case("adam")
        case.metadata["optimizer"] = "torch.optim.Adam(lr=0.01, amsgrad=False, foreach=None)"
        self.assertEqual(self.verdict(0, case)[0], "pass")
        case = self.case("step_lr")
        case.metadata["schedule"] = "torch.optim.lr_scheduler.StepLR(3, gamma=0.5, last_epoch=-1)"
        self.assertEqual(self.verdict(0, case)[0], "pass")


class BadFiles(VerifyTest):
    def test_files_that_are_no_cases_are_refused(self):
        with open(case_path("linear"), "rb") as file:
            content = file.read()
        for size in (0, 3, 8, 100, len(content) - 1):
            test_command.write_bytes(self.path("short"), content[:size])
            self.refused("short", "short")
        test_command.write_bytes(self.path("text"), b"a text that is no safetensors file at all")
        self.refused("text", "text")
        self.refused("missing", "missing")
        self.refused("", self.folder)
        self.good("train", "--model", test_command.SMALL, "--epochs", 0, "--quiet", "--out", "checkpoint")
        self.refused("format", "checkpoint")

    def test_metadata_must_be_whole(self):
        for name, key, value, pattern in (
                ("linear", "format", None, "format"), ("linear", "format", "clgrad-case-2", "clgrad-case-2"),
                ("linear", "kind", None, "kind"), ("linear", "kind", "layer", "layer"),
                ("linear", "module", None, '"module" is missing'), ("linear", "mode", None, "mode"),
                ("linear", "mode", "test", "train or eval"), ("adam", "steps", None, "steps"),
                ("adam", "steps", "many", "steps"), ("adam", "steps", "0", "steps"), ("adam", "steps", "-1", "steps"),
                ("adam", "steps", "4", "tensors"), ("adam", "steps", "6", "grad.5.0.* is missing"),
                ("adam", "steps", "999999999", "is missing"), ("adam", "optimizer", None, "optimizer"),
                ("step_lr", "lr", None, "lr"), ("step_lr", "lr", "fast", "lr"), ("step_lr", "lr", "inf", "lr"),
                ("step_lr", "steps", "11", r"\[12\], \[11\]"), ("step_lr", "schedule", None, "schedule"),
                ("linear", "inputs", "x", 'the name "x".* has input'), ("multihead_attention_mask", "inputs", "query, key", 'input 2'),
                ("multihead_attention_mask", "inputs", "query, key, key, value", 'input 2 the name "key"')):
            with self.subTest(name=name, key=key, value=value):
                case = self.case(name)
                case.metadata.pop(key, None)
                if value is not None:
                    case.metadata[key] = value
                self.refused(pattern, case)

    def test_tensors_that_are_missing_are_named(self):
        for name, missing in (("linear", "input.0"), ("linear", "param.weight"), ("linear", "grad.param.bias"),
                              ("linear", "output.0"), ("linear", "grad_output.0"), ("cross_entropy", "input.1"),
                              ("adam", "param.0"), ("adam", "grad.3.1"), ("adam", "after.4.0"), ("step_lr", "lr"),
                              ("step_lr", "momentum")):
            with self.subTest(name=name, missing=missing):
                case = self.case(name)
                del case.tensors[missing]
                self.refused(re.escape(missing) if missing != "input.1" else "input", case)
        case = self.case("linear")
        del case.tensors["param.bias"], case.tensors["grad.param.bias"]
        self.refused("param.bias.* is missing", case)

    def test_tensors_that_are_unexpected_are_named(self):
        scalar = ["F32", [], [1.0]]
        for name, extra, pattern in (
                ("linear", "stray", "stray"), ("linear", "input.2", "input.2"), ("linear", "input.00", "input.00"),
                ("linear", "input.1", "input"), ("linear", "param.other", "other"), ("linear", "buffer.x", "x"),
                ("linear", "after.buffer.x", "x"), ("linear", "grad.input.1", "input.1"), ("linear", "input.", "input."),
                ("adam", "stray", "tensors"), ("adam", "param.2", "grad.0.2"), ("step_lr", "stray", "tensors")):
            with self.subTest(name=name, extra=extra):
                case = self.case(name)
                case.tensors[extra] = scalar if extra[:4] not in ("grad", "afte") else ["F64", *scalar[1:]]
                self.refused(pattern, case)
        case = self.case("linear")
        case.tensors["param.other"], case.tensors["grad.param.other"] = scalar, ["F64", [], [1.0]]
        self.refused('"param.other" is unexpected', case)
        case = self.case("linear")
        case.tensors["buffer.mean"], case.tensors["after.buffer.mean"] = scalar, ["F64", [], [1.0]]
        self.refused('"buffer.mean" is unexpected', case)
        case = self.case("linear")
        case.tensors["output.1"], case.tensors["grad_output.1"] = ["F64", [], [1.0]], scalar
        self.refused("2 outputs", case)

    def test_dtypes_must_be_those_of_the_format(self):
        for name, tensor, dtype in (
                ("linear", "input.0", "F64"), ("linear", "input.0", "I32"), ("linear", "input.0", "I64"),
                ("linear", "param.weight", "F64"), ("linear", "output.0", "F32"), ("linear", "grad_output.0", "F64"),
                ("linear", "grad.input.0", "F32"), ("linear", "grad.param.bias", "I64"), ("adam", "param.0", "F64"),
                ("adam", "grad.0.0", "F64"), ("adam", "after.0.0", "F32"), ("step_lr", "lr", "F32"),
                ("step_lr", "momentum", "I64"), ("cross_entropy", "input.1", "F32")):
            with self.subTest(name=name, tensor=tensor, dtype=dtype):
                case = self.case(name)
                convert = float if dtype.startswith("F") else int
                entry = case.tensors[tensor]
                entry[0], entry[2] = dtype, [convert(value) for value in entry[2]]
                self.refused("", case)

    def test_shapes_must_fit_the_module_and_their_partners(self):
        for name, tensor, shape in (("linear", "param.weight", [7, 5]), ("linear", "grad.param.weight", [7, 5]),
                                    ("linear", "grad.input.0", [7, 4]), ("linear", "grad_output.0", [5, 4]),
                                    ("adam", "grad.2.0", [4, 3]), ("adam", "after.2.0", [12]), ("step_lr", "lr", [3, 4])):
            with self.subTest(name=name, tensor=tensor):
                case = self.case(name)
                self.assertNotEqual(case.tensors[tensor][1], shape)
                case.tensors[tensor][1] = shape
                self.refused(re.escape(tensor), case)
        case = self.case("linear")
        for tensor in ("input.0", "grad.input.0"):
            case.tensors[tensor][1] = [7, 4]
        self.refused(r"Linear\(7, 5\)", case)

    def test_nan_in_expectations_is_refused(self):
        for name, tensor in (("linear", "output.0"), ("linear", "grad.param.weight"), ("linear", "grad.input.0"),
                             ("adam", "after.2.1"), ("step_lr", "lr"), ("step_lr", "momentum")):
            with self.subTest(name=name, tensor=tensor):
                case = self.case(name)
                case.values(tensor)[2] = math.nan
                self.refused(f'"{re.escape(tensor)}" expects NaN', case)

    def test_texts_that_do_not_parse_or_have_wrong_arguments_are_refused(self):
        for name, key, text, pattern in (
                ("linear", "module", "Linear(7, 5", "column 12"), ("linear", "module", "", "empty|expected"),
                ("linear", "module", "Foo(7, 5", "column"), ("linear", "module", "Linear", "after a name"),
                ("linear", "module", "Linear(7)", "out_features"), ("linear", "module", "Linear(7, 5, colour=3)", "colour"),
                ("linear", "module", "Linear(7, 'five')", "'five'"), ("linear", "module", "Linear(0, 5)", "positive"),
                ("linear", "module", "Linear(6, 5)", r"\[5, 7\].*\[5, 6\]"), ("linear", "module", "ReLU()", "param"),
                ("linear", "module", "MSELoss()", "param"), ("adam", "optimizer", "Adam(lr=)", "column"),
                ("adam", "optimizer", "Adam(lr=-1)", "lr"), ("adam", "optimizer", "Adam(rate=1)", "rate"),
                ("adam", "optimizer", "Adam(), SGD()", "one optimizer"), ("step_lr", "schedule", "StepLR()", "step_size"),
                ("step_lr", "schedule", "StepLR(step_size=0)", "positive"),
                ("step_lr", "schedule", "StepLR(3), StepLR(3)", "one schedule"),
                ("step_lr", "schedule", "MultiStepLR(milestones=[1, 'x'])", "milestones"),
                ("step_lr", "schedule", "LinearLR(start_factor=0)", "start_factor"),
                ("step_lr", "schedule", "ConstantLR(factor=2)", "factor"),
                ("step_lr", "schedule", "OneCycleLR(max_lr=1)", "total_steps"),
                ("step_lr", "schedule", "OneCycleLR(max_lr=1, epochs=2)", "total_steps"),
                ("step_lr", "schedule", "OneCycleLR(max_lr=1, total_steps=8, pct_start=2)", "pct_start"),
                ("step_lr", "schedule", "OneCycleLR(max_lr=1, total_steps=8, anneal_strategy='up')", "anneal_strategy"),
                ("step_lr", "schedule", "OneCycleLR(max_lr=1, total_steps=8)", "step 9")):
            with self.subTest(text=text):
                case = self.case(name)
                case.metadata[key] = text
                self.refused(pattern, case)

    def test_classes_that_are_out_of_range_are_refused(self):
        case = self.case("cross_entropy")
        case.values("input.1")[3] = 10
        self.refused("10", case)

    def test_a_file_without_outputs_is_refused(self):
        case = self.case("relu")
        del case.tensors["output.0"], case.tensors["grad_output.0"]
        self.refused("output.0", case)

    def test_a_batch_of_nothing_has_shapes(self):
        case = self.case("linear_of_none")
        for name in ("output.0", "grad_output.0"):
            case.tensors[name][1] = [0, 3, 4]
        self.assertEqual(self.verdict(1, case)[0], "FAIL")

    def test_a_bad_file_is_named_once_for_all_devices(self):
        case = self.case("linear")
        case.metadata["module"] = "Linear(7)"
        self.environment["CLGRAD_DEVICE"] = ""
        verdicts, totals, error = self.verify(4, self.write(case), "--device", "cpu", "--device", "reference")
        self.assertEqual((verdicts, error.count("\n")), ([], 1))


class ExitStatuses(VerifyTest):
    def setUp(self):
        super().setUp()
        options = self.environment.get("ASAN_OPTIONS", "")  # an allocation that fails is no error of the program
        self.environment["ASAN_OPTIONS"] = options + ":allocator_may_return_null=1:log_path=stderr"
        case = self.case("relu")
        case.values("output.0")[0] += 1
        self.wrong = self.write(case, "wrong")
        self.broken = self.path("broken")
        with open(self.broken, "w"):
            pass
        case = self.case("linear")
        case.metadata["module"] = "Linear(4000000, 4000000)"
        self.large = self.write(case, "large")
        case.metadata["module"] = "Elsewhere()"
        self.unknown = self.write(case, "unknown")
        self.right = case_path("relu")

    def test_required_devices_must_be_there(self):
        self.verify(0, self.right, "--require", "cpu")
        self.verify(0, self.right, "--device", "reference", "--device", "cpu", "--require", "CPU,reference")
        for names in ("nonesuch", "cpu,nonesuch", "reference"):
            verdicts, _, error = self.verify(3, self.right, "--require", names)
            self.assertEqual(verdicts[0][0], "pass")
            self.assertRegex(error, "--require: (nonesuch|reference) is not among the devices")

    def test_a_device_that_is_not_there_leaves_the_others(self):
        verdicts, totals, error = self.verify(3, self.right, "--device", "nonesuch", "--device", "cpu")
        self.assertEqual(([line[:3] for line in verdicts], totals[1]), ([("pass", "relu", "cpu")], 1))
        self.assertRegex(error, "nonesuch")
        self.assertEqual(self.verify(3, self.right, "--device", "nonesuch")[1], [1, 0, 0, 0, 0, 0])

    def test_a_module_that_needs_more_memory_than_there_is_is_a_device_error(self):
        self.refused("memory", self.large, status=3)

    def test_of_several_causes_wrong_comes_before_device_before_file(self):
        missing = ("--require", "nonesuch")
        for status, files, flags in (
                (0, [self.right, self.unknown], ()), (1, [self.right, self.unknown], ("--strict",)),
                (1, [self.wrong], ()), (4, [self.broken, self.right], ()), (3, [self.right], missing),
                (1, [self.broken, self.wrong], ()), (1, [self.wrong, self.broken], missing),
                (1, [self.large, self.broken, self.wrong], missing), (3, [self.broken, self.right], missing),
                (3, [self.broken, self.large], ()), (1, [self.broken, self.large, self.unknown], ("--strict",)),
                (3, [self.broken, self.large, self.unknown], ())):
            with self.subTest(files=files, flags=flags):
                self.verify(status, *files, *flags)

    def test_wrong_usage_runs_nothing(self):
        for pattern, *arguments in (
                ("FILE... is needed",), ("FILE... is needed", "--strict"), ("after the comma", self.right, "--device", "cpu,"),
                ("colour", self.right, "--device", "cpu,colour=red"), ("--require", self.right, "--require", "cpu,,x"),
                ("--require", self.right, "--require", ","), ("--require", self.right, "--require"),
                ("--verbose", self.right, "--verbose"), ("--out", self.right, "--out")):
            with self.subTest(arguments=arguments):
                self.assertEqual(self.bad(2, pattern, "verify", *arguments).stdout, "")

    def test_help_names_the_flags(self):
        text = self.good("verify", "--help")
        for flag in ("FILE...", "--device", "--require", "--strict", "--out", "--json", "Exit status"):
            self.assertIn(flag, text)
        self.assertIn("verify", self.good("--help"))


if __name__ == "__main__":
    if test_command.COMMAND is None:
        sys.exit("usage: test_verify.py PATH_OF_CLGRAD")
    unittest.main(argv=sys.argv[:1])
