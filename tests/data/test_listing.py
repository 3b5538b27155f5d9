import os
import tracemalloc
from itertools import islice, pairwise

import pytest
from helpers.systems import needs_links

from hierpets.data import listing
from hierpets.data.listing import count_photos, evenly, find_photos, list_photos
from hierpets.errors import ConfigError, DataError
from hierpets.plugin.reading import PHOTO_SUFFIXES, list_files, walk_files
from hierpets.registry.loading import load_registry


@pytest.fixture
def folder(tmp_path):
    for name in ("b/2.jpg", "b/1.png", "a/9.jpg", "z.jpg", "b/notes.txt", ".hidden/1.jpg", "b/.x.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_list_photos_keeps_the_order_of_folders_files_and_lines(folder):
    listed = list(list_photos(["x.jpg", str(folder), "-", "x.jpg"], ["p.jpg\n", "\n", " q.jpg\n"]))
    inside = [str(folder / name) for name in ("z.jpg", "a/9.jpg", "b/1.png", "b/2.jpg")]
    assert listed == ["x.jpg", *inside, "p.jpg", "q.jpg", "x.jpg"]
    assert find_photos(folder) == inside


def test_walk_files_lists_a_folder_when_its_turn_comes(folder):
    photos = walk_files(folder, *PHOTO_SUFFIXES)
    assert next(photos).endswith("z.jpg")
    (folder / "b" / "3.jpg").write_bytes(b"")
    assert [os.path.basename(photo) for photo in photos] == ["9.jpg", "1.png", "2.jpg", "3.jpg"]  # noqa: PTH119


@needs_links
def test_find_photos_follows_links_that_lead_back_once(folder):
    (folder / "a" / "back").symlink_to(folder, target_is_directory=True)
    assert len(find_photos(folder)) == 4


def test_count_photos_where_they_can_be_counted(folder):
    assert count_photos([str(folder), "x.jpg"]) == 5
    assert count_photos([str(folder), "-"]) is None


def test_list_photos_refuses_a_folder_without_photos_before_it_gives_one(folder):
    (folder / "empty").mkdir()
    with pytest.raises(ConfigError, match="empty: no photos in this folder"):
        list_photos([str(folder), str(folder / "empty")], [])


def test_list_photos_lists_once(folder, monkeypatch):
    listed = []
    monkeypatch.setattr(listing, "walk_files", lambda *given, **words: [listed.append(given), "a.jpg"][1:])
    assert list(list_photos([str(folder)], [], load_registry())) == ["a.jpg"]
    assert len(listed) == 1


@pytest.fixture
def closed(folder, monkeypatch):
    """One of its folders cannot be listed."""
    listing = os.scandir

    def scandir(path):
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    return folder


def test_walk_files_reports_a_folder_that_cannot_be_listed(closed):
    folder = closed
    with pytest.raises(DataError, match="b: cannot be listed: Permission denied"):
        list(walk_files(folder, *PHOTO_SUFFIXES))


def test_list_photos_names_a_folder_that_cannot_be_listed_and_goes_on(closed):
    listed = list(list_photos([str(closed)], [], load_registry()))
    assert listed == [str(closed / name) for name in ("z.jpg", "a/9.jpg", "b")]
    assert count_photos([str(closed)]) == 3


def test_list_files_names_the_folder_that_cannot_be_listed_where_it_may_hold_some(closed):
    assert list_files(str(closed), ".tar") == []
    (closed / "a" / "1.tar").write_bytes(b"")
    with pytest.raises(DataError, match="b: cannot be listed: Permission denied"):
        list_files(str(closed), ".tar")


def test_a_named_folder_that_cannot_be_listed_is_listed_itself(closed, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("b"))
    paths = [str(closed / "b"), str(closed / "z.jpg")]
    assert list(list_photos(paths, [], load_registry())) == paths


@needs_links
def test_list_files_passes_over_a_link_that_leads_to_itself(folder):
    (folder / "loop").symlink_to("loop")
    (folder / "1.tar").write_bytes(b"")
    assert list_files(str(folder), ".tar") == [str(folder / "1.tar")]


def test_a_name_that_is_too_long_is_one_photo(folder):
    long = str(folder / ("a" * 300 + ".jpg"))
    assert list(list_photos([long, str(folder / "z.jpg")], [], load_registry())) == [long, str(folder / "z.jpg")]


@pytest.mark.parametrize(("given", "most"), [(63, 32), (23, 12), (7, 7), (3, 8), (1000, 9), (0, 4)])
def test_evenly_takes_from_all_and_not_from_the_first(given, most):
    taken = evenly(range(given), most)
    assert len(taken) == min(given, most)
    gaps = {b - a for a, b in pairwise([*taken, given])}
    assert not gaps or (min(gaps) >= 1 and max(gaps) - min(gaps) <= 1)


@pytest.mark.parametrize(
    "table",
    [
        "path\nz.jpg\na/9.jpg\ngone.jpg\n",
        "path,species\nz.jpg,1\na/9.jpg,cat/manx\ngone.jpg,\n",
        "note,path,split,note\nx,z.jpg,later,y\nx,a/9.jpg,,y\nx,gone.jpg,train,\n",
    ],
)
def test_what_is_predicted_may_be_of_any_class_or_none_and_need_not_be_there(folder, table):
    (folder / "photos.csv").write_text(table)
    listed = list(list_photos([str(folder / "photos.csv")], [], load_registry()))
    assert listed == [str(folder / name) for name in ("z.jpg", "a/9.jpg", "gone.jpg")]


def test_a_table_is_listed_as_it_is_read(folder, monkeypatch):
    """Each row when it is its turn, also one that repeats another."""
    table = folder / "photos.csv"
    table.write_text("path\n" + "z.jpg\n" * 50_000 + '"\n')
    tracemalloc.start()
    try:
        photos = list_photos([str(table)], [], load_registry())
        assert [next(photos), next(photos)] == [str(folder / "z.jpg")] * 2
        assert sum(1 for _ in islice(photos, 49_998)) == 49_998
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20, "a fraction of what the paths of all rows take"
    with pytest.raises(DataError, match=r"photos\.csv:50002: a quote is not closed"):
        next(photos)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("species\ncat\n", r"photos\.csv:1: expected one column path, got species"),
        ("path,path\nz.jpg,z.jpg\n", r"photos\.csv:1: expected one column path, got path,path"),
        ("path,species\n,cat\n", r"photos\.csv:2: no path"),
        ("path,species\nz.jpg\n", r"photos\.csv:2: expected 2 fields, got 1"),
        ("path\n\n", r"photos\.csv: lists no photo"),
    ],
)
def test_list_photos_refuses_a_table_that_does_not_say_where_the_photos_are(folder, table, message):
    (folder / "photos.csv").write_text(table)
    with pytest.raises(DataError, match=message):
        list(list_photos([str(folder / "photos.csv")], [], load_registry()))
