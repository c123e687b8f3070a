# SPDX-License-Identifier: MIT
"""Files that are replaced: on the disk before the old one goes, with the mode that was meant."""

import os
import stat

import pytest

from tinyvlm import files


def test_what_replaces_is_on_the_disk_first_and_the_rename_after_it(tmp_path, monkeypatch):
    path, steps = tmp_path / "a", []
    path.write_bytes(b"old")
    fsync, replace = os.fsync, os.replace

    def sync(handle):
        folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        steps.append("folder" if folder else f"file of {os.fstat(handle).st_size}")
        fsync(handle)

    def rename(source, target):
        steps.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", rename)
    assert files.write_atomic(path, b"newer") == 5
    assert steps == ["file of 5", "rename", "folder"]
    (tmp_path / "part").write_bytes(b"newest")
    files.replace(tmp_path / "part", path)
    assert steps[3:] == ["file of 6", "rename", "folder"] and path.read_bytes() == b"newest"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(("umask", "new"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_mode_is_the_old_file_s_or_the_user_s(tmp_path, umask, new):
    (tmp_path / "old").touch()
    (tmp_path / "old").chmod(0o640)
    before = os.umask(umask)
    try:
        for name in ("old", "new"):
            files.write_atomic(tmp_path / name, b"")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("old", "new")]
    assert modes == [0o640, new]


def test_an_error_leaves_the_old_file_alone_in_its_folder(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "a name that nobody knows")

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError) as error:
        files.write_atomic(tmp_path / "a", b"new")
    assert error.value.filename == str(tmp_path / "a")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"old"]


def test_a_link_stays_a_link_and_what_it_names_is_written(tmp_path):
    (tmp_path / "card").mkdir()
    (tmp_path / "pets.tvp").symlink_to("card/pets.tvp")
    for data in (b"new", b"newer"):
        assert files.write_atomic(tmp_path / "pets.tvp", data) == len(data)
        assert (tmp_path / "pets.tvp").is_symlink()
        assert [(each.name, each.read_bytes()) for each in (tmp_path / "card").iterdir()] == [
            ("pets.tvp", data)
        ]


def test_what_is_no_file_is_written_into_and_stays_what_it_is(tmp_path):
    pipe = tmp_path / "pipe"  # as root, the command line's `-o /dev/null` is such a path
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDWR)
    try:
        assert files.write_atomic(pipe, b"data") == 4
        assert pipe.is_fifo() and os.read(end, 9) == b"data"
    finally:
        os.close(end)
    assert [each.name for each in tmp_path.iterdir()] == ["pipe"]
