"""Labeled photos from folders, CSV, the Oxford layout and the demo; a nearly right layout says what is wrong."""

from __future__ import annotations

import ntpath
import os
from pathlib import Path

import numpy as np
import pytest
from helpers.systems import needs_links

from hierpets.data.labeled.consistency import find_contradictions
from hierpets.data.labeled.index import check_apart, read_index
from hierpets.data.labeled.split import check_trainable, split_index
from hierpets.data.listing import find_photos
from hierpets.data.records import PhotoIndex, PhotoRecord, index_of
from hierpets.errors import ConfigError, DataError
from hierpets.taxonomy import UNKNOWN_LEAF, Leaf, Taxonomy


def plant(root: Path, *names: str) -> Path:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root


def labels_of(index: PhotoIndex) -> set[tuple[str, str, str | None, str | None]]:
    return {(Path(r.path).name, r.species, r.breed, r.split) for r in index.records}


def test_read_index_of_folders(tmp_path):
    root = plant(
        tmp_path,
        "dog/pug/b.JPG",
        "dog/pug/a.png",
        "dog/beagle/c.webp",
        "dog/unnamed.jpg",
        "cat/manx/d.jpeg",
        "rabbit/e.tif",
        "dog/pug/.hidden.jpg",
        "dog/pug/notes.txt",
        ".git/x.jpg",
        "README.md",
    )
    index = read_index(root)
    assert index.taxonomy.tree == {"cat": ("manx",), "dog": ("beagle", "pug"), "rabbit": ()}
    assert labels_of(index) == {
        ("a.png", "dog", "pug", None),
        ("b.JPG", "dog", "pug", None),
        ("c.webp", "dog", "beagle", None),
        ("unnamed.jpg", "dog", None, None),
        ("d.jpeg", "cat", "manx", None),
        ("e.tif", "rabbit", None, None),
    }
    assert index.paths == read_index(str(root)).paths
    labels = index.labels()
    by_name = {Path(path).name: leaf for path, leaf in zip(index.paths, labels.leaf, strict=True)}
    assert by_name == {"a.png": 2, "b.JPG": 2, "c.webp": 1, "unnamed.jpg": UNKNOWN_LEAF, "d.jpeg": 0, "e.tif": 3}
    assert labels.leaf_names == ("cat/manx", "dog/beagle", "dog/pug", "rabbit")
    assert labels.species.dtype == labels.leaf.dtype == np.int64
    assert index.counts() == {
        Leaf("cat", "manx"): 1,
        Leaf("dog", "beagle"): 1,
        Leaf("dog", "pug"): 2,
        Leaf("rabbit", None): 1,
        Leaf("dog", None): 1,
    }


@needs_links
def test_read_index_follows_links_and_takes_split_folders(tmp_path):
    real = plant(tmp_path / "real", "pug/a.jpg", "pug/b.jpg")
    root = plant(tmp_path / "root", "train/dog/pug/x.jpg", "validation/cat/y.jpg", "test/dog/pug/z.jpg")
    (root / "train" / "wolf").symlink_to(real, target_is_directory=True)
    assert labels_of(read_index(root)) == {
        ("x.jpg", "dog", "pug", "train"),
        ("y.jpg", "cat", None, "val"),
        ("z.jpg", "dog", "pug", "test"),
        ("a.jpg", "wolf", "pug", "train"),
        ("b.jpg", "wolf", "pug", "train"),
    }


@pytest.mark.parametrize("source", [".", "./pets/..", "pets/../."])
def test_read_index_knows_what_it_read_by_whatever_name_the_folder_is_given(tmp_path, monkeypatch, source):
    plant(tmp_path, "cat/manx/a.jpg", "dog/b.jpg")
    (tmp_path / "pets").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os.path, "realpath", fail_on_photos(os.path.realpath))
    assert [Path(record.path).name for record in read_index(source).records] == ["a.jpg", "b.jpg"]


def fail_on_photos(realpath):
    """Links of a photo are followed where its name was not read: of 100,000 photos that takes seconds."""

    def found(path, **words):
        assert not str(path).endswith(".jpg")
        return realpath(path, **words)

    return found


@needs_links
def test_read_index_passes_over_a_link_that_leads_to_itself(tmp_path):
    plant(tmp_path, "cat/manx/a.jpg", "dog/b.jpg")
    (tmp_path / "loop").symlink_to("loop")
    assert len(read_index(tmp_path)) == 2


def test_read_index_keeps_one_breed_name_under_two_species_apart(tmp_path):
    index = read_index(plant(tmp_path, "cat/white/a.jpg", "dog/white/b.jpg"))
    assert index.labels().leaf.tolist() == [0, 1]
    assert [str(leaf) for leaf in index.taxonomy.leaves] == ["cat/white", "dog/white"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.jpg", "b.jpg"], "2 photos lie directly in the folder; expected SPECIES/BREED/photo.jpg"),
        (["train/a.jpg", "test/b.jpg"], "1 photo lies directly in the folder"),
        (["README.md"], "no folder with photos"),
        (["dog/pug/readme.txt"], "no photo in 2 folders"),
        (["dog/pug/old/a.jpg"], "photos nested too deep"),
        (["dog/pug/a.jpg", "dog/pug/old/2020/b.jpg"], "2020: photos nested too deep"),
        (["dog/train/a.jpg", "dog/val/b.jpg"], "class 'train' is called like a split; folders train, val and test lie"),
        (["training/pug/a.jpg", "testing/pug/b.jpg"], "class 'training' is called like a split"),
        (["unknown/a.jpg", "cat/b.jpg"], "class 'unknown' is called like the answer to photos of no known pet"),
        (["dog/Unknown/a.jpg", "cat/b.jpg"], "class 'Unknown' is called like the answer"),
        (["0/a.jpg", "cat/b.jpg"], "class 0 is a number, not a name"),
        (["dog/001/a.jpg", "cat/b.jpg"], "class 001 is a number, not a name"),
        (["dog/pug/a.jpg", "dog/pug/more.tar"], r"which leaves out 1 file: dog[/\\]pug[/\\]more\.tar"),
        (["training/dog/a.jpg", "test/dog/b.jpg"], "unknown split folder 'training' beside 'test'"),
        (
            ["train/dog/pug/a.jpg", "cat/manx/b.jpg"],
            "folder 'cat' beside 'train'; rename to train, val, test",
        ),
    ],
)
def test_read_index_says_what_is_wrong_with_nearly_right_folders(tmp_path, names, message):
    with pytest.raises(DataError, match=message):
        read_index(plant(tmp_path, *names))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train/cat/a.jpg", "val/Cat/b.jpg", "train/dog/c.jpg"], "'Cat' and 'cat' differ only in case or spelling"),
        (["train/cat/manx/a.jpg", "val/cat/Manx/b.jpg"], "'Manx' and 'manx' differ only in case or spelling"),
        (["dog/boston terrier/a.jpg", "dog/boston_terrier/b.jpg"], "differ only in case or spelling"),
        (["train/dog/pug/a.jpg", "val/dog/Pug/b.jpg"], "use one name for one class"),
    ],
)
def test_read_index_refuses_two_spellings_of_a_folder(tmp_path, names, message):
    with pytest.raises(DataError, match=message):
        read_index(plant(tmp_path, *names))


def test_read_index_refuses_a_missing_source_and_another_file_type(tmp_path):
    with pytest.raises(DataError, match="no such folder or file"):
        read_index(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"expected a folder, a \.csv file"):
        read_index(plant(tmp_path, "list.txt") / "list.txt")


def table(tmp_path: Path, text: str) -> Path:
    plant(tmp_path, "a.jpg", "sub/b.jpg")
    file = tmp_path / "photos.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_check_apart_refuses_what_would_be_read_as_photos(tmp_path, monkeypatch):
    plant(tmp_path, "pets/cat/a.jpg")
    monkeypatch.chdir(tmp_path)
    for out in ("pets", "pets/audit", tmp_path / "pets" / "cat" / "report"):
        with pytest.raises(ConfigError, match=r"^[^-].*: lies in the folder of photos, pets"):
            check_apart(out, "pets")
    for out, source in (("audit", "pets"), ("pets/.audit", "pets"), ("pets/audit", "pets/a.csv"), ("run", "demo")):
        check_apart(out, source)


def test_read_index_of_a_csv(tmp_path):
    text = '\ufeffpath,species,breed,split\na.jpg,dog,pug,train\n\n"sub/b.jpg", cat ,,\ndemo:dog/pug/1,dog,pug,test\n'
    index = read_index(table(tmp_path, text))
    assert labels_of(index) == {
        ("a.jpg", "dog", "pug", "train"),
        ("b.jpg", "cat", None, None),
        ("1", "dog", "pug", "test"),
    }
    assert index.records[1].path == str(tmp_path / "sub/b.jpg")
    assert read_index(table(tmp_path, "species,path\ndog,a.jpg\n")).taxonomy.tree == {"dog": ()}


@pytest.mark.parametrize("separator", [";", "\t"])
def test_read_index_of_a_csv_as_spreadsheets_write_it(tmp_path, separator):
    plant(tmp_path, "a, b.jpg")
    lines = ("path,species,breed,split", "a.jpg,dog,pug,", ",cat,,train")
    text = "\r\n".join(lines).replace(",", separator).replace(f"\n{separator}", f"\na, b.jpg{separator}")
    index = read_index(table(tmp_path, "\ufeff" + text))
    assert labels_of(index) == {("a.jpg", "dog", "pug", None), ("a, b.jpg", "cat", None, "train")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,species,bred\na.jpg,dog,pug\n", r"photos.csv:1: unknown column 'bred' \(did you mean 'breed'\?\)"),
        ("path,breed\na.jpg,pug\n", "photos.csv:1: no column species"),
        ("path|species\na.jpg|dog\n", r"photos.csv:1: unknown column 'path\|species'"),
        ("path,species,path\na.jpg,pug,x\n", "photos.csv:1: a column is given twice"),
        ("", "photos.csv:1: no column path and species"),
        ("path,species\n", "lists no photo"),
        ("path,species\na.jpg,dog\nc.jpg,dog\n", "photos.csv:3: no such file: .*c.jpg"),
        ("path,species\na.jpg,\n", "photos.csv:2: no species"),
        ("path,species\na.jpg,dog,pug\n", "photos.csv:2: expected 2 fields, got 3"),
        ("path,species,split\na.jpg,dog,trian\n", r"photos.csv:2: unknown split 'trian' \(did you mean 'train'\?\)"),
        ('path,species\na.jpg,"dog' + "x" * 140_000, r"photos.csv:2: not a table: field larger than"),
        ('path,species\na.jpg,cat\na.jpg,"dog\nsub/b.jpg,"dog\n', "photos.csv:3: a quote is not closed"),
        ('path,species\n"a.jpg,dog\nsub/b.jpg,cat\n', "photos.csv:2: a quote is not closed"),
        ('path,species\na.jpg,cat\n"sub/b.jpg,dog', "photos.csv:3: a quote is not closed"),
        ('path,"species\na.jpg,dog\n', "photos.csv:1: a quote is not closed"),
        ("path,species\na.jpg,big\tdog\n", r"photos.csv:2: the name .* must not hold a line break, a tab"),
        ("path,species\na.jpg,dog/pug\n", r"photos.csv:2: the name .* must not be empty or hold '/', got 'dog/pug'$"),
        ("path,species,breed\na.jpg,dog,a/b\n", r"photos.csv:2: the name .* must not be empty or hold '/', got 'a/b'$"),
        ("path,species\na.jpg,3\n", "photos.csv:2: class 3 is a number, not a name"),
        ("path,species,breed\na.jpg,dog,7.0\n", "photos.csv:2: class 7.0 is a number, not a name"),
    ],
)
def test_read_index_says_what_is_wrong_with_a_csv(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_index(table(tmp_path, text))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a.jpg,cat,,", "sub/b.jpg,Cat,,"], r"photos.csv:3: 'Cat' and 'cat' \(.*photos.csv:2\) differ only in case"),
        (["a.jpg,cat,manx,", "a.jpg,dog,pug,"], r"photos.csv:3: .*a.jpg is dog/pug, but cat/manx at .*photos.csv:2"),
        (["a.jpg,cat,,train", "./a.jpg,cat,,val"], "photos.csv:3: .* is cat in val, but cat in train at .*csv:2"),
        (["a.jpg,cat,,", "a.jpg,cat,manx,"], "photos.csv:3: .* is cat/manx, but cat at"),
    ],
)
def test_read_index_refuses_a_csv_that_contradicts_itself(tmp_path, lines, message):
    with pytest.raises(DataError, match=message):
        read_index(table(tmp_path, "\n".join(["path,species,breed,split", *lines])))


def test_read_index_knows_a_photo_in_another_case_where_files_have_none(tmp_path, monkeypatch):
    plant(tmp_path, "a.jpg", "b.jpg")
    plant(tmp_path, "A.jpg")  # one file with a.jpg on Windows
    (tmp_path / "photos.csv").write_text("path,species\na.jpg,cat\nA.jpg,dog\nb.jpg,dog\n")
    assert len(read_index(tmp_path / "photos.csv").records) == 3
    monkeypatch.setattr("os.path.normcase", ntpath.normcase)
    with pytest.raises(DataError, match=r"A\.jpg is dog, but cat at .*photos\.csv:2"):
        read_index(tmp_path / "photos.csv")


def test_read_index_skips_repeated_lines_with_a_warning(tmp_path, caplog):
    text = "path,species,split\na.jpg,cat,train\na.jpg,cat,train\nsub/b.jpg,dog,train\n./a.jpg,cat,train\n"
    index = read_index(table(tmp_path, text))
    assert [Path(path).name for path in index.paths] == ["a.jpg", "b.jpg"]
    (message,) = caplog.messages
    assert message.endswith("photos.csv:3: skipped: the photo is already listed and 1 more")


def test_read_index_reports_every_wrong_line_of_a_csv(tmp_path):
    with pytest.raises(DataError) as caught:
        read_index(table(tmp_path, "path,species\n" + "x.jpg,dog\n" * 30))
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1].endswith("and 10 more")


def oxford(root: Path) -> Path:
    plant(root, *(f"images/{name}.jpg" for name in ("Abyssinian_1", "Egyptian_Mau_2", "pug_3", "Extra_9")))
    notes = root / "annotations"
    notes.mkdir()
    (notes / "trainval.txt").write_text("#Image CLASS-ID SPECIES BREED ID\nAbyssinian_1 1 1 1\npug_3 3 2 1\n")
    (notes / "test.txt").write_text("Egyptian_Mau_2 2 1 2\n")
    return root


def test_read_index_of_oxford_pet_annotations(tmp_path):
    assert labels_of(read_index(oxford(tmp_path))) == {
        ("Abyssinian_1.jpg", "cat", "abyssinian", None),
        ("pug_3.jpg", "dog", "pug", None),
        ("Egyptian_Mau_2.jpg", "cat", "egyptian_mau", "test"),
    }


def test_read_index_says_what_is_wrong_with_oxford_annotations(tmp_path):
    root = oxford(tmp_path)
    (root / "annotations" / "test.txt").write_text("Egyptian_Mau_2 2 3 2\nBoxer_1 4 2 1\n")
    with pytest.raises(
        DataError, match=r"test.txt:1: expected NAME CLASS SPECIES BREED(.|\n)*test.txt:2: no such file"
    ):
        read_index(root)


def test_read_index_with_a_taxonomy_takes_its_columns_and_refuses_other_labels(tmp_path):
    root = plant(tmp_path, "dog/pug/a.jpg", "dog/beagle/b.jpg", "cat/c.jpg")
    known = Taxonomy(tree={"dog": ("pug", "beagle", "boxer"), "cat": ("manx",)})
    index = read_index(root, taxonomy=known)
    by_name = {Path(path).name: leaf for path, leaf in zip(index.paths, index.labels().leaf, strict=True)}
    assert by_name == {"a.jpg": 0, "b.jpg": 1, "c.jpg": UNKNOWN_LEAF}
    flat = read_index(root, taxonomy=known.without_breeds())
    assert sorted(flat.labels().leaf.tolist()) == [0, 0, 1]
    with pytest.raises(DataError) as caught:
        read_index(root, taxonomy=Taxonomy(tree={"dog": ("pugg", "beagle"), "cats": ()}))
    assert "unknown species 'cat' (did you mean 'cats'?)" in str(caught.value)
    assert "unknown breed dog/pug (did you mean 'pugg'?)" in str(caught.value)


def test_without_breeds_leaves_species_alone():
    index = read_index("demo").without_breeds()
    assert index.taxonomy.tree == {"cat": (), "dog": (), "rabbit": ()}
    labels = index.labels()
    np.testing.assert_array_equal(labels.leaf, labels.species)


@needs_links
def test_find_photos_goes_deep_and_not_in_circles(tmp_path):
    root = plant(tmp_path, "b/c/x.JPG", "a.png", ".h/y.jpg", "b/n.txt")
    (root / "b" / "loop").symlink_to(root, target_is_directory=True)
    assert [Path(path).name for path in find_photos(root)] == ["a.png", "x.JPG"]


def herd(**sizes: int) -> PhotoIndex:
    return index_of(
        PhotoRecord(f"/data/{label}/{n}.jpg", label.split("_")[0], label.split("_")[1])
        for label, size in sizes.items()
        for n in range(size)
    )


def splits_of(index: PhotoIndex) -> dict[str, str | None]:
    return {record.path: record.split for record in index.records}


def test_split_index_is_stratified_and_does_not_depend_on_order():
    index = herd(dog_pug=40, dog_boxer=20, cat_manx=7, cat_tabby=2, cat_lone=1)
    drawn = split_index(index, seed=3, val=0.15, test=0.1)
    assert drawn.paths == index.paths
    counts = {split: drawn.subset(split).counts() for split in ("train", "val", "test")}
    assert [counts[s][Leaf("dog", "pug")] for s in counts] == [30, 6, 4]
    assert [counts[s][Leaf("dog", "boxer")] for s in counts] == [15, 3, 2]
    assert [counts[s][Leaf("cat", "manx")] for s in counts] == [5, 1, 1]
    assert all(n >= 1 for n in counts["train"].values()), "one photo at least stays in train"
    backwards = PhotoIndex(index.taxonomy, tuple(reversed(index.records)))
    assert splits_of(split_index(backwards, seed=3, val=0.15, test=0.1)) == splits_of(drawn)
    assert splits_of(split_index(index, seed=4, val=0.15, test=0.1)) != splits_of(drawn)


def test_split_index_does_not_depend_on_where_the_data_lies():
    moved = [PhotoRecord(r.path.replace("/data", "/mnt/x"), r.species, r.breed) for r in herd(dog_pug=30).records]
    drawn, there = split_index(herd(dog_pug=30), seed=1), split_index(index_of(moved), seed=1)
    assert [r.split for r in drawn.records] == [r.split for r in there.records]


def test_split_index_keeps_given_splits():
    mixed = index_of(
        [PhotoRecord(f"t{n}", "dog", "pug", "test") for n in range(5)]
        + [PhotoRecord(f"n{n}", "dog", "pug") for n in range(20)]
    )
    drawn = split_index(mixed, seed=0, val=0.2, test=0.5)
    assert all(r.split == "test" for r in drawn.records if r.path.startswith("t"))
    assert [len(drawn.subset(s)) for s in ("train", "val", "test")] == [16, 4, 5]
    whole = read_index("demo")
    assert split_index(whole, seed=5) == whole


def test_split_index_takes_val_from_train_where_all_else_is_given():
    given = index_of(
        [PhotoRecord(f"a{n}", "dog", "pug", "train") for n in range(20)] + [PhotoRecord("b", "dog", "pug", "test")]
    )
    assert [len(split_index(given, seed=0).subset(s)) for s in ("train", "val", "test")] == [17, 3, 1]


def test_split_index_refuses_fractions_that_leave_no_train():
    with pytest.raises(DataError, match="below 1"):
        split_index(herd(dog_pug=3), seed=0, val=0.6, test=0.5)


def test_check_trainable_names_classes_without_photos(tmp_path):
    root = plant(tmp_path, "dog/pug/a.jpg", "cat/manx/b.jpg")
    (root / "dog" / "boxer").mkdir()
    (root / "rabbit").mkdir()
    with pytest.raises(DataError, match="2 classes have no training photo: dog/boxer, rabbit"):
        check_trainable(read_index(root))
    only_tested = index_of([PhotoRecord("a", "dog", "pug", "train"), PhotoRecord("b", "cat", "manx", "test")])
    with pytest.raises(DataError, match="1 class has no training photo: cat/manx"):
        check_trainable(only_tested)


def test_check_trainable_needs_breeds_unless_told_otherwise(tmp_path):
    index = read_index(plant(tmp_path, "pug/a.jpg", "boxer/b.jpg"))
    with pytest.raises(DataError, match=r"no photo states its breed, only boxer and pug; .*--levels species"):
        check_trainable(index)
    check_trainable(index, breeds=False)


def test_check_trainable_refuses_a_single_class():
    with pytest.raises(DataError, match="only one class, dog/pug"):
        check_trainable(herd(dog_pug=3))


def test_subset_refuses_an_unknown_split():
    with pytest.raises(DataError, match="unknown split 'dev'; known: train, val, test, all"):
        herd(dog_pug=2).subset("dev")


@pytest.mark.data
@needs_links
def test_read_index_reads_the_real_photos_in_both_layouts(data_dir, tmp_path):
    index = read_index(data_dir / "pets")
    assert len(index) == 2201
    assert len(index.taxonomy.leaves) == 37
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "trainval.txt").write_bytes((data_dir / "oxford-annotations/trainval.txt").read_bytes())
    for path in index.paths:
        (tmp_path / "images" / Path(path).name).symlink_to(path)
    linked = read_index(tmp_path)
    assert linked.taxonomy == index.taxonomy
    assert linked.counts() == index.counts()


def test_read_index_reports_an_unknown_species_once_for_all_its_breeds(tmp_path):
    for breed in ("arabian", "friesian", "shire"):
        (tmp_path / "horse" / breed).mkdir(parents=True)
        (tmp_path / "horse" / breed / "1.jpg").write_bytes(b"x")
    with pytest.raises(DataError) as caught:
        read_index(tmp_path, taxonomy=Taxonomy(tree={"cat": ("birman",)}))
    assert str(caught.value).count("unknown species 'horse'") == 1


def test_read_index_says_that_a_folder_lies_one_level_too_low(tmp_path):
    root = plant(tmp_path, "birman/a.jpg", "siamese/b.jpg")
    with pytest.raises(DataError, match=r"birman is a breed of cat: give the folder above"):
        read_index(root, taxonomy=Taxonomy(tree={"cat": ("birman", "siamese"), "dog": ()}))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["dog/pug", "dog/pug"], []),
        (["dog/pug", "cat/manx"], [(0, 1)]),
        (["dog/pug", "dog/pug", "dog/beagle", "dog/boxer"], [(0, 2)]),
        (["dog", "dog/pug"], []),
        (["dog", "dog/pug", "dog/beagle"], [(1, 2)]),
        (["rabbit", "dog"], [(0, 1)]),
    ],
)
def test_find_contradictions_needs_two_labels_of_which_one_is_wrong(labels, expected):
    records = [PhotoRecord(str(n), *label.split("/")) for n, label in enumerate(labels)]
    found = find_contradictions([*records, PhotoRecord("other", "dog", "boxer")], ["same"] * len(labels) + ["another"])
    assert [(int(one.path), int(other.path)) for one, other in found] == expected
