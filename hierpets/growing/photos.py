"""Read new photos, and check them against each other and against the photos that the bundle has learned."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from hierpets.auditing.images.image_stats import measure_image
from hierpets.auditing.pairs.same_photos import find_same_photos
from hierpets.auditing.settings import AuditSettings
from hierpets.bundle.manifest import Manifest
from hierpets.bundle.seen import SeenPhotos, labeled_digest
from hierpets.data.content import content_key
from hierpets.data.records import PhotoIndex, PhotoRecord
from hierpets.errors import DataError, ImageError, without_name
from hierpets.growing.bundle import joint_and_scores
from hierpets.hierarchy.decision import Decision, decide
from hierpets.inference.engines.base import RawOutput
from hierpets.inference.engines.cascade import Cascade, Squares, seen_by
from hierpets.inference.predictor import Predictor
from hierpets.progress import Progress
from hierpets.taxonomy import Leaf
from hierpets.text import join_words
from hierpets.workers import cores, run_in_order

__all__ = [
    "LeftOutPhoto",
    "NewPhotos",
    "by_reason",
    "check_every_class",
    "find_copies",
    "find_learned",
    "read_photos",
]

BATCH = 8
MAX_NAMED = 3  # photos that are named for one reason
MAX_REASONS = 5  # reasons that are listed for empty classes


@dataclass(frozen=True)
class LeftOutPhoto:
    """A photo that is not learned from, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class NewPhotos:
    """N readable photos: their records, the features float32 [N, D] of each network, and the bundle's decisions."""

    records: tuple[PhotoRecord, ...]
    features: tuple[np.ndarray, ...]
    decisions: tuple[Decision, ...]

    def __len__(self) -> int:
        return len(self.records)

    def without(self, refused: Mapping[int, str], left_out: list[LeftOutPhoto]) -> NewPhotos:
        """The photos without the ``refused`` rows, which are added to ``left_out`` with their reasons."""
        left_out += [LeftOutPhoto(self.records[row].path, reason) for row, reason in sorted(refused.items())]
        kept = [row for row in range(len(self)) if row not in refused]
        records = tuple(self.records[row] for row in kept)
        features = tuple(own[kept] for own in self.features)
        return NewPhotos(records, features, tuple(self.decisions[row] for row in kept))


def read_photos(index: PhotoIndex, predictor: Predictor, progress: Progress) -> tuple[NewPhotos, list[LeftOutPhoto]]:
    """Read all photos: returns those that can be read, with features and decisions, and those that cannot."""
    left_out: list[LeftOutPhoto] = []
    found: list[list[RawOutput]] = []
    records: list[PhotoRecord] = []
    progress("new photos", 0, len(index))
    photos = _squares(index, predictor.cascade, left_out)
    while batch := list(islice(photos, BATCH)):
        found.append(_run_all(predictor.cascade, [squares for _, squares in batch]))
        records += [record for record, _ in batch]
        progress("new photos", len(records) + len(left_out), len(index))
    if not found:
        raise DataError(f"none of the {len(index)} new photos can be read")
    outputs = [RawOutput(*map(np.concatenate, zip(*parts, strict=True))) for parts in zip(*found, strict=True)]
    features = tuple(output.features for output in outputs)
    return NewPhotos(tuple(records), features, _decisions(outputs, predictor.manifest)), left_out


def _squares(
    index: PhotoIndex, cascade: Cascade, left_out: list[LeftOutPhoto]
) -> Iterator[tuple[PhotoRecord, Squares]]:
    """The network inputs of each photo; photos that cannot be read are added to ``left_out``."""

    def read(path: str) -> Squares:
        return cascade.squares(cascade.decode(path))

    loaded = run_in_order(read, index.paths, workers=cores(), ahead=BATCH, name="photos")
    for record, future in zip(index.records, loaded, strict=True):
        try:
            yield record, future.result()
        except ImageError as error:
            left_out.append(LeftOutPhoto(record.path, f"cannot be read: {without_name(error, record.path)}"))


def _run_all(cascade: Cascade, photos: Sequence[Squares]) -> list[RawOutput]:
    """The outputs of every network for all photos, including those that an earlier network is sure of."""
    return [engine(seen_by(stage, photos)) for stage, engine in enumerate(cascade.engines)]


def _decisions(outputs: Sequence[RawOutput], manifest: Manifest) -> tuple[Decision, ...]:
    joint, scores = joint_and_scores(manifest, [output.outputs for output in outputs])
    return tuple(decide(joint, manifest.taxonomy, manifest.policy, scores=scores))


def check_every_class(
    index: PhotoIndex,
    kept: Sequence[PhotoRecord],
    left_out: Sequence[LeftOutPhoto] = (),
    *,
    learned: Collection[Leaf] = (),
) -> None:
    """Check that each class of the data has a photo to learn from among those ``kept``, or is already ``learned``.

    :raises DataError: a class has none; the message gives the reasons of photos that were ``left_out``.
    """
    label_of = {record.path: record.label for record in index.records}
    wanted = {*label_of.values(), *(leaf for leaf in index.taxonomy.leaves if leaf.breed)}
    empty = wanted - {record.label for record in kept} - {*learned}
    if empty:
        reasons = [*by_reason(photo for photo in left_out if label_of[photo.path] in empty)]
        more = [f"and {len(reasons) - MAX_REASONS} more reasons"] if len(reasons) > MAX_REASONS else []
        none = f"no photo to learn from: {', '.join(sorted(map(str, empty)))}; add photos, or remove the folder"
        raise DataError("\n".join([none, *reasons[:MAX_REASONS], *more]))


def by_reason(photos: Iterable[LeftOutPhoto]) -> Iterator[str]:
    """Yield a line for each reason, with the names of the first photos."""
    paths: dict[str, list[str]] = {}
    for photo in photos:
        paths.setdefault(photo.reason, []).append(photo.path)
    for reason, own in paths.items():
        yield f"{join_words(own, limit=MAX_NAMED)}: {reason}"


def find_learned(photos: NewPhotos, manifest: Manifest, bundle: Path) -> dict[int, str]:
    """Rows of photos that the ``bundle`` was already fitted to, each with the reason.

    Learned again, they would count twice, and the bundle would be evaluated on photos that it knows. A photo that was
    learned under a label that has been forgotten since counts only if it was learned again under a label that remains.
    """
    leaves = {*manifest.taxonomy.leaves} - manifest.pretrained
    known = leaves | {Leaf(leaf.species, None) for leaf in leaves}  # a label without a breed is no leaf
    since = {name: manifest.forgotten.get(name, 0) for name in map(str, known)}
    read = {after: SeenPhotos.read(bundle, after=after) or SeenPhotos() for after in {0, *since.values()}}

    def is_learned(record: PhotoRecord) -> bool:
        name = str(record.label)
        if name not in since or not read[since[name]].holds(own := content_key(record.path)):
            return False
        was_forgotten = any(read[0].holds(labeled_digest(own, label)) for label in manifest.forgotten)
        return not was_forgotten or any(read[after].holds(labeled_digest(own, label)) for label, after in since.items())

    rows = [row for row, record in enumerate(photos.records) if is_learned(record)]
    return dict.fromkeys(rows, "learned by the bundle already")


def find_copies(photos: NewPhotos, learned: Collection[int]) -> dict[int, str]:
    """Rows that are copies of a photo that was ``learned`` before, or of an earlier row, each with the reason.

    :raises DataError: two copies have different labels, and not both were learned.
    """
    order = sorted(range(len(photos)), key=lambda row: row not in learned)
    records = [photos.records[row] for row in order]
    read = run_in_order(measure_image, [record.path for record in records], workers=cores(), ahead=BATCH)
    stats = [future.result() for future in read]
    pairs = find_same_photos(stats, np.arange(len(order)), photos.features[-1][order], AuditSettings())
    for pair in pairs:
        a, b = records[pair.first], records[pair.second]
        is_new = not {order[pair.first], order[pair.second]} <= {*learned}
        if is_new and a.label != b.label:
            raise DataError(f"{b.path}: labeled {b.label}, but the same photo is {a.label} at {a.path}; keep one")
    return {order[pair.second]: f"a copy of {records[pair.first].path}" for pair in pairs}
