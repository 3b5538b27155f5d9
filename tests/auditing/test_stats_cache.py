"""The cache of image statistics: resumed, invalidated by changed files, not needed to continue."""

import os
import sqlite3

import cv2
import numpy as np
import pytest
from helpers.systems import needs_byte_names

from hierpets.auditing.images.stats_cache import CACHE_FILE, StatsCache, collect_stats


def written(path, pixels):
    assert cv2.imwrite(str(path), pixels)
    return str(path)


def known_at_start(paths, folder):
    """How many statistics the cache holds when they are collected again."""
    done = []
    collect_stats(paths, folder, progress=lambda task, n, total: done.append(n))
    return done[0]


def test_collect_stats_measures_new_and_changed_files_alone(tmp_path, photo):
    paths = [written(tmp_path / f"{i}.png", np.roll(photo, 9 * i, axis=1)) for i in range(5)]
    first = collect_stats(paths, tmp_path / "cache")
    assert known_at_start(paths, tmp_path / "cache") == 5
    assert collect_stats(paths, tmp_path / "cache") == first
    written(tmp_path / "2.png", photo[:100])
    os.utime(tmp_path / "2.png", ns=(1, 1))
    new = written(tmp_path / "new.png", photo)
    assert known_at_start([*paths, new], tmp_path / "cache") == 4
    again = collect_stats([*paths, new], tmp_path / "cache")
    assert again[2].height == 100
    assert [stats.path for stats in again] == [*paths, new]


def test_collect_stats_takes_a_relative_path_for_the_same_photo(tmp_path, photo, monkeypatch):
    path = written(tmp_path / "a.png", photo)
    collect_stats([path], tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    assert known_at_start(["a.png"], tmp_path / "cache") == 1
    assert collect_stats(["a.png"], tmp_path / "cache")[0].path == "a.png"


def test_collect_stats_continues_where_it_was_interrupted(tmp_path, photo):
    paths = [written(tmp_path / f"{i:03d}.jpg", photo) for i in range(200)]

    def interrupt(task, done, total):
        if done >= 128:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect_stats(paths, tmp_path / "cache", progress=interrupt)
    done = []
    collect_stats(paths, tmp_path / "cache", progress=lambda task, n, total: done.append(n))
    assert done[0] == 128
    assert done[-1] == 200


def test_stats_cache_of_another_version_starts_anew(tmp_path):
    path = "demo:cat/ginger/1"
    collect_stats([path], tmp_path)
    with sqlite3.connect(tmp_path / CACHE_FILE) as database:
        database.execute("PRAGMA user_version = 99")
    assert StatsCache(tmp_path).get(path) is None


@pytest.mark.parametrize(
    "damage", ["a file in the place of the folder", "no database", "damaged pages", "no statistics"]
)
def test_collect_stats_works_without_a_usable_cache(tmp_path, photo, caplog, damage):
    path, folder = written(tmp_path / "a.png", photo), tmp_path / "cache"
    if damage.startswith("a file"):
        folder.write_text("")
    else:
        collect_stats([path], folder)
        _damage(folder / CACHE_FILE, damage)
    (stats,) = collect_stats([path], folder)
    assert stats.format == "PNG"
    assert caplog.text.count("cache not used") == 1


def _damage(file, damage):
    content = file.read_bytes()
    if damage == "no statistics":
        with sqlite3.connect(file) as database:
            database.execute("UPDATE stats SET stats = '[1]'")
    elif damage == "no database":
        file.write_bytes(b"no database" * 100)
    else:
        file.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


def test_collect_stats_keeps_nothing_of_what_it_cannot_see_change(tmp_path, photo):
    place = tmp_path / "a.png"
    assert collect_stats([place.as_uri()], tmp_path / "cache")[0].error
    for pixels in (photo, photo[:100]):
        written(place, pixels)
        assert collect_stats([place.as_uri()], tmp_path / "cache")[0].height == len(pixels)


@needs_byte_names
def test_collect_stats_of_a_name_that_is_no_text(tmp_path, photo):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(cv2.imencode(".png", photo)[1].tobytes())
    first = collect_stats([path], tmp_path / "cache")
    assert known_at_start([path], tmp_path / "cache") == 1
    assert collect_stats([path], tmp_path / "cache") == first
