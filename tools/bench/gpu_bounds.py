#!/usr/bin/env python3
"""What a GPU can reach at best with these kernels: no measurement, but two limits that nothing gets round.

    build/release/clgrad bench conv3x3 batchnorm --json > bench.json
    gpu_bounds.py bench.json [--docs docs/performance.md]

For each row of `clgrad bench --json` that is of a whole step its flops and bytes, which are the same on every device, and for each GPU the longer of two times: the bytes at the
memory's rate, and the flops at the peak rate times what docs/gpu-report.csv says the hot loop of the product's or the convolution's kernel can reach of it.
Launches, tiles that hang over an edge and caches are left out. --docs writes the table into a page, between two marks. Exit status 2: wrong usage.
"""
import argparse
import csv
import json
import pathlib

import page

ROOT = pathlib.Path(__file__).resolve().parents[2]
MARKS = "<!-- written by tools/bench/gpu_bounds.py -->", "<!-- the end of what gpu_bounds.py wrote -->"
# Target of gpu-report, TFLOP/s of f32, GB/s: as their makers' data sheets have them.
GPUS = {"MI210": ("gfx90a", 45.3, 1638), "MI300X": ("gfx942", 163.4, 5300), "RX 7900 XTX": ("gfx1100", 61.4, 960), "A100 (40 GB)": ("sm_80", 19.5, 1555),
        "H100 (SXM)": ("sm_90", 66.9, 3350), "Arc A770": ("acm-g10", 19.7, 560)}


def loop_bounds(path):
    """{(kernel, target): the share of peak that its hot loop allows}, of each kernel's best variant."""
    best = {}
    with path.open() as file:
        for row in csv.DictReader(file):
            if row["kernel"] in ("matmul_gpu", "conv_tile") and row["valu"]:
                share = min(int(row["valu"]), int(row["lds"] or 100)) / 100
                key = row["kernel"], row["target"]
                best[key] = max(best.get(key, 0), share)
    return best


def microseconds(row, gpu, bounds):
    target, teraflops, gigabytes = GPUS[gpu]
    kernel = "conv_tile" if row["name"].startswith("conv") else "matmul_gpu"
    arithmetic = (row["flops"] or 0) / (teraflops * 1e6 * bounds[kernel, target])
    return max(row["bytes"] / (gigabytes * 1e3), arithmetic)


def table(rows, bounds):
    lines = ["| work, us | Gflop | MB | flops a byte | " + " | ".join(GPUS) + " |", "|---" * (4 + len(GPUS)) + "|"]
    for row in rows:
        flops, size = row["flops"] or 0, row["bytes"]
        times = " | ".join(f"{microseconds(row, gpu, bounds):.3g}" for gpu in GPUS)
        lines.append(f"| {row['name']}, {row['pass']} | {flops / 1e9:.2f} | {size / 1e6:.1f} | {flops / size:.0f} | {times} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=pathlib.Path, help="what clgrad bench --json printed")
    parser.add_argument("--docs", type=pathlib.Path, help="write the table into this page, between its marks")
    options = parser.parse_args()
    rows = [row for row in json.loads(options.bench.read_text()) if row.get("bytes") and row["pass"] in ("both", "step")]
    lines = table(rows, loop_bounds(ROOT / "docs/gpu-report.csv"))
    print("\n".join(lines))
    if options.docs:
        page.write(options.docs, MARKS, [MARKS[0], *lines, MARKS[1]])


if __name__ == "__main__":
    main()
