"""Files appear whole or not at all."""

from __future__ import annotations

import pytest

from hierpets.errors import ConfigError
from hierpets.files import check_output, write_all, write_text


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


@pytest.mark.parametrize("made", ["file", "folder"])
def test_check_output_refuses_what_exists_unless_it_may_be_overwritten(tmp_path, made):
    target = tmp_path / "out"
    target.mkdir() if made == "folder" else target.write_text("old")
    with pytest.raises(ConfigError, match="out: already exists; use --overwrite"):
        check_output(target, overwrite=False)
    check_output(target, overwrite=True)
    check_output(tmp_path / "new" / "deep", overwrite=False)
    assert not (tmp_path / "new").exists()


def test_check_output_refuses_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"out: cannot be written: .*file is a file, not a folder"):
        check_output(tmp_path / "file" / "deep" / "out", overwrite=False)


def test_check_output_refuses_a_folder_without_permission(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(ConfigError, match="no permission to write in"):
        check_output(tmp_path / "out", overwrite=False)
