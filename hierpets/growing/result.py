"""The results of growing a bundle and of making it forget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from hierpets.evaluation.comparison.result import Comparison
from hierpets.growing.photos import LeftOutPhoto, by_reason
from hierpets.growing.steals import Steal
from hierpets.hierarchy.conformal import fewest_scores, min_alpha
from hierpets.inference.loading import load
from hierpets.inference.predictor import Predictor
from hierpets.registry.loading import Registry
from hierpets.taxonomy import Leaf
from hierpets.text import counted, join_words

__all__ = ["ForgetResult", "GrowResult"]

MAX_FORGOTTEN = 10  # leaves that are listed by name


@dataclass(frozen=True)
class GrowResult:
    """The result of :func:`hierpets.grow`: a new ``bundle``.

    ``photos`` maps each learned class to the number of photos it was learned from. ``accuracy`` maps it to the share of
    them that the bundle predicts right when they are left out; photos that were not learned because they look like
    something else count as wrong (None for a class with a single animal). ``left_out`` are the photos that were not
    learned from, ``doubtful`` are messages on labels that may be wrong, ``steals`` lists old breeds that lose photos to
    new ones. ``unjudged`` are new species without a photo that could be predicted when left out.

    ``judged`` is the number of a new breed's own animals that its threshold is based on, ``shared`` that of all grown
    breeds of a species, which are used if its own are too few. ``thresholds`` are those of the breeds themselves, which
    apply besides that of the species; 1 for a breed that is never named. ``raised`` maps species to how much the pet
    scores of photos predicted as them were raised because those of their own photos were too low. ``unanswered`` is a
    message on species that are never answered, None if there are none. ``before_and_after`` compares both bundles on
    the photos given to check with. ``registry`` is the registry that was used.
    """

    bundle: Path
    alpha: float
    photos: dict[Leaf, int]
    accuracy: dict[Leaf, float | None]
    new: tuple[Leaf, ...]
    left_out: tuple[LeftOutPhoto, ...] = field(repr=False)
    doubtful: tuple[str, ...] = field(repr=False)
    steals: tuple[Steal, ...] = field(repr=False)
    unjudged: tuple[str, ...] = field(repr=False)
    judged: dict[Leaf, int] = field(repr=False)
    shared: dict[str, int] = field(repr=False)
    thresholds: dict[Leaf, float] = field(repr=False)
    raised: dict[str, float] = field(repr=False)
    unanswered: str | None = field(default=None, repr=False)
    before_and_after: Comparison | None = field(default=None, repr=False)
    registry: Registry | None = field(default=None, repr=False)

    @property
    def too_few(self) -> tuple[Leaf, ...]:
        """Breeds with too few photos to be named at the bundle's alpha; the species is answered instead."""
        return tuple(leaf for leaf in self.judged if self._calibrated_by(leaf) < fewest_scores(self.alpha))

    @property
    def too_wrong(self) -> tuple[Leaf, ...]:
        """Breeds with enough photos that are still never named: too many were confidently wrong when left out."""
        return tuple(leaf for leaf, threshold in self.thresholds.items() if threshold >= 1 and leaf not in self.too_few)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before using the bundle, one line each."""
        unnamed = (*map(self._alone, self.unjudged), *map(self._few, self.too_few), *map(self._wrong, self.too_wrong))
        silent = filter(None, (self.unanswered,))
        left_out = (f"not learned from: {line}" for line in by_reason(self.left_out))
        return (*left_out, *self.doubtful, *map(str, self.steals), *unnamed, *silent, *self._laxer())

    def _laxer(self) -> Iterator[str]:
        for species, by in self.raised.items():
            yield (
                f"the pet score of what is taken for {species} is raised by {by:.2f}, for its photos have too little: "
                "more of what is no pet will pass for one; measure with hierpets evaluate --ood"
            )

    def _alone(self, species: str) -> str:
        return (
            f"{species} is new, and no other animal of its classes says what the bundle makes of its photos: "
            "nothing is known of how often it is recognized, or refused as no pet; add photos of other animals"
        )

    def _few(self, leaf: Leaf) -> str:
        photos = counted(self.photos[leaf], "photo")
        if 0 < self.judged[leaf] < self.photos[leaf]:  # the only animal of a class is not judged
            photos = f"{photos} of {counted(self.judged[leaf], 'animal')}"
        available = self._calibrated_by(leaf)
        otherwise = f", or predict with --alpha {min_alpha(available):g}" if available else ""
        fewest, species = fewest_scores(self.alpha), leaf.species
        answered = "it is never named" if species in self.unjudged else f"its photos are answered as {species}"
        return (
            f"{leaf} has {photos}, and to be named at alpha {self.alpha:g} takes {fewest}, its own "
            f"or of all grown breeds of {species}: {answered}{otherwise}"
        )

    def _wrong(self, leaf: Leaf) -> str:
        whose = "its photos" if self.judged[leaf] >= fewest_scores(self.alpha) else f"grown photos of {leaf.species}"
        return (
            f"{leaf} is not named at alpha {self.alpha:g}: too many of {whose} were certain and wrong when left out. "
            f"Its photos are answered as {leaf.species}; look at the labels, or predict with a larger --alpha"
        )

    def _calibrated_by(self, leaf: Leaf) -> int:
        """The number of animals that the threshold of a breed may be based on."""
        return max(self.judged[leaf], self.shared[leaf.species])

    def predictor(self, **options: Any) -> Predictor:
        """Load the bundle for prediction; ``options`` are those of :func:`hierpets.load`."""
        return load(self.bundle, **{"registry": self.registry, **options})

    def __str__(self) -> str:
        return "\n".join(_line(leaf, n, self.accuracy[leaf], leaf in self.new) for leaf, n in self.photos.items())

    def _repr_html_(self) -> str:
        """The learned classes and the warnings, for notebooks."""
        lines = (*str(self).splitlines(), *self.warnings)
        return (
            f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul><code>{escape(str(self.bundle))}</code>"
        )


@dataclass(frozen=True)
class ForgetResult:
    """The result of :func:`hierpets.forget`: a new ``bundle`` without the leaves that were ``forgotten``.

    ``pretrained`` are leaves whose photos were forgotten, and which are known from pretraining alone again.
    ``untaught`` are species that were removed as a whole although only some of their breeds were named: none of the
    others was learned from photos. ``taken`` maps breeds whose photos were forgotten to the other species that these
    photos now look like on average. ``registry`` is the registry that was used.
    """

    bundle: Path
    forgotten: tuple[Leaf, ...]
    pretrained: tuple[Leaf, ...] = ()
    untaught: tuple[str, ...] = field(default=(), repr=False)
    taken: dict[Leaf, str] = field(default_factory=dict, repr=False)
    registry: Registry | None = field(default=None, repr=False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before using the bundle, one line each."""
        return (
            *(f"{species} is gone: nothing that photos taught is left of it" for species in self.untaught),
            *(
                f"animals like {leaf} are taken for {species} now; keep the breed, or grow others of {leaf.species}"
                for leaf, species in self.taken.items()
            ),
        )

    def predictor(self, **options: Any) -> Predictor:
        """Load the bundle for prediction; ``options`` are those of :func:`hierpets.load`."""
        return load(self.bundle, **{"registry": self.registry, **options})

    def __str__(self) -> str:
        lists = {"forgotten": self.forgotten, "known from pretraining alone again": self.pretrained}
        return "\n".join(
            f"{what}: {join_words([*map(str, leaves)], limit=MAX_FORGOTTEN)}"
            for what, leaves in lists.items()
            if leaves
        )

    def _repr_html_(self) -> str:
        """The forgotten classes and the warnings, for notebooks."""
        lines = "".join(f"<p>{escape(line)}</p>" for line in (*str(self).splitlines(), *self.warnings))
        return f"{lines}<code>{escape(str(self.bundle))}</code>"


def _line(leaf: Leaf, photos: int, accuracy: float | None, new: bool) -> str:
    known = "new" if new else "known before"
    right = "" if accuracy is None else f", {accuracy:.0%} right when left out"
    return f"{leaf}: {counted(photos, 'photo')}, {known}{right}"
