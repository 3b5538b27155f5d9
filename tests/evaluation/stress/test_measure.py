"""The stress test draws evenly, asks for the same photos each time, and scores what comes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hierpets.data.records import PhotoIndex, PhotoRecord
from hierpets.errors import DataError
from hierpets.evaluation.metrics.schema import StressMetrics
from hierpets.evaluation.predictions import Predictions
from hierpets.evaluation.report.stress import stress_figure
from hierpets.evaluation.stress.corruptions import CORRUPTIONS
from hierpets.evaluation.stress.measure import measure_stress
from hierpets.taxonomy import Taxonomy

TREE = Taxonomy(tree={"cat": ("birman", "siamese"), "dog": ("husky", "pug")})


def index(tree: Taxonomy = TREE, **counts: int) -> PhotoIndex:
    names = counts or {"birman": 6, "siamese": 6, "husky": 6, "pug": 6}
    species = {breed: name for name, breeds in TREE.tree.items() for breed in breeds}
    records = [
        PhotoRecord(f"demo:{species[b]}/{b}/{n}", species[b], b if tree.has_breeds else None)
        for b, count in names.items()
        for n in range(count)
    ]
    return PhotoIndex(tree, tuple(records))


class DarkModel:
    """Right in bright photos; a dark one is unknown, and takes the first leaf."""

    def __init__(self):
        self.asked: list[tuple[list[str], list[np.ndarray]]] = []

    def __call__(self, photos, named):
        given = list(named)
        self.asked.append(([photo.name for photo in given], [photo.photo for photo in given]))
        labels, tree = photos.labels(), photos.taxonomy
        dark = np.array([photo.photo.mean() < 75 for photo in given])
        leaf = labels.leaf if tree.has_breeds else labels.species
        node = np.where(dark, 0, leaf)
        return Predictions(
            taxonomy=tree,
            paths=tuple(photos.paths),
            species_true=labels.species,
            leaf_true=labels.leaf,
            probabilities=np.eye(len(tree.leaves))[node],
            level=np.where(dark, "unknown", "breed"),
            node=np.where(dark, -1, node),
        )


@pytest.fixture(scope="module")
def measured():
    model = DarkModel()
    return measure_stress(model, index(), photos=12, resamples=100), model


def step(stress: StressMetrics, kind: str, number: int):
    return next(found for found in stress.steps if (found.kind, found.step) == (kind, number))


def test_measure_stress_asks_for_the_same_photos_under_every_corruption(measured):
    stress, model = measured
    assert stress.n == 12 and len(stress.steps) == len(CORRUPTIONS)
    assert len(model.asked) == 1 + len(CORRUPTIONS)
    assert all(names == model.asked[0][0] and len(names) == 12 for names, _ in model.asked)


def test_measure_stress_finds_what_hurts_this_model(measured):
    stress, _ = measured
    assert stress.unchanged.breed == stress.unchanged.holds_truth == 1 and stress.unchanged.unknown == 0
    hurt = step(stress, "darker", 3)
    assert hurt.unknown == 1 and hurt.breed == pytest.approx(0.25) and hurt.species == pytest.approx(0.5)
    assert hurt.named == 0 and hurt.holds_truth == 1
    assert step(stress, "softer", 3).breed == 1
    assert stress.worst.kind == "darker"


def test_measure_stress_averages_over_kinds_with_paired_intervals(measured):
    stress, _ = measured
    for mean in stress.mean:
        own = [found for found in stress.steps if found.step == mean.step]
        assert mean.breed == pytest.approx(np.mean([found.breed for found in own]))
        assert mean.loss == pytest.approx(stress.unchanged.breed - mean.breed)
        assert mean.loss_interval[0] <= mean.loss <= mean.loss_interval[1]
    assert stress.middle is stress.mean[1]


class FirstLeaf(DarkModel):
    """Takes every photo for the first leaf, whatever is done to it."""

    def __call__(self, photos, named):
        found = super().__call__(photos, named)
        return replace(found, probabilities=np.eye(len(TREE.leaves))[np.zeros(len(found), int)])


def test_measure_stress_finds_no_loss_but_no_certainty_where_every_photo_is_answered_as_before():
    stress = measure_stress(FirstLeaf(), index(), photos=12, resamples=100)
    assert stress.unchanged.breed == pytest.approx(0.25)
    assert all(mean.loss == 0 for mean in stress.mean)
    assert all(low == -high and 0.01 < high < 0.5 for low, high in (mean.loss_interval for mean in stress.mean))


def test_measure_stress_is_the_same_each_time(measured):
    assert measure_stress(DarkModel(), index(), photos=12, resamples=100) == measured[0]


def test_measure_stress_without_breeds_looks_at_species():
    flat = Taxonomy(tree={"cat": (), "dog": ()})
    stress = measure_stress(DarkModel(), index(flat), photos=4, resamples=10)
    assert stress.unchanged.breed is None and stress.middle.breed is None
    assert stress.mean[2].loss == pytest.approx(1 - stress.mean[2].species)
    assert "breed accuracy" not in stress_figure(stress).svg


def test_measure_stress_leaves_out_what_cannot_be_read(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    broken = PhotoRecord(str(tmp_path / "broken.jpg"), "cat", "birman")
    good = index(birman=1, pug=1)
    stress = measure_stress(DarkModel(), PhotoIndex(TREE, (broken, *good.records)), resamples=10)
    assert stress.n == 2
    with pytest.raises(DataError, match="stress test: none of the photos can be read"):
        measure_stress(DarkModel(), PhotoIndex(TREE, (broken,)))


def test_measure_stress_reports_progress_to_the_end():
    seen = []
    measure_stress(DarkModel(), index(pug=1, birman=1), progress=lambda *step: seen.append(step), resamples=10)
    assert seen[0] == ("stress test", 0, 56) and seen[-1] == ("stress test", 56, 56)


def test_stress_figure_has_a_plot_for_each_kind(measured):
    drawing = stress_figure(measured[0])
    for kind in dict.fromkeys(corruption.kind for corruption in CORRUPTIONS):
        assert f">{kind}</text>" in drawing.svg
    assert "breed accuracy" in drawing.svg and drawing.alt.startswith("Stress test: mean accuracy")
