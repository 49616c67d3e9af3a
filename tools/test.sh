#!/usr/bin/env bash
# test.sh: installs all that the tests need, builds and runs every test. test.sh --build: the same without running them.
set -euo pipefail
cd "$(dirname "$0")/.."

run=yes
case "$*" in
"") ;;
--build) run=no ;;
*)
    echo "test.sh: unknown argument $* (usage: test.sh [--build])" >&2
    exit 2
    ;;
esac

tools/install-packages build test
# The safetensors package of the Python world reads what we write, and writes what we read.
venv=build/venv
if ! $venv/bin/python -c 'import numpy, safetensors' 2>/dev/null; then
    python3 -m venv $venv
    $venv/bin/pip install --quiet --disable-pip-version-check numpy safetensors
fi
cmake --preset release -DCLGRAD_TESTS=ON -DCLGRAD_TEST_REQUIRE=all -DPython3_EXECUTABLE="$PWD/$venv/bin/python"
cmake --build --preset release
[ $run = yes ] || exit 0

# The drivers' and our own caches stay in the build folder, so that nothing of the machine's or the user's is used or changed.
cd build/release
export POCL_CACHE_DIR=$PWD/pocl-cache CLGRAD_CACHE_DIR=$PWD/clgrad-cache
export OMP_WAIT_POLICY=passive # several tests share the cores: a thread that waits must not spin
mkdir -p "$POCL_CACHE_DIR" "$CLGRAD_CACHE_DIR"
ctest --output-on-failure --no-tests=error --parallel "$(nproc)"
