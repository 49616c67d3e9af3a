#!/usr/bin/env bash
# valgrind.sh: a short training, an evaluation and a few cases under valgrind, on the host's two backends: no invalid access, no value
# used before it is set, nothing lost. OpenCL drivers are left to the sanitizers and to Oclgrind: under valgrind they take minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install-packages build valgrind
build=build/memcheck
cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCLGRAD_BLAS=none -DCLGRAD_OPENMP=OFF -DCLGRAD_OPENCL=OFF \
    -DCLGRAD_TESTS=OFF >/dev/null
cmake --build $build --target clgrad_command | tail -1

export OMP_WAIT_POLICY=passive # else the command starts itself once more with it, which valgrind cannot follow
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
check() {
    echo "valgrind: $*"
    valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect,possible \
        --errors-for-leak-kinds=definite,indirect,possible $build/clgrad "$@" >"$scratch/output" || { status=$?; cat "$scratch/output"; exit $status; }
}

for device in cpu reference; do
    check train --epochs 1 --limit 96 --device $device --model 'Flatten(), LazyLinear(8), ReLU(), LazyLinear(10)' --quiet \
        --out "$scratch/model.safetensors"
    check eval "$scratch/model.safetensors" --device $device
    check verify tests/cases/{linear,cross_entropy,adam,one_cycle,mse_loss,residual_linear}.safetensors --device $device
done
