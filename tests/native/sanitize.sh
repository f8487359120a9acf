#!/bin/sh
# Fuzzes the kernels' cores under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer.
# They are plain C++: TensorFlow, which is built without sanitizers, has no part in it.
#
#     tests/native/sanitize.sh [BATCHES [SEED]]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
kernels="$here/../../tfrec_models/native/kernels"
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
run() {
    "${CXX:-g++}" -std=c++17 -O1 -g -Wall -Wextra -Werror -fno-math-errno "$@" \
        -fno-sanitize-recover=all -D_GLIBCXX_ASSERTIONS -I "$kernels" -pthread \
        "$here/fuzz_kernels.cc" -o "$build/fuzz"
    printf '%s: ' "$*"
    "$build/fuzz" "$batches" "$seed"
}

batches=${1:-300}
seed=${2:-0}
for sanitizer in address undefined thread; do
    run -fsanitize=$sanitizer
done
# Registers of another width have code of their own.
run -fsanitize=address,undefined -march=native
