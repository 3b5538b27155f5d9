"""Counts, ratios, and the sampler that they ask for."""

import pytest

from hierpets.auditing.balance import count_levels, imbalance_ratio, suggest_sampler
from hierpets.data.records import PhotoIndex, PhotoRecord
from hierpets.taxonomy import Taxonomy


def index_of(counts):
    tree = Taxonomy.from_pairs(counts)
    records = [PhotoRecord(f"{s}/{b}/{i}.jpg", s, b) for (s, b), n in counts.items() for i in range(n)]
    return PhotoIndex(tree, tuple(records))


@pytest.mark.parametrize(
    ("counts", "sampler"),
    [
        ({("cat", "a"): 50, ("cat", "b"): 50, ("dog", "c"): 50, ("dog", "d"): 50}, "shuffle"),
        ({("cat", "a"): 50, ("cat", "b"): 50, ("dog", "c"): 50}, "species_balanced"),
        ({("cat", None): 80, ("dog", None): 20}, "species_balanced"),
        ({("cat", "a"): 30, ("dog", "c"): 100}, "breed_balanced"),
        ({("cat", "a"): 5, ("dog", "c"): 100}, "effective_number"),
        ({("cat", "a"): 0, ("dog", "c"): 0}, "effective_number"),
    ],
)
def test_suggest_sampler_follows_the_counts(counts, sampler):
    suggestion = suggest_sampler(count_levels(index_of(counts)))
    assert suggestion.name == sampler
    assert suggestion.reason


def test_count_levels_gives_the_ratio_of_cats_to_dogs():
    levels = count_levels(index_of({("cat", None): 2400, ("dog", None): 4990}))
    assert levels["species"].imbalance_ratio == pytest.approx(2.08, abs=0.01)
    assert "breed" not in levels


def test_count_levels_counts_photos_without_a_breed_as_species_alone():
    levels = count_levels(index_of({("cat", "a"): 3, ("cat", None): 4, ("dog", None): 2}))
    assert levels["species"].counts == {"cat": 7, "dog": 2}
    assert levels["breed"].counts == {"cat/a": 3, "dog": 2}


def test_imbalance_ratio_of_an_empty_class_and_of_a_single_one():
    assert imbalance_ratio({"a": 3, "b": 0}) is None
    assert imbalance_ratio({"a": 3}) is None
