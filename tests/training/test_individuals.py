"""Photos of one animal lie on one side of every split: as the data states, and as likeness shows."""

import json
from collections import defaultdict

import cv2
import numpy as np
import pytest
from helpers.fakes import tiny_registry
from hypothesis import given
from hypothesis import strategies as st

from hierpets.bundle.manifest import read_manifest
from hierpets.bundle.seen import SeenPhotos
from hierpets.config import TrainConfig
from hierpets.data.content import content_key
from hierpets.data.labeled.index import read_index
from hierpets.data.labeled.split import split_index
from hierpets.data.photos import read_photo
from hierpets.data.records import PhotoIndex, PhotoRecord, index_of
from hierpets.errors import DataError
from hierpets.evaluation.run import read_labeled
from hierpets.plugin import Labels
from hierpets.training.features import individuals
from hierpets.training.features.individuals import (
    find_individuals,
    individuals_by_likeness,
    likeness_of_shots,
    look_for_individuals,
)
from hierpets.training.frozen.held_out.folds import assign_folds
from hierpets.training.recipe import train


@st.composite
def grouped_labels(draw) -> Labels:
    count = draw(st.integers(1, 60))
    leaf = np.array(draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))
    individual = np.array(draw(st.lists(st.integers(0, 9), min_size=count, max_size=count)))
    groups = 10 * leaf + individual  # an animal has one breed
    return Labels(leaf % 2, leaf, ("cat", "dog"), tuple("abcd"), groups)


@given(grouped_labels(), st.integers(2, 6), st.integers(0, 3))
def test_no_fold_tears_an_individual_apart_unless_its_class_has_no_other(labels, folds, seed):
    fold = assign_folds(labels, folds=folds, seed=seed)
    for leaf in np.unique(labels.leaf):
        rows = np.flatnonzero(labels.leaf == leaf)
        individuals = np.unique(labels.groups[rows])
        torn = [one for one in individuals if len({*fold[labels.groups == one].tolist()}) > 1]
        if len(individuals) > 1:
            assert not torn
            # As even as whole individuals come: no fold is more than the largest above the emptiest.
            sizes = np.bincount(fold[rows], minlength=folds)
            largest = max(int((labels.groups == one).sum()) for one in individuals)
            assert sizes.max() - sizes.min() <= largest
        elif len(rows) > 1:
            assert len({*fold[rows].tolist()}) == min(folds, len(rows))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(2, 6))
def test_photos_that_are_all_by_themselves_are_dealt_as_without_groups(leaves, folds):
    leaf = np.array(leaves)
    alone = Labels(leaf % 2, leaf, ("cat", "dog"), tuple("abcd"))
    numbered = Labels(leaf % 2, leaf, ("cat", "dog"), tuple("abcd"), np.arange(len(leaf)))
    np.testing.assert_array_equal(assign_folds(alone, folds=folds, seed=1), assign_folds(numbered, folds=folds, seed=1))


def animals(each: int, **counts: int) -> PhotoIndex:
    """So many animals of each breed of cats, with ``each`` photos."""
    return index_of(
        PhotoRecord(f"{breed}-{animal}-{photo}.jpg", "cat", breed, None, str(animal))
        for breed, count in counts.items()
        for animal in range(count)
        for photo in range(each)
    )


def test_split_index_takes_whole_individuals():
    index = split_index(animals(4, birman=10, siamese=5), seed=0, val=0.2)
    sides = defaultdict(set)
    for record in index.records:
        sides[record.of_individual].add(record.split)
    assert all(len(side) == 1 for side in sides.values())
    held_out = index.subset("val").counts()
    assert {leaf.breed: count for leaf, count in held_out.items()} == {"birman": 8, "siamese": 4}


def test_split_index_splits_the_photos_of_the_only_individual():
    counts = split_index(animals(10, birman=1, siamese=10), seed=0, val=0.2).subset("val").counts()
    assert {leaf.breed: count for leaf, count in counts.items()} == {"birman": 2, "siamese": 20}


def test_split_index_puts_photos_where_others_of_their_individual_are():
    given = [PhotoRecord(f"{n}.jpg", "cat", "birman", "test" if n == 0 else None, "minka") for n in range(5)]
    others = animals(1, birman=20, siamese=10).records
    index = split_index(index_of([*given, *others]), seed=0, val=0.2)
    assert [record.split for record in index.records[:5]] == ["test"] * 5
    assert {record.split for record in index.records[5:]} == {"train", "val"}


def test_two_breeds_may_each_have_a_max():
    records = [PhotoRecord(f"{breed}.jpg", "cat", breed, None, "max") for breed in ("birman", "siamese")]
    assert index_of(records).labels().groups is None


def write_table(folder, rows, header="path,species,breed,split,individual"):
    for name in {row.split(",")[0] for row in rows}:
        cv2.imwrite(str(folder / name), np.zeros((8, 8, 3), np.uint8))
    (folder / "photos.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder / "photos.csv"


def test_a_table_states_individuals(tmp_path):
    rows = ["a.png,cat,birman,,minka", "b.png,cat,birman,,minka", "c.png,cat,birman,,", "d.png,dog,pug,,bo"]
    labels = read_index(write_table(tmp_path, rows)).labels()
    assert labels.groups[0] == labels.groups[1]
    assert len({*labels.groups.tolist()}) == 3
    assert labels.where(np.array([0, 3])).groups.tolist() == [0, 3]


def test_an_individual_in_two_splits_is_refused(tmp_path):
    rows = ["a.png,cat,birman,train,minka", "b.png,cat,birman,test,minka", "c.png,dog,pug,train,minka"]
    with pytest.raises(DataError, match=r"csv:3: individual 'minka' is in test, but in train at .*csv:2; its photos"):
        read_index(write_table(tmp_path, rows))


def test_a_photo_of_two_individuals_is_refused(tmp_path):
    rows = ["a.png,cat,birman,,minka", "a.png,cat,birman,,tom"]
    with pytest.raises(DataError, match=r"a.png is cat/birman of 'tom', but cat/birman of 'minka' at"):
        read_index(write_table(tmp_path, rows))


def directions(count: int, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, width))


def test_find_individuals_joins_what_is_alike_directly_or_through_others():
    animals = directions(12)
    shots = np.repeat(animals, 3, axis=0) + 0.1 * np.random.default_rng(1).normal(size=(36, 64))
    found = find_individuals(shots, np.repeat([0, 1], 18), within=0.1)
    assert len({*found.tolist()}) == 12
    assert (found.reshape(12, 3) == found.reshape(12, 3)[:, :1]).all()
    # Photos of two classes are never one animal's.
    twins = np.concatenate([animals, animals[:1]])
    assert len({*find_individuals(twins, np.array([*np.arange(12) % 3, 1]), within=0.1).tolist()}) == 13
    turned = np.array([[np.cos(angle), np.sin(angle)] for angle in (0.0, 0.2, 0.4, 1.5)])
    assert find_individuals(turned, np.zeros(4, int), within=0.03).tolist() == [0, 0, 0, 1]
    assert find_individuals(turned[:0], np.zeros(0, int), within=0.03).tolist() == []


def test_find_individuals_believes_no_backbone_that_tells_no_classes_apart():
    hardly = np.array([1.0, 0.0]) + 0.01 * np.random.default_rng(0).normal(size=(20, 2))
    assert find_individuals(hardly, np.arange(20) % 4, within=0.1).tolist() == [*range(20)]


def test_individuals_that_the_data_states_are_not_doubted():
    """Two that look alike stay two, one that looks different each time stays one; others are found among the rest."""
    names = ["tom", "tom", "max", None, None, None]
    index = index_of(
        [PhotoRecord(f"{n}.jpg", "cat", "birman", individual=name) for n, name in enumerate(names)]
        + [PhotoRecord("dog.jpg", "dog", "pug")]
    )
    a, b, c, d = directions(4)
    found = individuals_by_likeness(index, np.stack([a, b, a, a, c, c, d]), within=0.1)
    assert found.keys() == {"4.jpg", "5.jpg"}
    groups = index.of_individuals(found).labels().groups.tolist()
    assert groups == [0, 0, 2, 3, 4, 4, 6]


class Alike:
    """A backbone to which all photos of a species look the same."""

    def features(self, paths, views="plain", **_):
        cats = np.array([[1.0, 0.0] if "cat" in path else [0.0, 1.0] for path in paths])
        return cats if views == "plain" else cats + 0.1


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, 4),
        ({"find_individuals": False}, 0),
        ({"recipe": "heads", "backbone_weights": "tuned"}, 0),
    ],
)
def test_look_for_individuals_where_the_settings_want_them_found(settings, found, monkeypatch):
    index = index_of(PhotoRecord(f"{s}-{n}.jpg", s, "a breed") for s in ("cat", "dog") for n in range(2))
    assert len(look_for_individuals(index, Alike(), TrainConfig(**settings))) == found
    monkeypatch.setattr(individuals, "MAX_PHOTOS", 3)
    assert look_for_individuals(index, Alike(), TrainConfig(**settings)) == {}


@pytest.mark.parametrize("scale", [1, 20])
def test_likeness_of_shots_is_measured_by_the_backbone_itself(scale):
    class Extractor:
        def features(self, paths, views, *, task, progress):
            assert len(views) == 1 and "corner" in task
            return np.array([[scale, scale * 0.1]] * len(paths))

    whole = np.array([[1.0, 0.0]] * 300)
    expected = 1.5 * (1 - 1 / np.sqrt(1.01))
    assert likeness_of_shots(Extractor(), ["a"] * 300, whole) == pytest.approx(expected)


@pytest.fixture
def bursts(tmp_path, monkeypatch):
    """Demo photos of six breeds, seven of each, each twice: once a little brighter."""
    monkeypatch.setattr(individuals, "TOO_ALIKE", 0.3)  # the tiny network tells drawn animals hardly apart
    kept = defaultdict(list)
    for record in read_index("demo").records:
        kept[record.label].append(record)
    for label, records in [item for item in kept.items() if item[0].breed][:6]:
        folder = tmp_path / "photos" / label.species / label.breed
        folder.mkdir(parents=True)
        for number, record in enumerate(records[:7]):
            photo = read_photo(record.path)
            for shot, brightness in enumerate((0, 3)):
                pixels = cv2.convertScaleAbs(photo, beta=brightness)
                cv2.imwrite(str(folder / f"{number}-{shot}.png"), pixels[..., ::-1])
    return tmp_path / "photos"


def trained(data, tmp_path, name, **settings):
    registry = tiny_registry(tmp_path).path
    events: list[dict] = []
    result = train(
        data,
        recipe="heads",
        backbone="tiny",
        registry=registry,
        out=tmp_path / name,
        listener=events.append,
        **settings,
    )
    return result, {event["event"]: event for event in events}


def test_train_holds_out_both_shots_of_an_animal_and_evaluate_finds_them(bursts, tmp_path):
    result, events = trained(bursts, tmp_path, "together")
    assert events["individuals"] == events["individuals"] | {"photos": 84, "individuals": 42}
    seen = SeenPhotos.read(result.bundle)
    sides = defaultdict(set)
    for path in read_index(bursts).paths:
        sides[path.rpartition("-")[0]].add(seen.holds(content_key(path)))
    assert all(len(side) == 1 for side in sides.values())
    held_out = read_labeled(bursts, read_manifest(result.bundle), bundle=result.bundle, split="val")
    assert len(held_out) == events["data"]["val"]
    assert not any(seen.holds(content_key(path)) for path in held_out.paths)


def test_train_does_not_look_for_individuals_where_it_is_told_not_to(bursts, tmp_path):
    result, events = trained(bursts, tmp_path, "apart", find_individuals=False)
    assert "individuals" not in events
    log = [json.loads(line) for line in (result.run / "log.jsonl").read_text().splitlines()]
    assert {event["event"] for event in log} >= {"data", "metrics"}


def test_train_warns_of_a_breed_that_is_one_animal(tmp_path, caplog):
    index = read_index("demo")
    rows = ["path,species,breed,individual"]
    for leaf in index.taxonomy.leaves[:3]:
        photos = [record.path for record in index.records if record.label == leaf][:6]
        names = ["rex"] * 6 if leaf == index.taxonomy.leaves[0] else range(6)
        rows += [f"{path},{leaf.species},{leaf.breed},{name}" for path, name in zip(photos, names, strict=True)]
    (tmp_path / "photos.csv").write_text("\n".join(rows) + "\n")
    trained(tmp_path / "photos.csv", tmp_path, "run")
    assert f"all photos of {index.taxonomy.leaves[0]} look like one animal's" in caplog.text


def test_train_warns_of_animals_that_the_data_puts_on_both_sides(bursts, tmp_path, caplog):
    index = read_index(bursts)
    rows = [
        f"{record.path},{record.species},{record.breed},{'val' if '0-1' in record.path else 'train'}"
        for record in index.records
    ]
    (tmp_path / "photos.csv").write_text("\n".join(["path,species,breed,split", *rows]) + "\n")
    trained(tmp_path / "photos.csv", tmp_path, "run")
    assert "6 animals on both sides of the split that the data gives, such as that of " in caplog.text
