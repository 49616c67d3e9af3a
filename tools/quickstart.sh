#!/usr/bin/env bash
# From a fresh clone to a trained network: installs what is missing, builds, lists the devices, trains on MNIST on the best
# of them, and classifies ten test images. Asks nothing; everything it makes is in build/.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

say "installing what is missing"
tools/install-packages build

say "building"
mkdir -p build
cmake --preset release -DCLGRAD_TESTS=OFF >build/quickstart.log 2>&1 || { cat build/quickstart.log >&2; exit 1; }
cmake --build --preset release >>build/quickstart.log 2>&1 || { tail -n 50 build/quickstart.log >&2; exit 1; }
clgrad=build/release/clgrad
model=build/mnist.safetensors

say "the devices"
$clgrad devices

say "training a network with two hidden layers on MNIST"
$clgrad train --data mnist --model 'Flatten(), Linear(784, 512), ReLU(), Linear(512, 512), ReLU(), Linear(512, 10)' \
    --optimizer 'Adam(lr=0.001)' --batch 128 --epochs 3 --device auto --out $model

say "ten test images: what the network says is above each"
$clgrad predict $model --split test --count 10 --draw

say "done"
echo "Next: $clgrad eval $model; $clgrad train --help; tools/test.sh runs every test."
