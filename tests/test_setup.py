# SPDX-License-Identifier: MIT
"""The scripts behind `make setup`, on machines that this one is not."""

import subprocess
import sys
from pathlib import Path

import pytest

BOARDS = Path(__file__).resolve().parents[1] / "boards"
BASICS = "bash cat cc dirname env git grep mkdir sh tail true uname xz".split()


@pytest.fixture
def machine(tmp_path):
    """A folder of commands that stands for a machine: the basics, no cross compiler, no QEMU."""
    for name in BASICS:
        found = subprocess.run(["which", name], capture_output=True, text=True).stdout.strip()
        (tmp_path / name).symlink_to(found)
    return tmp_path


def command(machine, name, script):
    """Puts a command on the machine that runs a line of shell."""
    (machine / name).write_text(f"#!/bin/sh\n{script}\n")
    (machine / name).chmod(0o755)


def packages(machine):
    return subprocess.run(
        [machine / "bash", BOARDS / "packages.sh", sys.executable],
        env={"PATH": str(machine)},
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_one_line_to_run_where_apt_needs_a_password(machine):
    command(machine, "apt-get", "exit 99")
    command(machine, "id", "echo 1000")
    command(machine, "sudo", "exit 1")
    done = packages(machine)
    assert done.returncode == 1
    assert (
        "sudo apt-get install --no-install-recommends gcc-arm-none-eabi "
        "libnewlib-arm-none-eabi qemu-system-arm\n" in done.stderr
    )


@pytest.mark.parametrize("user", ["0", "1000"])
def test_apt_installs_where_it_may(machine, user):
    command(machine, "apt-get", f'echo "$@" >> {machine}/log')
    command(machine, "id", f"echo {user}")
    command(machine, "sudo", '[ "$1" = -n ] && shift && exec "$@"')
    done = packages(machine)
    assert done.returncode == 0, done.stderr
    update, install = (machine / "log").read_text().splitlines()
    assert update.endswith(" update")
    for line in (update, install):  # a new machine updates itself at first, and holds apt's lock
        assert "-o DPkg::Lock::Timeout=600 " in line
    assert install.endswith("gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm")


def test_names_what_is_missing_without_apt(machine):
    done = packages(machine)
    assert done.returncode == 1 and "qemu-system-arm" in done.stderr


def test_a_tree_of_your_own_must_be_micropython(tmp_path):
    done = subprocess.run(
        [BOARDS / "micropython.sh", tmp_path / "path"],
        env={"PATH": "/usr/bin:/bin", "MPY_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1 and "is no MicroPython tree" in done.stderr


def test_the_cached_tree_is_used_and_its_file_keeps_its_date(tmp_path):
    tree = tmp_path / "tinyvlm" / "micropython-v1.26.1"
    for name in ("ports/qemu/Makefile", "py/mkrules.mk"):
        (tree / name).parent.mkdir(parents=True)
        (tree / name).touch()
    path = tmp_path / "build" / "path"
    environment = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path)}
    dates = []
    for _ in range(2):
        subprocess.run([BOARDS / "micropython.sh", path], env=environment, check=True, timeout=30)
        assert path.read_text() == f"{tree}\n"
        dates.append(path.stat().st_mtime_ns)
    assert dates[0] == dates[1]


def test_a_clone_below_a_name_with_a_space(tmp_path):
    """Make and MicroPython's makefiles would break minutes later, in words that help nobody."""
    (tmp_path / "my clone").mkdir()
    command = ["make", "-f", BOARDS.parent / "Makefile", "board"]
    done = subprocess.run(command, cwd=tmp_path / "my clone", capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "my clone has a space in its path, which make cannot take" in done.stderr
