"""Examine the photos before training: which are unreadable, identical under two labels, or of the same animal."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hierpets.bundle.seen import SeenPhotos
from hierpets.config import TrainConfig
from hierpets.data.labeled.alike import find_lookalikes
from hierpets.data.labeled.consistency import find_contradictions
from hierpets.data.records import PhotoIndex
from hierpets.errors import DataError
from hierpets.progress import Progress
from hierpets.registry.loading import Registry
from hierpets.text import counted, escaped, join_words
from hierpets.training.distributed import current_context
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.features.individuals import look_for_individuals
from hierpets.training.features.prepared import Prepared, prepare_backbone
from hierpets.training.splits import Splits, split_source

__all__ = ["FirstLook", "look_at_photos"]

_log = logging.getLogger(__name__)
_NAMED = 5


class FirstFindings(NamedTuple):
    """The reasons why photos are ``unreadable``, and the ``individuals`` found by likeness, both by path.

    Only photos whose individual the data does not state are compared.
    """

    unreadable: dict[str, str]
    individuals: dict[str, str]


@dataclass(frozen=True)
class FirstLook:
    """The readable photos, split again so that all photos of an individual are on one side, and the findings.

    In the main process, which examines the photos for all, ``seen`` identifies the training photos by their content at
    that time, and ``first`` is the backbone that it used, that of the first candidate. Elsewhere they are empty.
    """

    splits: Splits
    found: FirstFindings
    seen: SeenPhotos
    first: Prepared | None


def look_at_photos(
    splits: Splits, config: TrainConfig, *, registry: Registry, device: str, progress: Progress
) -> FirstLook:
    """Examine all photos in the main process, and share the findings. The features that it computes are cached.

    :raises DataError: photos cannot be read, and ``config.strict`` is set or a class has no others.
    """
    context = current_context()
    found, digests, first = FirstFindings({}, {}), dict[str, str](), None
    if context.is_main:
        _warn_of_lookalikes(splits)
        first = prepare_backbone(config.candidate_backbones[0], config, registry=registry, device=device)
        found, digests = _look(splits, first.extractor, config, progress)
    found = context.gather(found)[0]
    lines = list(map(escaped, found.unreadable.values()))  # a line break in a name would look like another photo
    if lines:
        count = f"{len(lines)} of {len(splits.train) + len(splits.val)} photos cannot be read"
        if config.strict:
            raise DataError("\n".join([*lines, f"{count}; remove them, or train without --strict to skip them"]))
        if context.is_main:
            _log.warning("%s and are skipped:", count)
            for line in lines:
                _log.warning("  %s", line)
    if lines or found.individuals:
        kept = splits.source.where(lambda record: record.path not in found.unreadable)
        splits = split_source(kept.of_individuals(found.individuals), config, registry)
    if context.is_main:
        _warn_of_single_photos(splits)
        _warn_of_individuals(splits)
    seen = SeenPhotos.of(digests[path] for path in splits.train.paths if context.is_main)
    return FirstLook(splits, found, seen, first)


def _look(
    splits: Splits, extractor: FeatureExtractor, config: TrainConfig, progress: Progress
) -> tuple[FirstFindings, dict[str, str]]:
    """Return the findings, and the digest of every photo by path."""
    both = PhotoIndex(splits.taxonomy, (*splits.train.records, *splits.val.records))
    unreadable, digests = extractor.examine(both.paths, progress=progress)
    _warn_of_contradictions(both, digests, unreadable)
    readable = both.where(lambda record: record.path not in unreadable)
    found = FirstFindings(unreadable, look_for_individuals(readable, extractor, config, progress=progress))
    return found, dict(zip(both.paths, digests, strict=True))


def _warn_of_lookalikes(splits: Splits) -> None:
    """Warn of classes whose names are likely misspelled: the first few in a line each, the others by number."""
    found = [*find_lookalikes(splits.taxonomy).values()]
    for line in found[:_NAMED]:
        _log.warning("%s", line)
    if more := found[_NAMED:]:
        _log.warning("and %d more such classes (hierpets audit finds all)", len(more))


def _warn_of_contradictions(index: PhotoIndex, digests: Sequence[str], unreadable: dict[str, str]) -> None:
    """Warn of identical files with different labels, of which at most one can be right."""
    found = [pair for pair in find_contradictions(index.records, digests) if pair[0].path not in unreadable]
    if found:
        one, other = found[0]
        _log.warning(
            "%s and %s are identical files, labeled %s and %s%s; remove the wrong one (hierpets audit finds all)",
            *(one.path, other.path, one.label, other.label),
            f", the first of {len(found)} such photos" if len(found) > 1 else "",
        )


def _warn_of_single_photos(splits: Splits) -> None:
    """Warn of breeds and species with a single photo: it is used for training, and none is left to evaluate on."""
    photos = Counter(splits.train.leaf_of(record) for record in (*splits.train.records, *splits.val.records))
    if single := [leaf for leaf in splits.taxonomy.leaves if photos[leaf] == 1]:
        _log.warning(
            "one photo of %s: nothing that is measured says how well others are told; add photos",
            join_words(sorted(map(str, single)), limit=_NAMED),
        )


def _warn_of_individuals(splits: Splits) -> None:
    """Warn of classes whose photos all show one animal: nothing can be held out to measure how others are recognized.

    Warn as well of other animals that are on both sides of a split that the data states.
    """
    train, val = ({record.of_individual for record in part.records} for part in (splits.train, splits.val))
    animals = Counter(label for label, *_ in train | val)
    photos = Counter(record.label for record in (*splits.train.records, *splits.val.records))
    single = [label for label, count in animals.items() if count == 1 and photos[label] > 1]
    if single:
        _log.warning(
            "all photos of %s look like one animal's: what is measured on them says nothing of others; add photos of "
            "other animals",
            join_words(sorted(map(str, single)), limit=_NAMED),
        )
    if torn := {animal for animal in train & val if animal[0] not in single}:
        _log.warning(
            "%s on both sides of the split that the data gives, such as that of %s: what is measured on the validation "
            "photos is too good",
            counted(len(torn), "animal"),
            next(record.path for record in splits.val.records if record.of_individual in torn),
        )
