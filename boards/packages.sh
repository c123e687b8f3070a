#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Makes sure that the compilers and the emulator are there: installs them with apt where that
# needs no password, else prints the line to run and stops. Takes 0.1 s when all is there.
#
#   boards/packages.sh [PYTHON]
#   boards/packages.sh PYTHON web      what the page is built with
#   boards/packages.sh PYTHON browser  what it is tried in
set -eu
python=${1:-python3}
part=${2:-boards}

missing=()
need() { # need PACKAGES COMMAND...: the packages are missing where the command fails
    local packages=$1
    shift
    # shellcheck disable=SC2206  # a list of words
    "$@" > /dev/null 2>&1 < /dev/null || missing+=($packages)
}
has_header() { # has_header COMPILER HEADER
    command -v "$1" && echo "#include <$2>" | "$1" -E -
}
has_browser() {
    command -v chromium || command -v chromium-browser
}
python_header() {
    "$python" -c 'import os, sysconfig
assert os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h"))'
}

if [ "$part" = web ]; then
    need "nodejs npm" command -v npm
    need "clang" command -v clang
    need "lld" command -v wasm-ld
elif [ "$part" = browser ]; then
    need "chromium" has_browser
else
    need "gcc libc6-dev" has_header cc stdlib.h
    need "gcc-arm-none-eabi" command -v arm-none-eabi-gcc
    need "libnewlib-arm-none-eabi" has_header arm-none-eabi-gcc stdlib.h
    need "qemu-system-arm" command -v qemu-system-arm
    need "python3" command -v "$python"
    need "python3-venv" "$python" -c 'import ensurepip, venv'
    need "python3-dev" python_header
    need "git" command -v git
    need "xz-utils" command -v xz
fi
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get > /dev/null; then
    echo "Missing: ${missing[*]} (names of Debian's packages). Please install them, then go on." >&2
    [ "$(uname)" != Darwin ] ||
        echo "With Homebrew: brew install qemu && brew install --cask gcc-arm-embedded" >&2
    exit 1
fi

if [ "$(id -u)" -eq 0 ]; then
    as_root=()
elif command -v sudo > /dev/null && sudo -n true 2> /dev/null; then
    as_root=(sudo -n)
else
    echo "Please run this line, then go on:" >&2
    echo "    sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi

echo "Installing with apt: ${missing[*]}"
apt() { # a new machine updates itself at first, and holds the lock meanwhile
    ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -o DPkg::Lock::Timeout=600 "$@" < /dev/null
}
apt update || echo "apt-get update failed, trying with the lists that are there" >&2
apt install -y --no-install-recommends "${missing[@]}"
