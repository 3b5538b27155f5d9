"""The built-in readers: what the libraries of each format write is read, and what does not fit is said in one line."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers.sources import FORMS, LABELS, PHOTOS, hugging_face, rows, write_folders
from helpers.systems import needs_links, needs_odd_names

from hierpets.data.labeled.index import read_index
from hierpets.data.labeled.sources import read_records, read_source
from hierpets.data.listing import list_photos
from hierpets.data.photos import read_photo
from hierpets.errors import ConfigError, DataError, ImageError
from hierpets.plugin import SourcePhoto
from hierpets.plugin.reading import ARCHIVED
from hierpets.plugin.testing import check_reader
from hierpets.registry.loading import load_registry
from hierpets.taxonomy import Leaf

pa = pytest.importorskip("pyarrow")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

DEEP = "[" * 100_000

REGISTRY = load_registry()


@pytest.fixture(scope="module")
def given():
    return rows()


def counts(source) -> Counter:
    return Counter(record.label for record in read_index(source).records)


def reader(name: str):
    return REGISTRY.get("reader", name)


@pytest.mark.parametrize("form", FORMS)
def test_the_same_photos_in_every_form_have_the_same_labels_and_pixels(form, given, tmp_path):
    index = read_index(FORMS[form](tmp_path / "pets", given))
    assert Counter(r.label for r in index.records) == {Leaf(*label): PHOTOS for label in LABELS}
    assert index.taxonomy.species == ("cat", "dog", "rabbit")
    expected = {(r["label"], read_photo(r["jpg"]).tobytes()) for r in given}
    found = {("/".join(filter(None, r.label)), read_photo(r.path).tobytes()) for r in index.records}
    assert found == expected


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("webdataset", "webdataset"),
        ("table", "parquet"),
        ("table", "hugging face saved"),
        ("imagefolder", "imagefolder"),
        ("coco", "coco"),
    ],
)
def test_built_in_readers_pass_the_check_for_authors(name, form, given, tmp_path):
    check_reader(reader(name).load(), FORMS[form](tmp_path / "pets", given))


def test_a_folder_of_photos_is_read_by_no_reader(given, tmp_path):
    assert read_source(str(write_folders(tmp_path / "pets", given)), REGISTRY) is None
    assert read_source(str(tmp_path / "photo.jpg"), REGISTRY) is None


def test_object_store(given, tmp_path):
    folder = write_folders(tmp_path / "pets" / "train", given)
    write_folders(tmp_path / "pets" / "val", given[:1])
    (folder / "cat" / ".hidden.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("no photo")
    index = read_index((tmp_path / "pets").as_uri())
    assert Counter(r.split for r in index.records) == {"train": len(given), "val": 1}
    assert {r.label for r in index.records} == {Leaf(*label) for label in LABELS}
    np.testing.assert_array_equal(read_photo(index.paths[0]), read_photo(given[0]["jpg"]))
    with pytest.raises(DataError, match="no photos in it"):
        read_index((tmp_path / "nowhere").as_uri())


@needs_odd_names
def test_object_store_reads_photos_of_any_name(given, tmp_path):
    names = ["fluffy cat.jpg", "50%.jpg", "a#1.jpg", "why?.jpg", "größe.jpg", "a%20b.jpg"]
    folder = tmp_path / "my pets" / "cat" / "maine coon"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(given[0]["jpg"])
    index = read_index((tmp_path / "my pets").as_uri())
    assert {r.label for r in index.records} == {Leaf("cat", "maine coon")}
    assert len(index) == len(names)
    for path in index.paths:
        np.testing.assert_array_equal(read_photo(path), read_photo(given[0]["jpg"]))
    as_people_write_it = f"file://{folder}/fluffy cat.jpg"
    np.testing.assert_array_equal(read_photo(as_people_write_it), read_photo(given[0]["jpg"]))


@pytest.mark.parametrize("form", ["webdataset", "parquet"])
def test_archives_in_object_stores_are_read_where_the_store_has_options(given, tmp_path, form):
    folder = FORMS[form](tmp_path / "pets", given)
    plain, with_options = (read_index(folder.as_uri() + options) for options in ("", "?endpoint_override=host%3A9000"))
    assert [r.label for r in with_options.records] == [r.label for r in plain.records]
    assert [r.split for r in with_options.records] == [r.split for r in plain.records]
    for path, other in zip(with_options.paths, plain.paths, strict=True):
        assert "?endpoint_override=" in path
        np.testing.assert_array_equal(read_photo(path), read_photo(other))
    file = ARCHIVED.fullmatch(with_options.paths[0])["file"]
    assert 0 < len(read_index(file)) <= len(plain)


def test_a_table_names_photos_beside_it_in_a_store_that_has_options(given, tmp_path):
    (tmp_path / "a b.jpg").write_bytes(given[0]["jpg"])
    cells = pa.array([{"bytes": None, "path": "a b.jpg"}], pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    pq.write_table(pa.table({"image": cells}), tmp_path / "t.parquet")
    uri = f"{(tmp_path / 't.parquet').as_uri()}?x=1:image:0"
    np.testing.assert_array_equal(read_photo(uri), read_photo(given[0]["jpg"]))


def test_object_store_lists_a_folder_when_its_turn_comes(tmp_path):
    for name in ("cat/1.jpg", "dog/pug/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"x")
    photos = reader("object_store").call(tmp_path.as_uri())
    assert next(photos).species == "cat"
    (tmp_path / "dog" / "pug" / "3.jpg").write_bytes(b"x")
    assert [Path(photo.path).name for photo in photos] == ["2.jpg", "3.jpg"]


def test_object_store_takes_no_misspelled_split_for_a_species(tmp_path):
    for name in ("train/pug/1.jpg", "vla/pug/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=r"unknown split 'vla' \(did you mean 'val'\?\)"):
        read_index(tmp_path.as_uri())
    assert len(list(list_photos([tmp_path.as_uri()], [], REGISTRY))) == 2


class TestMixedFolders:
    """A folder that holds more than the reader of its photos reads."""

    @pytest.fixture
    def photos(self, tmp_path):
        for name in ("dog/pug/1.jpg", "cat/2.jpg"):
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).write_bytes(b"x")
        return tmp_path

    @staticmethod
    def add(kind: str, folder: Path) -> None:
        if kind == "tar":
            plant(folder / "a.tar", {"a.jpg": b"x", "a.cls": b"dog/pug"})
        if kind == "parquet":
            pq.write_table(pa.table({"jpg": [b"x"], "label": ["dog/pug"]}), folder / "a.parquet")
        if kind == "metadata":
            (folder / "metadata.csv").write_text("file_name,label\ndog/pug/1.jpg,dog/pug\n")

    @pytest.mark.parametrize(
        ("kind", "left", "advice"),
        [
            ("tar", "2 files: cat/2.jpg and dog/pug/1.jpg", r"/\*\.tar' to read these alone$"),
            ("parquet", "2 files: cat/2.jpg and dog/pug/1.jpg", r"/\*\.parquet' to read these alone$"),
            ("metadata", "1 file: cat/2.jpg", "or keep one form in a folder$"),
        ],
    )
    def test_training_refuses_it_and_predicting_takes_all(self, photos, kind, left, advice):
        self.add(kind, photos)
        with pytest.raises(DataError, match=f"which leaves out {left}; .*{advice}") as caught:
            read_index(photos)
        assert str(caught.value).count("\n") == 0
        listed = list(list_photos([str(photos)], [], REGISTRY))
        assert {str(photos / "cat" / "2.jpg"), str(photos / "dog" / "pug" / "1.jpg")} <= set(listed)
        assert len(listed) == len(set(listed)) == (2 if kind == "metadata" else 3)

    def test_the_archive_that_folders_were_unpacked_from(self, photos):
        plant(photos / "all.tar", {"dog/pug/1.jpg": b"x", "cat/2.jpg": b"x"})
        with pytest.raises(DataError, match="leaves out 2 files") as caught:
            read_index(photos)
        assert "no class" not in str(caught.value)

    @pytest.mark.parametrize("remote", [False, True])
    @pytest.mark.parametrize("kind", ["tar", "none"])
    def test_a_table_of_predictions_is_passed_over(self, photos, kind, remote):
        from hierpets.inference.record import parquet_schema

        source = photos.as_uri() if remote else str(photos)
        self.add(kind, photos)
        before = list(list_photos([source], [], REGISTRY))
        for name in ("answers.parquet", "dog/answers.parquet"):
            pq.write_table(parquet_schema().empty_table(), photos / name)
        assert list(list_photos([source], [], REGISTRY)) == before
        if kind == "none":
            assert len(read_index(source)) == 2

    def test_what_is_named_is_read_alone(self, photos):
        self.add("tar", photos)
        assert read_index(photos / "*.tar").paths == [f"{photos / 'a.tar'}:a.jpg"]

    def test_what_to_name_is_what_was_read(self, photos):
        photos = photos.rename(photos.with_name("pets [2026]"))
        for split in ("train", "val"):
            (photos / split).mkdir()
            self.add("tar", photos / split)
        with pytest.raises(DataError, match=r"to read these alone$") as caught:
            read_index(photos)
        pattern = str(caught.value).split("'")[-2]
        assert {record.split for record in read_index(pattern).records} == {"train", "val"}
        self.add("tar", photos)
        with pytest.raises(DataError, match=r"or keep one form in a folder$"):
            read_index(photos)

    def test_archives_beside_tables_and_in_deep_folders(self, tmp_path):
        self.add("tar", tmp_path)
        (tmp_path / "b" / "c").mkdir(parents=True)
        for folder in (tmp_path, tmp_path / "b" / "c"):
            self.add("parquet", folder)
        with pytest.raises(DataError, match=r"leaves out 2 files: a\.parquet and b[/\\]c[/\\]a\.parquet"):
            read_index(tmp_path)

    @pytest.mark.parametrize("remote", [False, True])
    def test_a_compressed_shard_beside_others(self, tmp_path, remote):
        self.add("tar", tmp_path)
        (tmp_path / "B.tar.gz").write_bytes(b"\x1f\x8b")
        (tmp_path / "notes.gz").write_bytes(b"\x1f\x8b")
        source = tmp_path.as_uri() if remote else str(tmp_path)
        with pytest.raises(DataError, match=r"leaves out 1 file: B\.tar\.gz; "):
            read_index(source)
        compressed = list(list_photos([source], [], REGISTRY))[1:]
        assert compressed == [f"{source}/B.tar.gz"]
        with pytest.raises(ImageError, match=r"B\.tar\.gz: not an image: it is a gzip archive"):
            read_photo(compressed[0])

    def test_a_compressed_archive_beside_folders_of_photos_is_passed_over(self, photos):
        (photos / "all.tar.gz").write_bytes(b"")
        assert len(read_index(photos)) == len(list(list_photos([str(photos)], [], REGISTRY))) == 2

    def test_in_an_object_store(self, photos):
        self.add("tar", photos)
        with pytest.raises(DataError, match="leaves out 2 files"):
            read_index(photos.as_uri())

    @pytest.mark.parametrize("remote", [False, True])
    def test_photos_that_a_table_names_are_read_once(self, photos, remote):
        cells = [{"bytes": None, "path": "dog/pug/1.jpg"}, {"bytes": None, "path": "cat/2.jpg"}, None]
        image = pa.array(cells, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
        pq.write_table(pa.table({"image": image, "label": ["dog/pug", "cat", "cat"]}), photos / "a.parquet")
        source = photos.as_uri() if remote else str(photos)
        assert len(read_index(source)) == len(list(list_photos([source], [], REGISTRY))) == 3
        (photos / "cat" / "3.jpg").write_bytes(b"x")
        with pytest.raises(DataError, match=r"leaves out 1 file: cat/3\.jpg"):
            read_index(source)

    @needs_links
    def test_a_photo_is_read_by_whatever_path_it_is_listed(self, photos):
        (photos / "a").symlink_to(photos / "dog", target_is_directory=True)
        (photos / "metadata.csv").write_text("file_name,label\ndog/../dog/pug/1.jpg,dog/pug\ncat/2.jpg,cat\n")
        assert len(read_index(photos)) == 2

    def test_a_reader_of_the_user_decides_what_belongs_to_it(self, photos, tmp_path):
        registry = tmp_path / "registry.yaml"
        registry.write_text("plugins:\n  - {name: mine, kind: reader, entry: 'mine.py:mine'}\n")
        (tmp_path / "mine.py").write_text(
            "from hierpets.plugin import SourcePhoto\n\n\n"
            "def mine(source):\n    yield SourcePhoto(f'{source}/cat/2.jpg', 'cat')\n"
        )
        assert len(read_index(photos, registry=registry)) == 1


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"species": "dog", "label": "dog/pug"}, Leaf("dog", "pug")),
        ({"species": "dog", "breed": "pug", "label": "pug"}, Leaf("dog", "pug")),
        ({"species": "dog", "breed": "pug", "label": "Dog"}, Leaf("dog", "pug")),
        ({"species": "dog", "breed": "pug", "label": "7"}, Leaf("dog", "pug")),
        ({"breed": "pug", "label": "dog"}, Leaf("dog", "pug")),
        ({"species": " dog", "breed": "pug ", "label": "dog / pug ", "split": " train"}, Leaf("dog", "pug")),
        ({"species": "dog", "breed": " "}, Leaf("dog", None)),
    ],
)
def test_a_label_beside_a_species_may_say_the_same(fields, label):
    (record,) = read_records("pets", [SourcePhoto("a.jpg", **fields)])
    assert record.label == label


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"species": "dog", "label": "cat/manx"}, "label 'cat/manx' and 'dog' are two classes"),
        ({"species": "dog", "label": "pug"}, "label 'pug' and 'dog' are two classes"),
        ({"species": "dog", "breed": "pug", "label": "dog/boxer"}, "label 'dog/boxer' and 'dog/pug' are two classes"),
        ({"breed": "pug", "label": "pug"}, "no class"),
        ({"label": "dog/7"}, "class 7 is a number, not a name"),
        ({"species": "3.0"}, r"class 3\.0 is a number, not a name"),
        ({"species": "dog", "breed": "a/b"}, "the name of a species or breed must not be empty or hold '/', got 'a/b'"),
    ],
)
def test_labels_that_name_two_classes_or_none_are_refused(fields, message):
    with pytest.raises(DataError, match=f"^a.jpg: {message}"):
        read_records("pets", [SourcePhoto("a.jpg", **fields)])


class TestWebdataset:
    def test_webdataset_itself_reads_the_same_samples(self, given, tmp_path):
        webdataset = pytest.importorskip("webdataset")
        folder = FORMS["webdataset"](tmp_path / "pets", given)
        theirs = [
            (sample["__key__"], sample["jpg"], json.loads(sample["json"]))
            for shard in sorted(folder.iterdir())
            for sample in webdataset.WebDataset(str(shard), shardshuffle=False)
        ]
        ours = list(reader("webdataset").call(str(folder)))
        assert [photo.path.rpartition(":")[2] for photo in ours] == [f"{key}.jpg" for key, _, _ in theirs]
        assert [(p.species, p.breed) for p in ours] == [(f["species"], f.get("breed")) for _, _, f in theirs]

    def test_class_files_and_split_names(self, tmp_path):
        plant(tmp_path / "train-00.tar", {"a.jpg": b"x", "a.cls": b"dog/pug\n", "b.png": b"x", "b.cls": b"cat"})
        plant(tmp_path / "validation-00.tar", {"._a.jpg": b"", "d/c.seg.jpg": b"x", "d/c.json": b'{"label": "cat"}'})
        records = read_index(tmp_path).records
        assert [(r.label, r.split) for r in records] == [
            (Leaf("dog", "pug"), "train"),
            (Leaf("cat", None), "train"),
            (Leaf("cat", None), "val"),
        ]
        assert len(read_index(tmp_path / "train-*.tar")) == 2

    @pytest.mark.parametrize(
        ("cls", "fields", "label"),
        [
            ("dog/pug", {}, "dog/pug"),
            ("dog/pug", {"individual": "rex"}, "dog/pug"),
            ("dog/pug", {"label": 3}, "dog/pug"),
            ("dog/pug", {"species": "dog"}, "dog/pug"),
            ("3", {"label": "dog/pug"}, "dog/pug"),
            ("", {"label": "dog/pug"}, "dog/pug"),
            ("Pug", {"label": "dog/pug"}, "dog/pug"),
            ("dog/pug", {"label": "dog/pug"}, "dog/pug"),
            ("dog/beagle", {"label": "dog/pug"}, r"a\.jpg: a\.cls and a\.json name two classes"),
            ("dog/beagle", {"species": "dog", "breed": "pug"}, "'dog/beagle' and 'dog/pug' are two classes"),
        ],
    )
    @pytest.mark.parametrize("order", ["cls jpg json", "json jpg cls", "jpg cls json"])
    def test_two_files_may_say_the_same_class_in_any_order(self, tmp_path, cls, fields, label, order):
        files = {"jpg": b"x", "cls": cls.encode(), "json": json.dumps(fields).encode()}
        shard = plant(tmp_path / "pets.tar", {f"a.{kind}": files[kind] for kind in order.split()})
        assert list(list_photos([str(shard)], [], REGISTRY)) == [f"{shard}:a.jpg"]
        if "two classes" in label:
            with pytest.raises(DataError, match=label):
                read_index(shard)
        else:
            assert [str(record.label) for record in read_index(shard).records] == [label]

    @pytest.mark.parametrize(
        ("files", "message"),
        [
            ({"a.jpg": b"x"}, r"pets\.tar:a\.jpg: no class; expected a species"),
            ({"a.jpg": b"x", "a.cls": b"7"}, "class 7 is a number, not a name"),
            ({"a.jpg": b"x", "a.cls": b"a/b/c"}, "label 'a/b/c'; expected a species"),
            ({"a.jpg": b"x", "a.json": b"{"}, r"pets\.tar:a\.jpg: a\.json is not JSON"),
            ({"a.jpg": b"x", "a.json": DEEP.encode()}, r"pets\.tar:a\.jpg: a\.json is not JSON"),
            ({"a.txt": b"x"}, "no photo in this archive"),
            ({"a.jpg": b"x", "a.json": b'{"species": "cat", "split": "trian"}'}, "did you mean 'train'"),
            ({"a.jpg": b"x", "a.cls": b"cat", "b.jpg": b"x", "b.cls": b"Cat"}, "differ only in case"),
            (
                {"a.0.jpg": b"x", "a.0.cls": b"cat", "a.1.jpg": b"x", "a.1.cls": b"dog"},
                "one sample, whose name ends at",
            ),
            (
                {"a.jpg": b"x", "a.png": b"x", "a.cls": b"cat"},
                r"tar:a\.jpg: a\.jpg and a\.png are one sample, whose name",
            ),
            ({"a.jpg": b"x", "a.json": b'{"species": ["cat"]}'}, r"species: expected a name, got \['cat'\]"),
        ],
    )
    def test_what_does_not_fit_is_one_line(self, tmp_path, files, message):
        shard = plant(tmp_path / "pets.tar", files)
        with pytest.raises(DataError, match=message) as caught:
            read_index(shard)
        assert str(caught.value).count("\n") == 0

    def test_of_several_photos_in_a_sample_the_plain_one_is_meant(self, tmp_path):
        plant(tmp_path / "pets.tar", {"a.depth.png": b"x", "a.jpg": b"x", "a.cls": b"cat"})
        assert read_index(tmp_path).paths == [f"{tmp_path / 'pets.tar'}:a.jpg"]

    @pytest.mark.parametrize(
        "files",
        [
            {"a.jpg": b"x", "a.png": b"x"},
            {"IMG_2024.01.05.jpg": b"x", "IMG_2024.01.06.jpg": b"x", "IMG_2024.02.01.jpg": b"x"},
            {"a.jpg": b"x", "a.json": b"{"},
            {"a.jpg": b"x", "a.json": b'{"species": ["cat"]}'},
        ],
    )
    def test_what_is_predicted_needs_neither_labels_nor_a_sample_of_its_own(self, tmp_path, files):
        shard = plant(tmp_path / "pets.tar", files)
        photos = [name for name in files if not name.endswith("json")]
        assert list(list_photos([str(shard)], [], REGISTRY)) == [f"{shard}:{name}" for name in photos]

    def test_a_link_is_the_file_of_the_same_archive_that_it_leads_to(self, given, tmp_path):
        photo, other = given[0]["jpg"], given[-1]["jpg"]
        files = {
            "a/1.jpg": photo,
            "a/1.cls": b"cat",
            "b/2.jpg": (tarfile.SYMTYPE, "../c/3.jpg"),  # to one that is still to come, through another link
            "b/2.json": b'{"label": "dog/pug"}',
            "c/3.jpg": (tarfile.SYMTYPE, "4.jpg"),
            "c/3.cls": (tarfile.LNKTYPE, "a/1.cls"),
            "c/4.jpg": other,
            "c/4.cls": b"dog/pug",
            "d/5.jpg": (tarfile.LNKTYPE, "a/1.jpg"),
            "d/5.json": (tarfile.SYMTYPE, "./../b/2.json"),
            "a/6.jpg": photo,
            "a/6.cls": b"cat",
        }
        shard = plant(tmp_path / "pets.tar", files)
        with tarfile.open(shard, "a") as archive:  # as GNU tar writes a file that it was given twice
            archive.addfile(link("a/6.jpg", tarfile.LNKTYPE, "a/6.jpg"))
        records = read_index(shard).records
        labels = {record.path.rpartition(":")[2]: str(record.label) for record in records}
        assert labels == {
            "a/1.jpg": "cat",
            "b/2.jpg": "dog/pug",
            "c/3.jpg": "cat",
            "c/4.jpg": "dog/pug",
            "d/5.jpg": "dog/pug",
            "a/6.jpg": "cat",
        }
        for record in records:
            shown = other if record.path[-7:] in ("b/2.jpg", "c/3.jpg", "c/4.jpg") else photo
            np.testing.assert_array_equal(read_photo(record.path), read_photo(shown))

    @pytest.mark.parametrize("target", ["nowhere.jpg", "/etc/passwd", "../../a.jpg", "b.jpg", "c.jpg", "folder"])
    def test_a_link_that_leads_to_no_file_of_its_archive_is_told(self, tmp_path, target):
        links = {
            "b.jpg": (tarfile.SYMTYPE, target),
            "c.jpg": (tarfile.SYMTYPE, "b.jpg"),
            "folder": (tarfile.DIRTYPE, ""),
        }
        shard = plant(tmp_path / "pets.tar", {"a.jpg": b"x", "a.cls": b"cat", **links, "c.cls": b"cat"})
        with pytest.raises(DataError, match=r"c\.jpg is a link to b\.jpg, which is no file of this archive"):
            read_index(shard)
        assert f"{shard}:c.jpg" in list(list_photos([str(shard)], [], REGISTRY))
        with pytest.raises(ImageError, match=r"no file 'c\.jpg' in this archive"):
            read_photo(f"{shard}:c.jpg")

    @pytest.mark.parametrize("remote", [False, True])
    def test_a_damaged_shard_is_listed_itself_and_the_others_are_read(self, given, tmp_path, remote):
        for name in "abc":
            plant(tmp_path / f"{name}.tar", {f"{n}.jpg": row["jpg"] for n, row in enumerate(given[:3])})
        cut = tmp_path / "b.tar"
        cut.write_bytes(cut.read_bytes()[: 1024 + len(given[0]["jpg"]) + 1024])
        (tmp_path / "d.tar").write_bytes(plant(tmp_path / "e.tar", {"a.txt": b"no photo"}).read_bytes())
        source = tmp_path.as_uri() if remote else str(tmp_path)
        listed = list(list_photos([source], [], REGISTRY))
        names = [path.removeprefix(f"{source}/") for path in listed]
        whole = [f"{shard}.tar:{n}.jpg" for shard in "ac" for n in range(3)]
        cut_off = [name for name in names if name.startswith("b.tar:")]
        assert names == [*whole[:3], *cut_off, "b.tar", *whole[3:], "d.tar", "e.tar"]
        np.testing.assert_array_equal(read_photo(f"{source}/b.tar:0.jpg"), read_photo(given[0]["jpg"]))
        for path in (f"{source}/b.tar", f"{source}/d.tar"):
            with pytest.raises(ImageError, match=r"\.tar: not an image: it is a tar archive"):
                read_photo(path)

    @pytest.mark.parametrize("damage", ["overwritten", "cut"])
    def test_nothing_after_a_damaged_header_is_lost_in_silence(self, tmp_path, damage):
        shard = plant(tmp_path / "pets.tar", {f"{n}.{kind}": b"cat" for n in range(4) for kind in ("jpg", "cls")})
        content, header = shard.read_bytes(), 4 * 1024  # of the fifth file: each has a block for itself
        shard.write_bytes(
            content[: header + 100] + (b"\xff" * 60 + content[header + 160 :] if damage != "cut" else b"")
        )
        with pytest.raises(DataError, match=r"pets\.tar: cannot be read as a tar archive: damaged at byte 4096"):
            read_index(shard)

    def test_a_compressed_or_damaged_shard(self, tmp_path):
        (tmp_path / "a.tar").write_text("no archive " * 200)
        with pytest.raises(DataError, match=r"a\.tar: cannot be read as a tar archive"):
            read_index(tmp_path / "a.tar")
        (tmp_path / "a.tar.gz").write_bytes(b"")
        with pytest.raises(DataError, match=r"decompress it to a \.tar"):
            read_index(tmp_path / "a.tar.gz")


def plant(shard: Path, files: dict[str, bytes | tuple[bytes, str]]) -> Path:
    """An archive of files by their contents, and of links by their kind and target."""
    with tarfile.open(shard, "w") as archive:
        for name, content in files.items():
            if isinstance(content, tuple):
                archive.addfile(link(name, *content))
                continue
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return shard


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_a_row_states_nothing_where_pandas_writes_nan_and_names_may_be_bytes():
    photo = SourcePhoto.of("a.jpg", {"species": b"dog", "breed": float("nan"), "label": None, "split": ""})
    assert (photo.species, photo.breed, photo.label, photo.split) == ("dog", None, None, None)


class TestTable:
    def test_splits_of_a_dataset_dict(self, given, tmp_path):
        datasets = pytest.importorskip("datasets")
        whole = hugging_face(given)
        datasets.DatasetDict({"train": whole, "test": whole.select([0])}).save_to_disk(str(tmp_path / "pets"))
        assert Counter(r.split for r in read_index(tmp_path / "pets").records) == {"train": len(given), "test": 1}

    def test_datasets_itself_sees_the_same_rows(self, given, tmp_path):
        datasets = pytest.importorskip("datasets")
        folder = FORMS["hugging face saved"](tmp_path / "pets", given)
        theirs = datasets.load_from_disk(str(folder)).cast_column("image", datasets.Image(decode=False))
        names = theirs.features["label"].names
        ours = list(reader("table").call(str(folder)))
        assert [photo.label for photo in ours] == [names[row["label"]] for row in theirs]
        for photo, row in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(read_photo(photo.path), read_photo(row["image"]["bytes"]))

    def test_no_photo_is_read_to_list_a_table(self, tmp_path, monkeypatch):
        pq.write_table(pa.table({"jpg": [b"x"] * 3, "species": ["cat", "dog", "cat"]}), tmp_path / "a.parquet")
        asked = []
        whole = pq.ParquetFile.iter_batches

        def watched(self, size, columns):
            asked.append(columns)
            return whole(self, size, columns=columns)

        monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
        assert counts(tmp_path / "a.parquet") == {Leaf("cat", None): 2, Leaf("dog", None): 1}
        assert asked == [["species"]]

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"picture": [b"x"]}, "no column of photos; expected bytes, .* its columns are picture"),
            (
                {"image": ["a.jpg"], "species": ["cat"]},
                "no column of photos; .* are image, species; keep a table without photos elsewhere",
            ),
            ({"image": [b"x"]}, r"a\.parquet:image:0: no class; expected a species"),
            ({"image": [b"x"], "label": [3]}, "class 3 is a number, not a name"),
            ({"image": [b"x"], "species": [None]}, "no class"),
        ],
    )
    def test_what_does_not_fit_is_one_line(self, tmp_path, columns, message):
        pq.write_table(pa.table(columns), tmp_path / "a.parquet")
        with pytest.raises(DataError, match=message) as caught:
            read_index(tmp_path)
        assert str(caught.value).count("\n") == 0

    @pytest.mark.parametrize(
        "files",
        [
            {"state.json": "{", "dataset_info.json": "{}"},
            {"state.json": "{}", "dataset_info.json": "{}"},
            {"state.json": '{"_data_files": [{"filename": null}]}', "dataset_info.json": "{}"},
            {"dataset_dict.json": "[]"},
        ],
    )
    def test_a_damaged_saved_data_set(self, tmp_path, files):
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=r"not as save_to_disk writes it .*; save it again"):
            read_index(tmp_path)

    def test_a_saved_data_set_is_mapped_and_not_read(self, tmp_path):
        table = pa.table({"image": [b"x" * 2**20] * 4, "label": ["dog/pug"] * 4})
        with pa.ipc.new_stream(tmp_path / "data.arrow", table.schema) as writer:
            writer.write_table(table)
        (tmp_path / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
        (tmp_path / "dataset_info.json").write_text("{}")
        before = pa.total_allocated_bytes()
        photos = reader("table").call(str(tmp_path))
        assert next(photos).label == "dog/pug"
        assert pa.total_allocated_bytes() - before < 2**20
        assert len(list(photos)) == 3

    @pytest.mark.parametrize("form", [str, Path.as_uri])
    def test_a_folder_that_spark_wrote(self, given, tmp_path, form):
        folder = tmp_path / "train.parquet"
        folder.mkdir()
        (folder / "_SUCCESS").write_bytes(b"")
        pq.write_table(pa.table({"jpg": [given[0]["jpg"]], "label": ["dog/pug"]}), folder / "part-0.snappy.parquet")
        (record,) = read_index(form(folder)).records
        assert (record.label, record.split) == (Leaf("dog", "pug"), "train")
        np.testing.assert_array_equal(read_photo(record.path), read_photo(given[0]["jpg"]))

    @pytest.mark.parametrize("form", [str, Path.as_uri])
    def test_partitions_of_hive_and_spark_are_columns(self, given, tmp_path, form):
        columns = {
            "jpg": [given[0]["jpg"]] * 4,
            "split": ["train", "train", "val", "val"],
            "species": ["dog", "dog", "dog", "rabbit"],
            "breed": ["pug", "st. bernard 50%=x", "pug", None],
            "shelter": ["a"] * 4,
        }
        folder = tmp_path / "hs.parquet"
        pq.write_to_dataset(pa.table(columns), folder, partition_cols=["split", "species", "breed", "shelter"])
        records = read_index(form(folder)).records
        assert sorted((r.split, str(r.label)) for r in records) == [
            ("train", "dog/pug"),
            ("train", "dog/st. bernard 50%=x"),
            ("val", "dog/pug"),
            ("val", "rabbit"),
        ]
        for record in records:
            np.testing.assert_array_equal(read_photo(record.path), read_photo(given[0]["jpg"]))
        assert {r.split for r in read_index(form(folder / "split=val")).records} == {"val"}

    @pytest.mark.parametrize("kind", ["binary", "large_binary", "binary_view"])
    def test_every_type_of_bytes_and_text(self, given, tmp_path, kind):
        labels = pa.array(["dog/pug"], pa.string_view() if kind == "binary_view" else pa.large_string())
        photos = pa.array([given[0]["jpg"]], getattr(pa, kind)())
        try:
            pq.write_table(pa.table({"jpg": photos, "label": labels}), tmp_path / "a.parquet")
        except pa.ArrowNotImplementedError:
            pytest.skip(f"system: pyarrow {pa.__version__} writes no {kind} to Parquet")
        (record,) = read_index(tmp_path).records
        assert record.label == Leaf("dog", "pug")
        np.testing.assert_array_equal(read_photo(record.path), read_photo(given[0]["jpg"]))

    def test_a_damaged_table(self, tmp_path):
        (tmp_path / "a.parquet").write_text("no table")
        with pytest.raises(DataError, match=r"a\.parquet: cannot be read as a table"):
            read_index(tmp_path / "a.parquet")

    def test_a_damaged_table_is_listed_itself_and_the_others_are_read(self, tmp_path):
        for name in "abc":
            pq.write_table(pa.table({"image": [b"x"]}), tmp_path / f"{name}.parquet")
        (tmp_path / "b.parquet").write_text("no table")
        pq.write_table(pa.table({"picture": [b"x"]}), tmp_path / "d.parquet")
        listed = list(list_photos([str(tmp_path)], [], REGISTRY))
        expected = ["a.parquet:image:0", "b.parquet", "c.parquet:image:0", "d.parquet"]
        assert listed == [f"{tmp_path}/{name}" for name in expected]

    def test_a_column_of_ones_own(self, tmp_path):
        pq.write_table(pa.table({"scan": [b"x"], "species": ["cat"]}), tmp_path / "a.parquet")
        (photo,) = reader("table").call(str(tmp_path), column="scan")
        assert photo == SourcePhoto(f"{tmp_path / 'a.parquet'}:scan:0", species="cat")

    def test_without_pyarrow_the_extra_is_named(self, tmp_path, monkeypatch):
        import sys

        (tmp_path / "a.parquet").write_bytes(b"")
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(ConfigError, match=r"Parquet, .* needs pyarrow, .* pip install 'hierpets\[data\]'$"):
            read_index(tmp_path)


class TestImagefolder:
    def test_csv_and_splits(self, given, tmp_path):
        for split in ("train", "test"):
            (tmp_path / split).mkdir()
            (tmp_path / split / "a.jpg").write_bytes(given[0]["jpg"])
            (tmp_path / split / "metadata.csv").write_text("file_name,species,breed\na.jpg,cat,birman\n")
        assert [(r.label, r.split) for r in read_index(tmp_path).records] == [
            (Leaf("cat", "birman"), "test"),
            (Leaf("cat", "birman"), "train"),
        ]

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ('{"file_name": "nowhere.jpg", "label": "cat"}', r"metadata\.jsonl:1: no such file: .*nowhere\.jpg"),
            ('{"label": "cat"}', "no file_name; expected the path"),
            ("{", "not JSON"),
            (DEEP, "not JSON"),
            ('{"file_name": "metadata.jsonl"}', r"metadata\.jsonl:1: no class"),
        ],
    )
    def test_what_does_not_fit_is_one_line(self, tmp_path, line, message):
        (tmp_path / "metadata.jsonl").write_text(line)
        with pytest.raises(DataError, match=message) as caught:
            read_index(tmp_path)
        assert str(caught.value).count("\n") == 0

    def test_predicting_passes_over_what_is_not_there(self, tmp_path):
        (tmp_path / "b.jpg").write_bytes(b"x")
        (tmp_path / "metadata.csv").write_text("file_name,label\na.jpg,cat\nb.jpg,cat\n")
        assert list(list_photos([str(tmp_path)], [], REGISTRY)) == [str(tmp_path / f"{name}.jpg") for name in "ab"]

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("metadata.csv", "file_name,label\na.jpg,dog/pug\n"),
            ("metadata.jsonl", '{"file_name": "a.jpg", "label": "dog/pug"}'),
        ],
    )
    def test_a_byte_order_mark_is_no_part_of_the_text(self, tmp_path, name, text):
        (tmp_path / "a.jpg").write_bytes(b"x")
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
        assert counts(tmp_path) == {Leaf("dog", "pug"): 1}


class TestCoco:
    def test_roboflow_folders_with_splits(self, given, tmp_path):
        for split in ("train", "valid"):
            file = FORMS["coco"](tmp_path / split, given)
            file.rename(file.with_name("_annotations.coco.json"))
        assert Counter(r.split for r in read_index(tmp_path).records) == {"train": len(given), "val": len(given)}

    def test_names_with_their_species(self, tmp_path):
        assert self.read(tmp_path, [{"id": 1, "name": "dog/pug", "supercategory": "pets"}]) == [Leaf("dog", "pug")]

    def test_an_image_without_annotation_has_no_class(self, tmp_path):
        with pytest.raises(DataError, match="image 1: no class"):
            self.read(tmp_path, [{"id": 1, "name": "dog"}], annotations=[])

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"annotations": [{"image_id": 1, "category_id": 5}]}, "no category has the id 5"),
            (
                {"annotations": [{"image_id": 1, "category_id": 1}, {"image_id": 1, "category_id": 2}]},
                "image 1: shows dog and cat; expected one class a photo",
            ),
            ({"images": [{"id": 1, "file_name": "nowhere.jpg"}]}, "nowhere.jpg is in none of"),
            ({"images": []}, "lists no image"),
            ({"categories": [{"id": 1}]}, "expected COCO's JSON"),
            ({"categories": [{"id": 1, "name": None}]}, "expected COCO's JSON"),
            ({"categories": [{"id": [1], "name": "dog"}]}, "expected COCO's JSON"),
            ({"images": [{"id": 1, "file_name": None}]}, "expected COCO's JSON"),
            ({"annotations": [{"image_id": 1, "category_id": None}]}, "expected COCO's JSON"),
            ({"annotations": [{"image_id": [1], "category_id": 1}]}, "expected COCO's JSON"),
            ({"images": 3}, "expected COCO's JSON"),
        ],
    )
    def test_what_does_not_fit_is_one_line(self, tmp_path, changes, message):
        with pytest.raises(DataError, match=message) as caught:
            self.read(tmp_path, [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}], **changes)
        assert str(caught.value).count("\n") == 0

    def test_what_is_nested_too_deep_is_one_line(self, tmp_path):
        (tmp_path / "a.json").write_text(DEEP)
        with pytest.raises(DataError, match="expected COCO's JSON"):
            read_index(tmp_path / "a.json")

    def test_predicting_needs_no_class_and_passes_over_what_is_not_there(self, tmp_path):
        for name in "bc":
            (tmp_path / f"{name}.jpg").write_bytes(b"x")
        content = {
            "images": [{"id": n, "file_name": f"{name}.jpg"} for n, name in enumerate("abcd")],
            "annotations": [{"image_id": 1, "category_id": n} for n in (1, 2)] + [{"image_id": 2, "category_id": 3}],
            "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
        }
        (tmp_path / "a.json").write_text(json.dumps(content))
        listed = list(list_photos([str(tmp_path / "a.json")], [], REGISTRY))
        assert listed == [str(tmp_path / f"{name}.jpg") for name in "abcd"]
        with pytest.raises(DataError) as caught:
            read_index(tmp_path / "a.json")
        assert [line.partition(": image ")[2] for line in str(caught.value).splitlines()] == [
            f"0: no such file: {tmp_path / 'a.jpg'}",
            "1: shows dog and cat; expected one class a photo: cut them out first",
            "2: no category has the id 3",
            f"3: no such file: {tmp_path / 'd.jpg'}",
        ]

    @staticmethod
    def read(folder: Path, named, **changes) -> list[Leaf]:
        (folder / "a.jpg").write_bytes(b"x")
        content = {
            "images": [{"id": 1, "file_name": "a.jpg"}],
            "annotations": [{"image_id": 1, "category_id": 1}],
            "categories": named,
        }
        (folder / "a.json").write_text(json.dumps(content | changes), encoding="utf-8-sig")  # as Windows may write it
        return [record.label for record in read_index(folder / "a.json").records]
