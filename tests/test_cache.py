"""What is kept in the cache, and for how long."""

from __future__ import annotations

import os

import pytest

from hierpets.cache import forget_oldest


@pytest.mark.parametrize(
    ("most", "kept"), [(300, "abc"), (299, "bc"), (200, "bc"), (199, "c"), (0, "c")], ids=lambda value: str(value)
)
def test_what_was_written_longest_ago_is_forgotten_first(tmp_path, most, kept):
    for age, name in enumerate("cba"):
        file = tmp_path / name
        file.write_bytes(bytes(100))
        os.utime(file, (1000 - age, 1000 - age))
    forget_oldest(tmp_path, most)
    assert "".join(sorted(file.name for file in tmp_path.iterdir())) == kept


def test_a_folder_in_the_cache_is_left_alone(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "new").write_bytes(bytes(100))
    forget_oldest(tmp_path, 0)
    assert (tmp_path / "folder").is_dir()


def test_files_in_folders_of_the_cache_are_forgotten_too_and_folders_that_are_left_empty(tmp_path):
    for age, name in enumerate(("new/c", "b", "new/b", "old/a")):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(bytes(100))
        os.utime(file, (1000 - age, 1000 - age))
    forget_oldest(tmp_path, 200)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["b", "new", "new/c"]
