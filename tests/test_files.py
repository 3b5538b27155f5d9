"""Files appear whole or not at all."""

from __future__ import annotations

import pytest

from hierpets.files import whole_file, write_all, write_text


def test_files_are_written_with_their_folders(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "grün")
    write_all(tmp_path, {"b.bin": b"1", "figures/c.bin": b"2"})
    assert (tmp_path / "new" / "a.txt").read_bytes() == "grün".encode()
    assert (tmp_path / "figures" / "c.bin").read_bytes() == b"2"


def test_when_one_cannot_be_written_none_is_and_nothing_is_left_over(tmp_path):
    write_all(tmp_path, {"a": b"old"})
    (tmp_path / "blocked").write_text("a file where a folder is wanted")
    with pytest.raises(OSError):
        write_all(tmp_path, {"a": b"new", "blocked/b": b"new"})
    assert (tmp_path / "a").read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "blocked"]


def test_whole_file_replaces_only_at_the_end(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="full"), whole_file(path) as file:
        file.write(b"half")
        raise OSError("disk full")
    assert path.read_bytes() == b"old"
    with whole_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]
