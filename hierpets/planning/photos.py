"""Read the photos for a plan: some of each class, with stated labels, and their features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from hierpets.config import TrainConfig
from hierpets.data.labeled.index import read_index
from hierpets.data.labeled.split import check_trainable, draw_evenly
from hierpets.data.records import PhotoIndex, PhotoRecord, index_of
from hierpets.errors import DataError
from hierpets.progress import Progress
from hierpets.registry.loading import Registry
from hierpets.text import counted, join_words
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.features.individuals import look_for_individuals
from hierpets.training.splits import sample_weights

__all__ = ["PlanPhotos", "at_most", "extract_features", "read_photos", "readable_photos"]

FEWEST = 4  # photos of a class; one with fewer cannot be cross-validated
MAX_PHOTOS = 200  # photos of a class that are used: enough for a curve, in minutes
_NAMED = 5


@dataclass(frozen=True)
class PlanPhotos:
    """The photos of classes that have enough; a line for each reason why others were ``left_out``; and the number of
    photos that training would use, ``trained``.
    """

    index: PhotoIndex
    left_out: tuple[str, ...]
    trained: int

    def keep(self, records: Iterable[PhotoRecord], reason: str) -> PlanPhotos:
        """Keep some of the photos and note the ``reason`` if any is left out; a class without photos is left out, too.

        :raises DataError: fewer than two classes are left.
        """
        kept = tuple(records)
        gone = len(self.index) - len(kept)
        if not gone:
            return self
        lines = (*self.left_out, f"{counted(gone, 'photo')} left out: {reason}")
        if len({record.label for record in kept}) < 2:
            raise DataError(f"fewer than two classes are left to plan with; {'; '.join(lines)}")
        return replace(self, index=index_of(kept), left_out=lines)


def read_photos(data: str, registry: Registry, *, breeds: bool = True) -> PlanPhotos:
    """Read the labeled photos of a source; without ``breeds``, labeled by species alone.

    :raises DataError: no photos there, a class without any, or fewer than two classes that can be planned with.
    """
    index = read_index(data, registry=registry)
    index = index if breeds else index.without_breeds()
    check_trainable(index, breeds=False)  # what training refuses cannot be promised
    learned = [record for record in index.records if record.split != "test"]
    photos = PlanPhotos(index, (), len(learned)).keep(learned, "in split test")
    tree = photos.index.taxonomy.tree
    stated = [r for r in photos.index.records if r.breed is not None or not tree[r.species]]
    return at_most(_enough(photos.keep(stated, "no breed is stated")), MAX_PHOTOS)


def at_most(photos: PlanPhotos, limit: int) -> PlanPhotos:
    """Keep at most so many photos of each class, drawn at random."""
    return photos.keep(_first(draw_evenly(photos.index), limit), f"{limit} of a class are enough")


def readable_photos(
    photos: PlanPhotos, extractor: FeatureExtractor, config: TrainConfig, *, progress: Progress
) -> PlanPhotos:
    """Keep the photos that can be read, and find individuals among them, as training does.

    :raises DataError: fewer than two classes are left.
    """
    unreadable, _ = extractor.examine(photos.index.paths, progress=progress)
    kept = _enough(photos.keep((r for r in photos.index.records if r.path not in unreadable), "cannot be read"))
    found = look_for_individuals(kept.index, extractor, config, progress=progress)
    return replace(kept, index=kept.index.of_individuals(found))


def extract_features(
    index: PhotoIndex, extractor: FeatureExtractor, config: TrainConfig, registry: Registry, *, progress: Progress
) -> FeatureSet:
    """Compute the features of photos, with weights as in training."""
    features, labels = extractor.features(index.paths, progress=progress), index.labels()
    return FeatureSet(features, features, labels, sample_weights(labels, config, registry), index.taxonomy)


def _enough(photos: PlanPhotos) -> PlanPhotos:
    counts = Counter(record.label for record in photos.index.records)
    few = sorted(str(label) for label, count in counts.items() if count < FEWEST)
    if not few:
        return photos
    kept = (record for record in photos.index.records if counts[record.label] >= FEWEST)
    return photos.keep(kept, f"fewer than {FEWEST} of {join_words(few, limit=_NAMED)}")


def _first(records: Iterable[PhotoRecord], limit: int) -> Iterator[PhotoRecord]:
    seen: Counter[object] = Counter()
    for record in records:
        seen[record.label] += 1
        if seen[record.label] <= limit:
            yield record
