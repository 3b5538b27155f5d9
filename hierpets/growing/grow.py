"""Add breeds and species to a bundle from a few photos, without the photos that it was trained on."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path

from hierpets.bundle.layout import BUNDLE, MANIFEST, released_bundle
from hierpets.data.labeled.index import read_index
from hierpets.data.records import PhotoIndex
from hierpets.errors import DataError
from hierpets.evaluation.comparison.result import Comparison
from hierpets.evaluation.comparison.run import compare
from hierpets.evaluation.result import Evaluation
from hierpets.evaluation.run import evaluate, read_labeled
from hierpets.files import check_folder
from hierpets.growing.bundle import OpenBundle, open_bundle
from hierpets.growing.learning import learn
from hierpets.growing.leave_one_out import LeaveOneOutPredictions
from hierpets.growing.names import check_names, find_misspelled_new, find_namesakes
from hierpets.growing.photos import (
    LeftOutPhoto,
    NewPhotos,
    check_every_class,
    find_copies,
    find_learned,
    read_photos,
)
from hierpets.growing.result import GrowResult
from hierpets.growing.steals import Steal, find_confused, find_taken
from hierpets.growing.strangers import doubtful_labels, find_strangers
from hierpets.inference.loading import load
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import Registry, load_registry
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.validation.arguments import checked

__all__ = ["grow"]


@checked
def grow(
    model: str | os.PathLike[str] | None,
    data: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str],
    check: str | os.PathLike[str] | None = None,
    trust_labels: bool = False,
    overwrite: bool = False,
    registry: Registry | str | os.PathLike[str] | None = None,
    progress: Progress = no_progress,
) -> GrowResult:
    """Add breeds and species to a bundle from a few photos; the photos that it was trained on are not needed.

    ``model`` is a bundle that keeps statistics of its classes, such as one with LDA heads; None for the released one.
    ``data`` are labeled photos: a folder ``SPECIES/BREED/photo.jpg``, a CSV, or anything that a reader supports. They
    may be of new breeds, of new species with or without breeds, or of known ones; those in the splits ``val`` and
    ``test`` are ignored. The heads of the bundle that is written to ``out`` are the same as if fitted to all old and
    new photos at once; temperatures and the thresholds of pets and of early networks stay. The pet score of photos
    predicted as a trained species still depends on the trained species alone: a new species does not make a photo of no
    pet pass as a dog. ``check`` are labeled photos of classes that were known before, to compare both bundles on.

    Copies, photos that the bundle has learned from before, unreadable photos and those that seem to show another animal
    than their label are left out, and listed; with ``trust_labels``, the last are learned from as well.

    :raises BundleError: a bundle that is missing or damaged, or that keeps no statistics.
    :raises RegistryError: an invalid registry.
    :raises PluginError: the registry lacks the bundle's backbone, whose pretrained head knows species or breeds.
    :raises DataError: a name that is almost that of a known class; a class without a photo to learn from.
    :raises ConfigError: ``out`` exists and ``overwrite`` is not given, or is no bundle.
    """
    source, target = Path(model) if model is not None else released_bundle(), Path(out).absolute()
    check_folder(target, overwrite=overwrite, mark=MANIFEST, kind="bundle", holds=BUNDLE)
    plugins = load_registry(registry)
    before = open_bundle(source, plugins)
    index = read_index(data, registry=plugins).to_learn_from
    check_names(index.taxonomy, before.manifest.taxonomy)
    check_every_class(index, index.records)
    if check is not None:  # reports problems before anything is learned and written
        read_labeled(check, before.manifest, registry=plugins)
    predictor = load(source, engine="openvino", precision="f32", registry=plugins, recommend=False)
    photos, left_out = read_photos(index, predictor, progress)
    photos, learned, predictions, strangers = _learn(before, index, photos, left_out, trust_labels=trust_labels)
    measure = partial(_measure, check, plugins, progress)
    was = measure(source)  # before the grown bundle is written, which may replace it
    learned.write(target, photos.records, overwrite=overwrite)
    compared, taken = _compare(was, measure(target), before.manifest.taxonomy, learned.manifest.taxonomy)
    new = tuple(leaf for leaf in learned.manifest.taxonomy.leaves if leaf not in before.manifest.taxonomy.leaves)
    counts, policy = Counter(record.label for record in photos.records), learned.manifest.policy
    judged = {photos.records[row].species for row in predictions.rows.tolist()}
    was_raised = before.main.raised_by
    raised = {name: by - was_raised.get(name, 0.0) for name, by in learned.main.raised_by.items()}
    grown = [leaf for leaf in counts if leaf.breed and str(leaf) in policy.leaves]
    return GrowResult(
        bundle=target,
        alpha=policy.alpha,
        photos=dict(sorted(counts.items(), key=lambda item: str(item[0]))),
        accuracy=_accuracy(photos, predictions, strangers),
        new=new,
        left_out=tuple(left_out),
        doubtful=(
            *doubtful_labels(photos, before.manifest.taxonomy),
            *find_namesakes(new, before.manifest.taxonomy),
            *find_misspelled_new(learned.manifest.taxonomy, before.manifest.taxonomy),
        ),
        steals=(*taken, *find_confused(photos, predictions, new)),
        unjudged=tuple(sorted({leaf.species for leaf in new} - judged - {*before.manifest.taxonomy.species})),
        judged={leaf: len(policy.leaves[str(leaf)]) for leaf in grown},
        shared={species: len(policy.grown_scores(species)) for species in {leaf.species for leaf in counts}},
        thresholds={leaf: policy.leaf_probability(leaf) for leaf in grown},
        raised={name: by for name, by in raised.items() if by > 0},
        unanswered=policy.unanswered(learned.manifest.taxonomy.species),
        before_and_after=compared,
        registry=plugins,
    )


def _learn(
    before: OpenBundle, index: PhotoIndex, photos: NewPhotos, left_out: list[LeftOutPhoto], *, trust_labels: bool
) -> tuple[NewPhotos, OpenBundle, LeaveOneOutPredictions, Counter[Leaf]]:
    """Learn the photos: returns those learned from, the grown bundle, its leave-one-out predictions, and the number of
    photos of each label that were left out because they look like something else.

    All photos that are not learned from are added to ``left_out``.
    """
    learned_before = find_learned(photos, before.manifest, before.source)
    known = {photos.records[row].label for row in learned_before}
    repeated = find_copies(photos, learned_before) | learned_before
    if len(repeated) == len(photos):
        raise DataError(f"the bundle has learned from all {len(photos)} photos already; add others")
    photos = photos.without(repeated, left_out)
    check_every_class(index, photos.records, left_out, learned=known)
    learned, predictions = learn(before, photos)
    tree = learned.manifest.taxonomy
    strangers = {} if trust_labels else find_strangers(photos, predictions, before.manifest, tree)
    if not strangers:
        return photos, learned, predictions, Counter()
    counts = Counter(photos.records[row].label for row in strangers)
    photos = photos.without(strangers, left_out)
    if not len(photos):  # nothing is left, so a known class needs photos as well
        known -= {*counts}
    check_every_class(index, photos.records, left_out, learned=known)
    return photos, *learn(before, photos), counts


def _accuracy(
    photos: NewPhotos, predictions: LeaveOneOutPredictions, strangers: Counter[Leaf]
) -> dict[Leaf, float | None]:
    """For each label the share of its photos that are predicted right when left out; None if none could be.

    A label without a breed is right at its species. Photos counted in ``strangers`` are wrong.
    """
    right = defaultdict(list, {label: [False] * count for label, count in strangers.items()})
    for row, leaf in zip(predictions.rows.tolist(), predictions.answers, strict=True):
        label = photos.records[row].label
        right[label].append(leaf == label or (label.breed is None and leaf.species == label.species))
    labels = {record.label for record in photos.records}
    return {label: sum(right[label]) / len(right[label]) if right[label] else None for label in labels}


def _measure(
    check: str | os.PathLike[str] | None, registry: Registry, progress: Progress, bundle: Path
) -> Evaluation | None:
    """Evaluate a bundle on the photos of ``check``; None if there are none."""
    if check is None:
        return None
    # keep_seen: both bundles are compared on the same photos, even if only one has learned from some of them.
    return evaluate(bundle, check, keep_seen=True, registry=registry, progress=progress)


def _compare(
    was: Evaluation | None, now: Evaluation | None, old: Taxonomy, new: Taxonomy
) -> tuple[Comparison | None, list[Steal]]:
    """Compare the evaluations before and after; also return which photos new leaves took from old ones."""
    if was is None or now is None:
        return None, []
    names = ("the old bundle", "the new bundle")
    return compare(was, now, names=names), find_taken(was, now, old, new)
