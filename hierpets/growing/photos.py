"""New photos: read, checked against each other and against what the bundle says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path

import numpy as np

from hierpets.auditing.images.image_stats import measure_image
from hierpets.auditing.pairs.same_photos import find_same_photos
from hierpets.auditing.settings import AuditSettings
from hierpets.bundle.manifest import Manifest
from hierpets.bundle.seen import SeenPhotos
from hierpets.data.content import content_key
from hierpets.data.labeled.consistency import find_misspelled, folded
from hierpets.data.records import PhotoIndex, PhotoRecord, index_of
from hierpets.errors import DataError, ImageError, without_name
from hierpets.growing.calibration import answer_together
from hierpets.hierarchy.decision import Decision, decide
from hierpets.hierarchy.early import Outputs
from hierpets.inference.engines.base import RawOutput
from hierpets.inference.engines.cascade import Cascade, Squares, seen_by
from hierpets.inference.predictor import Predictor
from hierpets.messages.breeds import find_label, meant_labels
from hierpets.progress import Progress
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.workers import cores, run_in_order

__all__ = [
    "LeftOutPhoto",
    "NewPhotos",
    "check_every_class",
    "check_names",
    "find_copies",
    "find_learned",
    "read_photos",
    "without_learned",
]

ALIKE = 0.9  # of difflib: names as like as "siamese" and "siamesse" are taken for one
WORD = 5  # letters, of which one may be mistaken
BATCH = 8


@dataclass(frozen=True)
class LeftOutPhoto:
    """A photo that is not learned from, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class NewPhotos:
    """N photos that could be read: their records, features float32 [N, D] of each network, and what the bundle
    decides on each.
    """

    records: tuple[PhotoRecord, ...]
    features: tuple[np.ndarray, ...]
    decisions: tuple[Decision, ...]

    def __len__(self) -> int:
        return len(self.records)

    def without(self, refused: Mapping[int, str], left_out: list[LeftOutPhoto]) -> NewPhotos:
        """The photos but for the rows that are ``refused``, which are added to ``left_out`` with their reasons."""
        left_out += [LeftOutPhoto(self.records[row].path, reason) for row, reason in sorted(refused.items())]
        kept = [row for row in range(len(self)) if row not in refused]
        records = tuple(self.records[row] for row in kept)
        features = tuple(own[kept] for own in self.features)
        return NewPhotos(records, features, tuple(self.decisions[row] for row in kept))


def check_names(new: Taxonomy, known: Taxonomy) -> None:
    """Whether each class that is new has a name of its own.

    :raises DataError: names that are written almost as those of other classes, or stand for the same; a species that is
        called as a known breed; breeds of a species without breeds.
    """
    labels = [("the bundle", leaf) for leaf in known.leaves] + [("the photos", leaf) for leaf in new.leaves]
    problems = [*find_misspelled(labels), *_almost(new.species, known.species)]
    for species in new.species:
        if owner := known.owner(species):
            problems.append(f"{species}: is a breed of {owner} in the bundle, no species; give the folder above it")
        problems += _almost(new.tree[species], known.tree.get(species, ()), species)
        if new.tree[species] and known.tree.get(species) == ():
            problems.append(
                f"{species}: the bundle knows no breeds of it, and its old photos would be of none; put the new ones "
                f"into the folder {species} itself, or train again with the breeds of all"
            )
    if problems:
        raise DataError("\n".join(dict.fromkeys(problems)))


def _almost(new: Sequence[str], known: Sequence[str], species: str | None = None) -> Iterator[str]:
    fresh = sorted({*new} - {*known})
    for place, name in enumerate(fresh):
        for others, whose in ((known, "which the bundle knows"), (fresh[:place], "another new one")):
            if same := find_label(name, others, species):
                yield f"{name!r} is another name of {same!r}, {whose}; rename the folder"
            elif meant_labels(name, species):
                continue  # a Welsh Springer Spaniel is no slip of the pen for an English one
            elif like := next((other for other in others if _are_alike(name, other)), None):
                yield f"{name!r} is almost {like!r}, {whose} (did you mean {like!r}?); rename the folder"


def _are_alike(one: str, other: str) -> bool:
    """Whether two names are likely meant to be one: singular and plural, or a slip of the pen."""
    short, long = sorted(map(folded, (one, other)), key=len)
    plurals = {short + "s", short + "es", short.removesuffix("y") + "ies"}
    return long in plurals or _is_a_letter_apart(short, long) or SequenceMatcher(None, short, long).ratio() >= ALIKE


def _is_a_letter_apart(short: str, long: str) -> bool:
    """Whether a letter is left out, or two are swapped; or, in a name that is no short word, one is another: a rat is
    no cat.
    """
    same = next((i for i, letters in enumerate(zip(short, long, strict=False)) if len({*letters}) > 1), len(short))
    rest, other = short[same:], long[same:]
    if len(short) < len(long):
        return rest == other[1:]
    swapped = rest[:2] == other[1::-1] and rest[2:] == other[2:]
    return len(short) == len(long) and (swapped or (len(short) >= WORD and rest[1:] == other[1:]))


def read_photos(index: PhotoIndex, predictor: Predictor, progress: Progress) -> tuple[NewPhotos, list[LeftOutPhoto]]:
    """The features of every photo that can be read, and the others."""
    left_out: list[LeftOutPhoto] = []
    found: list[list[RawOutput]] = []
    records: list[PhotoRecord] = []
    progress("new photos", 0, len(index))
    photos = _squares(index, predictor.cascade, left_out)
    while batch := list(islice(photos, BATCH)):
        found.append(_ask_all(predictor.cascade, [squares for _, squares in batch]))
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
    """What the networks see of each photo; those that cannot be read are added to ``left_out``."""

    def read(path: str) -> Squares:
        return cascade.squares(cascade.decode(path))

    loaded = run_in_order(read, index.paths, workers=cores(), ahead=BATCH, name="photos")
    for record, future in zip(index.records, loaded, strict=True):
        try:
            yield record, future.result()
        except ImageError as error:
            left_out.append(LeftOutPhoto(record.path, f"cannot be read: {without_name(error, record.path)}"))


def _ask_all(cascade: Cascade, photos: Sequence[Squares]) -> list[RawOutput]:
    """The outputs of every network for all photos, those too that an earlier one is sure of."""
    return [engine(seen_by(stage, photos)) for stage, engine in enumerate(cascade.engines)]


def _decisions(outputs: Sequence[RawOutput], manifest: Manifest) -> tuple[Decision, ...]:
    joint, scores = answer_together(
        manifest, [Outputs(output.species, output.leaf, output.scores) for output in outputs]
    )
    return tuple(decide(joint, manifest.taxonomy, manifest.policy, scores=scores))


def check_every_class(index: PhotoIndex, kept: Sequence[PhotoRecord], left_out: Sequence[LeftOutPhoto]) -> None:
    """:raises DataError: a class of the data has no photo to learn from among those ``kept``."""
    counts, wanted = Counter(record.label for record in kept), {record.label for record in index.records}
    empty = sorted(
        {str(label) for label in wanted if not counts[label]}
        | {str(leaf) for leaf in index.taxonomy.leaves if leaf.breed and not counts[leaf]}
    )
    if empty:
        reasons = "".join(f"\n{photo}" for photo in left_out)
        raise DataError(f"no photo to learn from: {', '.join(empty)}; add photos, or remove the folder{reasons}")


def find_learned(photos: NewPhotos, manifest: Manifest, bundle: Path) -> dict[int, str]:
    """Rows of photos that the ``bundle`` was fitted to already: it would count them twice, and judge itself by them.
    What was forgotten since counts no more, learned again or not.

    :raises DataError: there are no others.
    """
    leaves = {*manifest.taxonomy.leaves} - manifest.pretrained
    known = leaves | {Leaf(leaf.species, None) for leaf in leaves}  # a label without a breed is no leaf
    since = {label: manifest.forgotten.get(str(label), 0) for label in known}
    read = {after: SeenPhotos.read(bundle, after=after) for after in {*since.values()}}
    rows = [
        row
        for row, record in enumerate(photos.records)
        if record.label in since and (own := read[since[record.label]]) and own.holds(content_key(record.path))
    ]
    if len(rows) == len(photos):
        raise DataError(f"the bundle has learned from all {len(rows)} photos already; add others")
    return dict.fromkeys(rows, "the bundle has learned from it already")


def without_learned(index: PhotoIndex, learned: Collection[str]) -> PhotoIndex:
    """The photos that are not ``learned``; a class whose photos all are is not asked for any more."""
    empty = [leaf for leaf, count in index.counts().items() if not count]
    return index_of((record for record in index.records if record.path not in learned), empty)


def find_copies(photos: NewPhotos) -> dict[int, str]:
    """Rows that show the same photo as an earlier one.

    :raises DataError: the two have different labels.
    """
    paths = [record.path for record in photos.records]
    stats = [future.result() for future in run_in_order(measure_image, paths, workers=cores(), ahead=BATCH)]
    pairs = find_same_photos(stats, np.arange(len(paths)), photos.features[-1], AuditSettings())
    for pair in pairs:
        a, b = photos.records[pair.first], photos.records[pair.second]
        if a.label != b.label:
            raise DataError(f"{b.path}: labeled {b.label}, but the same photo is {a.label} at {a.path}; keep one")
    return {pair.second: f"a copy of {paths[pair.first]}" for pair in pairs}
