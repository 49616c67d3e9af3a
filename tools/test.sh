#!/usr/bin/env bash
# test.sh: installs all that the tests need, four OpenCL implementations among it, builds, and runs every test on every device. The last
# lines name the devices with their totals; one of the four drivers missing is a failure.
# test.sh --build: installs, configures and builds everything, and stops. test.sh --docs: writes the table of what passed into docs/, too.
set -euo pipefail
cd "$(dirname "$0")/.."

run=yes
docs=no
case "$*" in
"") ;;
--build) run=no ;;
--docs) docs=yes ;;
*)
    echo "test.sh: unknown argument $* (usage: test.sh [--build|--docs])" >&2
    exit 2
    ;;
esac

tools/install-packages build test docs
# The safetensors package of the Python world reads what we write, and writes what we read; sympy proves the derivatives of elementwise.def.
venv=build/venv
if ! $venv/bin/python -c 'import numpy, safetensors, sympy' 2>/dev/null; then
    python3 -m venv $venv
    $venv/bin/pip install --quiet --disable-pip-version-check numpy safetensors sympy
fi
tools/with-drivers true
cmake --preset release -DCLGRAD_TESTS=ON "-DCLGRAD_TEST_REQUIRE=pocl;intel;rusticl;oclgrind" -DPython3_EXECUTABLE="$PWD/$venv/bin/python"
cmake --build --preset release
[ $run = yes ] || exit 0

build=build/release
rm -rf $build/conformance
mkdir -p $build/conformance
tools/with-drivers $build/clgrad devices --json >$build/conformance/devices.json
status=0
tools/with-drivers ctest --test-dir $build --output-on-failure --no-tests=error --parallel "$(nproc)" --output-junit tests.xml || status=$?
tools/conformance $build/conformance $build
[ $docs = no ] || tools/conformance $build/conformance docs
tools/test-totals $build/tests.xml
exit $status
