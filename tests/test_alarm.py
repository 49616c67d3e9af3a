#!/usr/bin/env python3
"""The alarm itself: its finder knows the faults of a small text, stale entries are refused, a run that was stopped goes on."""
import argparse
import importlib.machinery
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tools"))
sys.dont_write_bytecode = True
from alarm_lib import equivalents, faults, record, text, together, tree, variants  # noqa: E402

LOADER = importlib.machinery.SourceFileLoader("alarm", str(TOP / "tools/alarm"))
alarm = importlib.util.module_from_spec(importlib.util.spec_from_loader("alarm", LOADER))
LOADER.exec_module(alarm)

KERNEL = """/* a - b in a comment, for (i = 0; i < n; i++) too */
#if N - 1
#endif
__kernel void scaled(__global const float *x, __global float *y, ulong n, float p) {
    for (ulong i = 0; i < n; i++) {
        y[i] = x[i] * p + 1.0f;
    }
}
"""

RULE = """static void product_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *inputs[] = {node->inputs[0], dz};
    emit(tape, flipped(dz), at->transpose_a ? 1 : 2);
}

cg_tensor *cg_product(cg_tape *tape, cg_tensor *a, cg_tensor *b) {
    for (int i = 0; i < 3; i++) {
        size = size + i;
    }
}
"""

ROWS = "CG_UNARY(22, SQRT, sqrt, SQRT(x), dy / (R(2.0) * y))\nCG_BINARY(1, SUB, sub, a - b, dz, -dz)\n"


def planted(source, fault):
    return source[:fault.begin] + fault.new + source[fault.end:]


def lines(found, kind):
    return [fault.new_line for fault in found if fault.kind == kind]


class Finder(unittest.TestCase):
    def test_multiplies_nothing_that_stays_what_it_is(self):
        for value, count in (("0.0f", 0), ("-INFINITY", 0), ("R(0.0)", 0), ("p == 0.0f && q", 0), ("1.0f", 1), ("p == q ? x[i] : q", 1)):
            found = faults.in_file("cl/fill.cl", KERNEL.replace("x[i] * p + 1.0f", value))
            self.assertEqual(len(lines(found, "factor")), count, value)

    def test_leaves_alone_how_work_is_shared(self):
        share = "static void share(cpu_device *device, int64_t n) {\n    for (int i = 0; i < 2; i++) {\n        %s;\n    }\n}\n"
        found = faults.in_file("src/backends/cpu/share.c", share % "cpu_parallel(device, n - 1, GRAIN / n + 1, run, &work)")
        self.assertEqual(lines(found, "sign"), ["cpu_parallel(device, n + 1, GRAIN / n + 1, run, &work);"])
        self.assertEqual(lines(faults.in_file("src/backends/cpu/share.c", share % "cpu_scratch(device, n * size)"), "factor"), [])
        self.assertEqual(lines(faults.in_file("src/backends/cpu/share.c", share % "prefetch(x + n * size)"), "sign"), [])

    def test_finds_each_kind_in_a_kernel(self):
        found = faults.in_file("cl/scaled.cl", KERNEL)
        self.assertEqual(lines(found, "sign"), ["y[i] = x[i] * p - 1.0f;"])
        self.assertEqual(lines(found, "factor"), ["y[i] = 3 * (x[i] * p + 1.0f);", "y[i] = x[i] * 3 * p + 1.0f;"])
        self.assertEqual(lines(found, "dropped term"), ["y[i] = x[i] * p;"])
        self.assertEqual(lines(found, "off by one"), ["for (ulong i = 0 + 1; i < n; i++) {", "for (ulong i = 0; i + 1 < n; i++) {"])

    def test_finds_exchanged_operands_and_dropped_contributions_in_a_rule(self):
        found = faults.in_file("src/ops/product.c", RULE)
        self.assertEqual(lines(found, "transposed operand"),
                         ["cg_tensor *inputs[] = {dz, node->inputs[0]};", "emit(tape, (dz), at->transpose_a ? 1 : 2);",
                          "emit(tape, flipped(dz), !at->transpose_a ? 1 : 2);"])
        self.assertEqual(lines(found, "dropped term"), ["(void)0;"])

    def test_leaves_front_ends_alone(self):
        self.assertEqual({fault.function for fault in faults.in_file("src/ops/product.c", RULE)}, {"product_backward"})

    def test_finds_the_helpers_of_a_rule(self):
        source = RULE.replace("emit(tape", "helper(tape") + "static int helper(int a, int b) {\n    return a + b;\n}\n"
        self.assertIn("helper", {fault.function for fault in faults.in_file("src/ops/product.c", source)})

    def test_finds_indices_that_can_be_transposed(self):
        found = faults.in_file("cl/turn.cl", "void turn(float *x, int r, int n, int c) {\n    put(x[r * n + c]);\n}\n")
        self.assertEqual(lines(found, "transposed operand"), ["put(x[c * n + r]);"])

    def test_reads_the_rows_of_elementwise_def(self):
        found = faults.in_file("include/clgrad/elementwise.def", ROWS)
        self.assertEqual({fault.function for fault in found}, {"sqrt", "sqrt_backward", "sub", "sub_backward"})
        self.assertIn("CG_UNARY(22, SQRT, sqrt, SQRT(x), R(3.0) * (dy / (R(2.0) * y)))", lines(found, "factor"))

    def test_reads_the_statements_of_updates_def(self):
        found = faults.in_file("include/clgrad/updates.def", "CG_UPDATE(SGD_STEP, sgd_step, {\n    p = p - h[0] * g;\n})\n")
        self.assertEqual({fault.function for fault in found}, {"sgd_step"})
        self.assertIn("p = p - h[0] * 3 * g;", lines(found, "factor"))

    def test_plants_what_it_says(self):
        for file, source in (("cl/scaled.cl", KERNEL), ("src/ops/product.c", RULE), ("include/clgrad/elementwise.def", ROWS)):
            for fault in faults.in_file(file, source):
                changed = planted(source, fault)
                self.assertNotEqual(changed, source)
                self.assertEqual(text.masked(changed).count("{"), text.masked(source).count("{"))

    def test_takes_one_of_each_kind_in_each_function(self):
        found = faults.selected(faults.in_file("cl/scaled.cl", KERNEL), 1)
        self.assertEqual(sorted(fault.kind for fault in found), sorted(set(faults.KINDS) - {"transposed operand"}))

    def test_finds_faults_in_every_rule_and_kernel_of_the_project(self):
        found = alarm.all_faults()
        for path in sorted((TOP / "cl").glob("*.cl")):
            computes = re.search("^(__kernel|static inline|INSIDE)", path.read_text(), re.MULTILINE)  # macros and structs do not
            self.assertTrue(not computes or any(fault.file == f"cl/{path.name}" for fault in found), path.name)
        for path in sorted((TOP / "src/ops").glob("*.c")):
            if "_backward(cg_tape" in path.read_text():
                self.assertTrue(any(fault.file == f"src/ops/{path.name}" for fault in found), path.name)

    def test_draws_the_same_sample_of_c_and_kernels(self):
        found = alarm.all_faults()
        first, second = alarm.sample(found, 6, 1), alarm.sample(found, 6, 1)
        self.assertEqual(first, second)
        self.assertEqual(sum(fault.file.startswith("cl/") for fault in first), 3)


ENTRY = """[[equivalent]]
file = 'cl/scaled.cl'
kind = 'sign'
old = 'y[i] = x[i] * p + 1.0f;'
new = 'y[i] = x[i] * p - 1.0f;'
reason = 'none, this is a test'
"""


class Equivalents(unittest.TestCase):
    def test_fit_by_text_wherever_the_line_is(self):
        entries = equivalents.read(ENTRY)
        found = faults.in_file("cl/scaled.cl", "\n\n" + KERNEL)
        self.assertEqual(equivalents.stale(entries, found), [])
        self.assertEqual(sum(equivalents.reason(entries, fault, "cpu") is not None for fault in found), 1)

    def test_are_stale_when_the_line_changed(self):
        entries = equivalents.read(ENTRY)
        found = faults.in_file("cl/scaled.cl", KERNEL.replace("1.0f", "2.0f"))
        self.assertEqual(equivalents.stale(entries, found), entries)

    def test_may_hold_on_one_device(self):
        entries = equivalents.read(ENTRY + "devices = ['a']\n")
        fault = next(fault for fault in faults.in_file("cl/scaled.cl", KERNEL) if fault.kind == "sign")
        self.assertIsNotNone(equivalents.reason(entries, fault, "a"))
        self.assertIsNone(equivalents.reason(entries, fault, "b"))

    def test_may_hold_in_one_function(self):
        fault = next(fault for fault in faults.in_file("cl/scaled.cl", KERNEL) if fault.kind == "sign")
        for function, fits in ((fault.function, True), ("another", False)):
            entries = equivalents.read(ENTRY + f"function = '{function}'\n")
            self.assertEqual(equivalents.reason(entries, fault, "cpu") is not None, fits)

    def test_need_a_reason_and_a_known_kind(self):
        for bad in (ENTRY.replace("none, this is a test", " "), ENTRY.replace("'sign'", "'magic'"), ENTRY.replace("old", "before")):
            with self.assertRaises(ValueError):
                equivalents.read(bad)

    def test_of_the_project_are_not_stale(self):
        entries = equivalents.read(alarm.EQUIVALENTS.read_text())
        self.assertEqual(equivalents.stale(entries, alarm.all_faults()), [])


class Record(unittest.TestCase):
    def test_goes_on_after_a_stop_in_the_middle_of_a_line(self):
        found = faults.in_file("cl/scaled.cl", KERNEL)
        keys = [record.key(fault, KERNEL) for fault in found]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "whole.jsonl"
            first = record.Record(path, False)
            first.add(keys[0], found[0], {"cpu": {"outcome": "found", "why": "a test"}}, 1.0)
            first.add(keys[1], found[1], {"cpu": {"outcome": "survived", "why": "no test"}}, 1.0)
            first.file.write('{"key": "half of a li')
            first.file.close()
            second = record.Record(path, True)
            self.assertTrue(second.done(keys[0]))
            self.assertFalse(second.done(keys[1]), "what survived is tried again")
            self.assertFalse(second.done(keys[2]))
            second.add(keys[2], found[2], {"cpu": {"outcome": "found", "why": "a test"}}, 1.0)
            second.file.close()
            third = record.Record(path, True)
            self.assertTrue(third.done(keys[2]), "what follows a torn line is read")
            third.file.close()

    def test_does_not_hold_for_a_file_that_changed(self):
        fault = faults.in_file("cl/scaled.cl", KERNEL)[0]
        self.assertNotEqual(record.key(fault, KERNEL), record.key(fault, KERNEL + "\n"))

    def test_prints_survivors_with_their_lines(self):
        fault = faults.in_file("cl/scaled.cl", KERNEL)[0]
        result = {"key": "k", "text": str(fault), "file": fault.file, "kind": fault.kind, "seconds": 1.0,
                  "devices": {"cpu": {"outcome": "survived", "why": "no test turned red"}}}
        page = record.page([result], 2, "tools/alarm", 60)
        self.assertIn("1 of 2 faults", page)
        self.assertIn(f"* `{fault}`, cpu: no test turned red", page)


class Together(unittest.TestCase):
    ROWS = "CG_UNARY(1, NEG, neg, -x, -dy)\nCG_UNARY(2, SQRT, sqrt, SQRT(x), dy / (R(2.0) * y))\nCG_BINARY(3, SUB, sub, a - b, dz, -dz)\n"
    OUTPUT = ("[----] tests/a.c:7: Assertion Failed\n[----] \n[----]   neg is wrong\n[----] \n[FAIL] elementwise::neg: (0.1s)\n"
              "[----] Warning! The test `elementwise::sub` crashed during its setup or teardown.\n[====] Synthesis: Tested: 3")

    def setUp(self):
        self.batches = together.batches(faults.selected(faults.in_file(together.TABLE, self.ROWS), 1))

    def test_leave_every_other_row_innocent(self):
        for batch in self.batches:
            rows = [together.row_of(fault) for fault in batch]
            self.assertEqual(len(rows), len(set(rows)))
            self.assertTrue(set(rows) <= {"neg", "sub"} or set(rows) == {"sqrt"})

    def test_are_planted_all_at_once(self):
        changed = together.planted(self.batches[0], self.ROWS)
        for fault in self.batches[0]:
            self.assertIn(fault.new_line, changed)

    def test_that_say_nothing_become_smaller_and_at_last_single(self):
        first, second = together.halves(self.batches[0])
        self.assertEqual(first + second, self.batches[0])
        self.assertEqual(together.halves(first), first)

    def judged(self, batch, output):
        tests = {"neg": {"neg"}, "sqrt": {"sqrt"}, "sub": {"sub"}}
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            program = folder / "tests/test_elementwise"
            program.parent.mkdir()
            program.write_text("#!/bin/sh\ncat <<'END'\n" + output + "\nEND\n")
            program.chmod(0o755)
            worker = tree.Tree("test")
            worker.build_folder = folder
            return together.found_on(worker, "cpu", batch, tests, 60)

    def test_are_found_by_the_tests_of_their_rows(self):
        neg, sub = self.batches[0]
        found = self.judged([neg, sub], self.OUTPUT)
        self.assertEqual(found, {neg: "elementwise elementwise/neg: neg is wrong", sub: "elementwise elementwise/sub: crashed"})
        self.assertEqual(list(self.judged([neg, sub], self.OUTPUT.replace("sub", "other"))), [neg])

    def test_run_the_tests_of_their_rows_and_of_some_others(self):
        neg, sub = self.batches[0]
        tests = {"neg": {"neg", "neg_of_zero"}, "sub": {"sub"}} | {f"row{i}": {f"row{i}"} for i in range(8)}
        self.assertEqual(together.tests_for([neg, sub], tests), ["neg", "neg_of_zero", "row0", "row2", "row4", "row6", "sub"])

    def test_say_nothing_when_another_row_is_red_or_no_test_ended(self):
        neg, _ = self.batches[0]
        self.assertIsNone(self.judged([neg], self.OUTPUT))
        self.assertIsNone(self.judged([neg], "Segmentation fault"))


class Tree(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.tree = tree.Tree("test")
        self.tree.folder = pathlib.Path(scratch.name)
        self.tree.source, self.tree.build_folder = self.tree.folder / "source", self.tree.folder / "build"
        self.tree.list_of_kept = self.tree.folder / "kept"

    def write(self, path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1000, 1000))
        return path

    def test_builds_only_what_uses_the_formulas_of_a_table(self):
        table = self.write(self.tree.source / "include/some.def", ROWS)
        loops = self.write(self.tree.source / "src/loops.c", "#include <clgrad/some.def>\n")
        header = self.write(self.tree.source / "include/names.h", "#include <clgrad/some.def>\n")
        self.tree.write("include/some.def", ROWS + "\n")
        self.assertEqual([path.stat().st_mtime for path in (table, header)], [1000, 1000])
        self.assertGreater(loops.stat().st_mtime, 1000)
        self.assertEqual(table.read_text(), ROWS + "\n")

    def test_trusts_no_cache_entry_of_a_run_that_was_stopped(self):
        whole = self.write(self.tree.build_folder / "pocl-cache/AB/whole/program", "").parent
        self.tree.keep()
        torn = self.write(self.tree.build_folder / "pocl-cache/AB/torn/program", "").parent
        again = tree.Tree("test")
        again.build_folder, again.list_of_kept = self.tree.build_folder, self.tree.list_of_kept
        again.forget_torn()
        self.assertTrue(whole.exists())
        self.assertFalse(torn.exists())


class Variants(unittest.TestCase):
    def test_tell_which_profile_uses_a_line(self):
        kernel = "#if CG_CPU\nfloat cpu_only(float a, float b) {\n    return a + b;\n}\n#endif\n"
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "cl").mkdir()
            (folder / "cl/some.cl").write_text(kernel)
            lines_of = variants.Variants(folder, folder)
            for profile in ("cpu", "gpu"):
                lines_of.programs[profile]["some.cl"].add((f"-DCG_CPU={int(profile == 'cpu')}",))
            fault = next(fault for fault in faults.in_file("cl/some.cl", kernel) if fault.kind == "sign")
            self.assertEqual(lines_of.profiles(fault), ["cpu"])

    def test_counts_programs_of_the_driver_that_the_tests_run_on(self):
        with tempfile.TemporaryDirectory() as folder:
            for driver, width in (("OpenCL 3.0 PoCL HSTR", 8), ("llvmpipe", 4)):
                texts = [driver.encode(), f"-DCG_CPU=1 -DCG_WIDTH={width}".encode(), b'#line 1 "some.cl"\n']
                header = variants.HEADER.pack(b"clgrad", *map(len, texts), 0, 0, 0)
                (pathlib.Path(folder) / f"opencl-{width}.bin").write_bytes(header + b"".join(texts))
            found = variants.programs(pathlib.Path(folder))
        self.assertEqual(found["cpu"]["some.cl"], {("-DCG_CPU=1", "-DCG_WIDTH=8")})


class Command(unittest.TestCase):
    def test_lists_faults(self):
        done = subprocess.run([str(TOP / "tools/alarm"), "--list", "--only", "sign in log_softmax_backward"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^cl/softmax\.cl:\d+: sign in log_softmax_backward: .*  =>  ")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("clgrad", nargs="?", help="the command; the alarm has no use for it")
    parser.parse_known_args()
    unittest.main(argv=sys.argv[:1])
