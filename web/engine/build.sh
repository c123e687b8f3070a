#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Compiles the engine for browsers: tinyvlm.wasm for all, tinyvlm-simd.wasm for those with vectors of
# 128 bits, which are all of the last years. Takes 5 seconds.
#
#   web/engine/build.sh FOLDER
set -eu
out=$1
here=$(cd "$(dirname "$0")" && pwd)
native=$here/../../native
clang=${CLANG:-clang}
mkdir -p "$out"

flags=(--target=wasm32 -std=c99 -O2 -ffp-contract=off -fno-math-errno -nostdlibinc
    -Wall -Wextra -Werror -I "$here/libc" -I "$native")
exports=()
for name in engine_{simd,open,about,bad_layer,check,embed,selftest} \
    tv_{strerror,score,weigh,rank,largest,map_peaks,map_heat,map_mean,map_region}; do
    exports+=("--export=$name")
done

build() { # build NAME FLAGS...
    local objects=() source object work
    work=$(mktemp -d)
    for source in "$native"/tv_*.c "$here"/*.c; do
        object=$work/$(basename "$source" .c).o
        local own=()
        [ "$(basename "$source")" != mem.c ] || own=(-fno-builtin)
        "$clang" "${flags[@]}" "${@:2}" ${own[@]+"${own[@]}"} -c "$source" -o "$object"
        objects+=("$object")
    done
    wasm-ld --no-entry --strip-all --gc-sections --stack-first -z stack-size=65536 --export=__heap_base \
        "${exports[@]}" -o "$out/$1" "${objects[@]}"
    rm -r "$work"
}

build tinyvlm.wasm
build tinyvlm-simd.wasm -msimd128
