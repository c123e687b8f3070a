#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Finds or gets MicroPython's source and writes its path to a file, which keeps its date where
# the path is the same. The first of these that is there:
#
#   1. $MPY_DIR, a tree of your own (1.25 or later)
#   2. the copy that an earlier run left in the cache
#   3. a clone of the pinned tag
#   4. Debian's source package, from the mirror that this machine's apt already uses
#
#   boards/micropython.sh FILE
set -eu
result=$1

tag=v1.26.1
commit=647c8b96cae7e202c7a020395b7cfe65e5b8ce04
repository=https://github.com/micropython/micropython.git

debian_suite=trixie
debian_version=1.25.0+ds-1
debian_tarball=micropython_1.25.0+ds.orig.tar.xz
debian_sha256=7b25be99a502f070b2de81dafc08da7051d992325d6e67daa9045a918fffdbea

cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/tinyvlm
cloned=$cache/micropython-$tag
unpacked=$cache/micropython-${debian_version%-*}

is_tree() { [ -f "$1/ports/qemu/Makefile" ] && [ -f "$1/py/mkrules.mk" ]; }

finish() {
    local path
    path=$(cd "$1" && pwd)
    mkdir -p "$(dirname "$result")"
    if [ "$path" != "$(cat "$result" 2> /dev/null)" ]; then
        echo "MicroPython's source: $path"
        echo "$path" > "$result"
    fi
    exit 0
}

if [ -n "${MPY_DIR:-}" ]; then
    is_tree "$MPY_DIR" || { echo "MPY_DIR=$MPY_DIR is no MicroPython tree with a qemu port" >&2; exit 1; }
    finish "$MPY_DIR"
fi
for tree in "$cloned" "$unpacked"; do
    ! is_tree "$tree" || finish "$tree"
done

mkdir -p "$cache"
work=$(mktemp -d "$cache/tmp.XXXXXX")
trap 'rm -rf "$work"' EXIT

limited() { # limited SECONDS COMMAND...: macOS has no timeout
    local seconds=$1
    shift
    if command -v timeout > /dev/null; then timeout "$seconds" "$@"; else "$@"; fi
}

clone() {
    # Gives up on a connection that stands still for 20 seconds.
    GIT_TERMINAL_PROMPT=0 GIT_HTTP_LOW_SPEED_LIMIT=1000 GIT_HTTP_LOW_SPEED_TIME=20 \
        limited 180 git -c advice.detachedHead=false clone --quiet --depth 1 --branch "$tag" \
        "$repository" "$work/clone" 2> "$work/clone.log" || return 1
    [ "$(git -C "$work/clone" rev-parse HEAD)" = "$commit" ] ||
        { echo "tag $tag is not commit $commit any more" > "$work/clone.log"; return 1; }
    mv "$work/clone" "$cloned"
}

# Both forms of apt's sources, one URI a line.
mirrors() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources \
        2> /dev/null | grep -E '^(deb|URIs:)' | grep -oE '[a-z+]+:/[^] ]+' |
        grep -v security | awk '!seen[$0]++'
}

debian() {
    command -v apt-get > /dev/null || return 1
    local mirror
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    for mirror in $(mirrors); do
        # trusted=yes: the mirror's key may be newer than this machine. The checksum decides.
        echo "deb-src [trusted=yes] $mirror $debian_suite main" > "$work/sources.list"
        local apt=(limited 180 apt-get -qq
            -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
            -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache"
            -o Acquire::Languages=none -o Acquire::http::Timeout=20 -o Acquire::Retries=1
            -o APT::Sandbox::User= -o APT::Update::Error-Mode=any)
        "${apt[@]}" update > "$work/apt.log" 2>&1 < /dev/null || continue
        (cd "$work" && "${apt[@]}" source --download-only "micropython=$debian_version") \
            >> "$work/apt.log" 2>&1 < /dev/null || continue
        echo "$debian_sha256  $work/$debian_tarball" | sha256sum --check --quiet || continue
        mkdir "$work/source"
        tar -xJf "$work/$debian_tarball" -C "$work/source" --strip-components=1
        mv "$work/source" "$unpacked"
        return 0
    done
    return 1
}

echo "Getting MicroPython $tag with git ..."
! clone || finish "$cloned"
echo "... not possible: $(tail -n 1 "$work/clone.log")"
echo "Getting MicroPython $debian_version from this machine's Debian mirror ..."
! debian || finish "$unpacked"
echo "... not possible: $(tail -n 1 "$work/apt.log" 2> /dev/null)"
echo "No source of MicroPython. Get it yourself, then: make board MPY_DIR=/path/to/micropython" >&2
exit 1
