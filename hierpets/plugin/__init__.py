"""Everything that a plugin may import from hierpets.

A plugin is a function in a Python file, listed in a ``registry.yaml``. Its keyword arguments are its options. What it
takes and returns depends on its kind:

================  ==========================================  =========================================
kind              called with                                 returns
================  ==========================================  =========================================
``backbone``      options                                     :class:`Backbone`
``sampler``       :class:`Labels`, then options               float [N], one positive weight per photo
``shampoo_rule``  :class:`Case`, then options                 an iterable of :class:`Advice`
``reader``        ``source``, a path or URI, then options     an iterable of :class:`SourcePhoto`
``tracker``       ``run``, the folder of a training, options  a :data:`Tracker`
================  ==========================================  =========================================

A plugin that cannot do its work raises :class:`PluginError` with one line that says what to do; a reader raises
:class:`DataError` for what is wrong with the data. The tests of a plugin call :mod:`hierpets.plugin.testing`, and
:mod:`hierpets.plugin.reading` has what readers share. This module is light: it imports neither torch nor anything that
decodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from hierpets.errors import DataError, PluginError
from hierpets.messages.catalogue import say, spoken
from hierpets.validation.strict import StrictModel

if TYPE_CHECKING:
    import torch

__all__ = [
    "Advice",
    "Backbone",
    "Case",
    "DataError",
    "Guard",
    "Interpolation",
    "Labels",
    "Offer",
    "PluginError",
    "Preprocess",
    "PretrainedBreed",
    "PretrainedHead",
    "SourcePhoto",
    "Tracker",
    "say",
    "spoken",
]

Channels = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]
Guard = Callable[[], AbstractContextManager[None]]
Tracker = Callable[[Mapping[str, Any]], None]
"""Called with every event of a training as it is logged; ``event["event"]`` names it, the last one is ``end``."""
Interpolation = Literal["adaptive", "nearest", "bilinear", "bicubic", "lanczos"]


class Preprocess(StrictModel):
    """How a photo is turned into the network's input: everything that affects a pixel. It is stored with the model, so
    that training, evaluation, prediction and serving agree, and an older bundle keeps its own preprocessing.

    The shorter side is resized to ``size / crop``, then the center ``size`` x ``size`` is cut out; with
    ``resize="squash"`` the whole photo is resized to ``size`` x ``size`` without keeping its aspect ratio.
    """

    size: int = Field(default=224, ge=16, le=2048, description="side of the square input, in pixels")
    crop: float = Field(default=0.875, gt=0.1, le=1.0, description="share of the shorter side that is kept")
    resize: Literal["crop", "squash"] = Field(default="crop", description="cut the center out, or squash the photo")
    interpolation: Interpolation = Field(
        default="adaptive",
        description="adaptive: area above a factor of 2, bilinear down to 1, bicubic when enlarging (OpenCV); "
        "bilinear, bicubic, lanczos: with antialiasing (Pillow), as timm's models are trained; nearest",
    )
    decode_margin: float = Field(
        default=1.25,
        ge=1.0,
        le=1000.0,
        description="a JPEG may be decoded smaller, but not below this many times what is resized",
    )
    mean: Channels = Field(default=(0.485, 0.456, 0.406), description="subtracted from each channel, in [0, 1]")
    std: tuple[Positive, Positive, Positive] = Field(
        default=(0.229, 0.224, 0.225), description="what each channel is then divided by"
    )

    @property
    def shorter_side(self) -> int:
        """Length of the shorter side before the crop, in pixels."""
        return self.size if self.resize == "squash" else round(self.size / self.crop)

    @property
    def decoded_side(self) -> int:
        """Smallest length of the shorter side that a decoder may return, in pixels."""
        return math.ceil(self.decode_margin * self.shorter_side)


class PretrainedBreed(NamedTuple):
    """A breed that a pretrained class stands for, and other labels that a data set may use for it."""

    species: str
    label: str
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True)
class PretrainedHead:
    """The classifier that a backbone was pretrained with. It knows more animals than a taxonomy lists.

    ``head`` maps the first ``head.in_features`` features to the logits of the K pretraining classes.
    ``species_classes`` lists the class indices of each species: ``{"dog": range(151, 269)}``. Both help to distinguish
    a pet of a known breed from everything else; include ``"horse"``: a horse is easily taken for an unusual pet.
    ``breeds`` maps a class index to its breed, or to several breeds that the class does not tell apart: with the
    setting ``pretrained_breeds``, training adds them to the taxonomy. For ImageNet-1k, use
    :data:`hierpets.plugin.imagenet.BREEDS`.
    """

    head: torch.nn.Linear
    species_classes: Mapping[str, Sequence[int]]
    breeds: Mapping[int, Sequence[PretrainedBreed]] = field(default_factory=dict)


@dataclass(frozen=True)
class Backbone:
    """A feature extractor: ``module`` maps float32 [B, 3, size, size] to float32 [B, feature_dim].

    hierpets switches it to evaluation mode. A plugin with a ``pretrained`` option is called with ``pretrained=False``
    when a bundle brings its own weights, so that loading a bundle never downloads anything.

    ``guard`` is set by hierpets: an error raised while the network runs inside ``with backbone.guard():`` becomes a
    :class:`PluginError` that names the plugin and its file.
    """

    module: torch.nn.Module
    feature_dim: int
    preprocess: Preprocess
    pretrained_head: PretrainedHead | None = None
    guard: Guard = field(default=nullcontext, repr=False, compare=False)


@dataclass(frozen=True)
class Labels:
    """The labels of the N training photos, as a sampler gets them.

    ``species`` int64 [N] holds species indices, ``leaf`` int64 [N] leaf indices, -1 where the breed is unknown.
    ``groups`` int64 [N] numbers the individuals: photos of the same animal share a number and are held out together.
    It is None if no individuals are known.
    """

    species: np.ndarray
    leaf: np.ndarray
    species_names: tuple[str, ...]
    leaf_names: tuple[str, ...]
    groups: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.species)

    @property
    def breed_known(self) -> np.ndarray:
        """bool [N]; also true where the species has no breeds."""
        return self.leaf >= 0

    @property
    def classes(self) -> np.ndarray:
        """Class of each photo, int64 [N]: its leaf, or if the breed is unknown, an extra class of its species, numbered
        after the leaves.
        """
        return np.where(self.breed_known, self.leaf, len(self.leaf_names) + self.species)

    def where(self, rows: np.ndarray) -> Labels:
        """Select photos by a mask (bool [N]) or by their indices (int [M])."""
        groups = None if self.groups is None else self.groups[rows]
        return replace(self, species=self.species[rows], leaf=self.leaf[rows], groups=groups)


@dataclass(frozen=True)
class Offer:
    """A product of the catalog, with its three probabilities for this pet.

    ``suits`` is the probability mass of the breeds that the product is made for, ``avoid`` that of the breeds it does a
    poor job on, ``harm`` the probability that the pet belongs to a species that must never touch it. ``species``,
    ``coats`` and ``skin`` are what it is made for; empty means all. ``contains`` holds the plain names of its
    ingredients. ``price`` is in the currency of the catalog. A product ``on_request`` is chosen only if a rule asks
    for it.
    """

    name: str
    suits: float
    avoid: float
    harm: float
    species: tuple[str, ...]
    coats: tuple[str, ...]
    skin: tuple[str, ...]
    contains: tuple[str, ...]
    price: float
    on_request: bool


@dataclass(frozen=True)
class Case:
    """What a shampoo rule gets: the whole calibrated distribution, not only the most probable class.

    ``species`` maps a species to its probability, ``breeds`` maps ``(species, breed)`` to its joint probability
    (``breed`` is None for a species without breeds); both sum to one.
    ``level`` is the level of the prediction. ``coats`` maps a coat type to the probability mass of the breeds that have
    it, ``skin`` maps a skin note to that of the breeds prone to it. ``offers`` maps every product's id to its
    :class:`Offer`. ``unlisted`` is the probability of a breed that is not listed.
    ``beside`` maps a species to the probability that another animal in the photo belongs to it. It is empty if no other
    animal is known: they are looked for if regions or boxes are given, and before recommending a product that harms
    some animal; the rules are then called once more.
    ``ingredients`` maps every name and alias of an ingredient to the name that is used in :attr:`Offer.contains`.
    """

    species: Mapping[str, float]
    breeds: Mapping[tuple[str, str | None], float]
    level: Literal["breed", "species", "unknown"]
    coats: Mapping[str, float]
    skin: Mapping[str, float] = field(default_factory=dict)
    offers: Mapping[str, Offer] = field(default_factory=dict)
    unlisted: float = 0.0
    beside: Mapping[str, float] = field(default_factory=dict)
    ingredients: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Advice:
    """One vote of a rule on one product, by its id: add ``score`` to it, or ``veto`` it. ``"*"`` means every product.

    Before the rules are applied, a product that certainly suits has a score of 1. The product with the highest total
    above zero wins; a veto is final. No score can bring back a product that harms a species that the pet may belong to.
    ``reason`` is a whole sentence for the owner, in their language if :func:`say` knows it.
    """

    product: str
    reason: str
    score: float = 0.0
    veto: bool = False


def _name(field: str, value: Any) -> str:
    """Return the text of a field; empty for a missing value."""
    if value is None or value != value:  # pandas writes a missing value as NaN
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list | tuple | dict | bool):
        raise DataError(f"{field}: expected a name, got {value!r}")
    return str(value)


STATED = ("species", "breed", "label", "split", "individual")
"""What a source may state about a photo: the names of columns and fields."""


@dataclass(frozen=True)
class SourcePhoto:
    """One photo that a reader found, and what the source states about it.

    ``path`` is a file, or the address of a photo inside one: ``ARCHIVE.tar:MEMBER``, ``TABLE.parquet:COLUMN:ROW``; each
    may be a URI. The class is ``species`` with or without ``breed``, or else a ``label`` ``"SPECIES/BREED"``; a photo
    without a class can be predicted, but not trained on. ``split`` is ``train``, ``val`` or ``test``. ``individual``
    identifies the animal: all photos of it are held out together. ``where`` is the place that messages name instead of
    the path: the ``FILE:LINE`` that lists the photo. ``problem`` is one line that says why the photo's class cannot be
    determined, or why no photos can be found in a file that should contain some: ``predict`` goes on, with a record
    under ``path``; commands that need labels refuse it.
    """

    path: str
    species: str | None = None
    breed: str | None = None
    label: str | None = None
    split: str | None = None
    where: str | None = None
    individual: str | None = None
    problem: str | None = None

    @classmethod
    def of(cls, path: str, fields: Mapping[str, Any], *, where: str | None = None) -> SourcePhoto:
        """Create a photo from the fields ``species``, ``breed``, ``label``, ``split`` and ``individual`` of a row.
        Empty fields are left out; a list, a mapping or a bool instead of a name becomes its ``problem``.
        """
        try:
            found = {name: _name(name, fields.get(name)) for name in STATED}
        except DataError as error:
            return cls(path, where=where, problem=str(error))
        return cls(path, where=where, **{name: value for name, value in found.items() if value})
