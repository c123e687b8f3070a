#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds the firmware of an STM32H7 board with MicroPython's own makefile, the ROMFS image with
# the encoder, and, where ROMFS is in the chip's flash, one file with both. All checks come first.
#
#   MPY_DIR=micropython boards/firmware.sh BOARD BUILD ENCODER
#
# CMSIS_NN=/prefix links Arm's library, installed there, and exports the encoder for it.
set -eu
board=${1:-} build=${2:-} encoder=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
clone='git clone --branch v1.26.1 https://github.com/micropython/micropython'

stop() { echo "make firmware: $*" >&2; exit 1; }

boards() {
    grep -l 'stm32/board\.mk' "$here"/*/mpconfigboard.mk | sed 's|/mpconfigboard.mk$||; s|.*/||'
}
[ -n "$board" ] || stop "which board? BOARD=" $(boards)
boards | grep -qx -- "$board" || stop "no board $board here; there are:" $(boards)

mpy=${MPY_DIR:-}
[ -n "$mpy" ] || stop "give a MicroPython checkout: $clone, then make firmware BOARD=$board MPY_DIR=micropython"
[ -f "$mpy/ports/stm32/Makefile" ] || stop "MPY_DIR=$mpy is no MicroPython tree with an stm32 port: $clone"
mpy=$(cd "$mpy" && pwd)

# What the port itself says it needs. lib/libhydrogen is for mboot, which is not built here.
missing=()
for module in $(sed -n 's/^GIT_SUBMODULES += //p' "$mpy/ports/stm32/Makefile"); do
    [ "$module" = lib/libhydrogen ] || [ -n "$(ls -A "$mpy/$module" 2> /dev/null)" ] || missing+=("$module")
done
if [ ${#missing[@]} -gt 0 ]; then
    if [ -e "$mpy/.git" ]; then
        stop "the submodules ${missing[*]} are not there yet: git -C $mpy submodule update --init ${missing[*]}"
    fi
    stop "$mpy has no ${missing[*]} (a source package leaves them out); get a checkout: $clone && git -C micropython submodule update --init ${missing[*]}"
fi
[ -f "$encoder" ] || stop "no encoder at ENCODER=$encoder"

nn=${CMSIS_NN:-} library=
if [ -n "$nn" ]; then
    [ -f "$nn/include/arm_nnfunctions.h" ] && [ -f "$nn/lib/libcmsis-nn.a" ] ||
        stop "CMSIS_NN=$nn has no include/arm_nnfunctions.h or no lib/libcmsis-nn.a"
    nn=$(cd "$nn" && pwd)
    library=" $nn $(cksum < "$nn/lib/libcmsis-nn.a")"
fi

# Another MicroPython or library than last time starts from scratch.
if [ -f "$build/micropython.path" ] && [ "$(cat "$build/micropython.path")" != "$mpy$library" ]; then
    rm -rf "$build"
fi
mkdir -p "$build"
build=$(cd "$build" && pwd)
echo "$mpy$library" > "$build/micropython.path"
if [ -n "$nn" ]; then
    exported=$build/$(basename "${encoder%.tvlm}")-cmsis.tvlm
    "$python" -m tinyvlm.export "$encoder" --cmsis-nn "$exported" || stop "CMSIS-NN cannot run $encoder"
    encoder=$exported
fi
"$python" -m tinyvlm.boards.romfs "$encoder" "$build/rom.romfs" || stop "there is no ROMFS image"

# What was given to the make that started this is not meant for MicroPython's.
unset MAKEFLAGS MFLAGS MAKELEVEL
[ -n "${MICROPY_MPYCROSS:-}" ] || make -j"${JOBS:-1}" -C "$mpy/mpy-cross" PYTHON="$python"
make -j"${JOBS:-1}" -C "$mpy/ports/stm32" BOARD_DIR="$here/$board" BUILD="$build" PYTHON="$python" CMSIS_NN="$nn"

# One file for both, where both are in one flash.
"$python" "$here/stm32/join.py" "$build" "$mpy/tools/dfu.py"
"$python" "$here/stm32/report.py" "$build" "$encoder"
