"""All that a plugin may import from hierpets.

A plugin is a function in a Python file, listed in ``registry.yaml``. Its keyword arguments are its options. What it
takes and gives back depends on its kind:

================  ==========================================  =========================================
kind              called with                                 returns
================  ==========================================  =========================================
``backbone``      options                                     :class:`Backbone`
``sampler``       :class:`Labels`, then options               float [N], one positive weight a photo
``shampoo_rule``  :class:`Case`, then options                 an iterable of :class:`Advice`
================  ==========================================  =========================================

A plugin that cannot do what it was asked raises :class:`PluginError` with a line that says what to do. This module
is light: it imports neither torch nor anything that decodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from hierpets.errors import PluginError

if TYPE_CHECKING:
    import torch

__all__ = ["Advice", "Backbone", "Case", "Knowledge", "Labels", "Offer", "PluginError", "Preprocess"]

Channels = tuple[float, float, float]


class Preprocess(BaseModel):
    """How an RGB photo becomes the network's input. The model carries it, so train, evaluate and predict agree.

    The shorter side is resized to ``size / crop``, then the centre ``size`` x ``size`` is cut out; with
    ``resize="squash"`` the whole photo is resized to ``size`` x ``size`` and its aspect ratio is lost.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(default=224, ge=16, le=2048)
    crop: float = Field(default=0.875, gt=0.1, le=1.0)
    resize: Literal["crop", "squash"] = "crop"
    mean: Channels = (0.485, 0.456, 0.406)
    std: Channels = (0.229, 0.224, 0.225)

    @property
    def shorter_side(self) -> int:
        """Pixels of the shorter side before the crop; a decoder need not give more."""
        return self.size if self.resize == "squash" else round(self.size / self.crop)


@dataclass(frozen=True)
class Knowledge:
    """What a backbone was pretrained to tell apart: more animals than a taxonomy lists.

    ``head`` maps the first ``head.in_features`` columns of the features to the logits of the K classes. ``kinds`` names
    the classes that show a species: ``{"dog": range(151, 269)}``. Both help to tell a stranger from a pet.
    """

    head: torch.nn.Linear
    kinds: Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Backbone:
    """A feature extractor: ``module`` maps float32 [B, 3, size, size] to float32 [B, feature_dim].

    It is handed on in evaluation mode. A backbone with a ``pretrained`` option is called with ``pretrained=False``
    when a bundle brings its own weights, so that loading a bundle never downloads.
    """

    module: torch.nn.Module
    feature_dim: int
    preprocess: Preprocess
    knowledge: Knowledge | None = None


@dataclass(frozen=True)
class Labels:
    """What a sampler sees: the labels of the N training photos.

    ``species`` int64 [N] holds species indices, ``leaf`` int64 [N] leaf indices, -1 where the breed is unknown.
    """

    species: np.ndarray
    leaf: np.ndarray
    species_names: tuple[str, ...]
    leaf_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.species)


@dataclass(frozen=True)
class Offer:
    """A product as this pet meets it: three probabilities, and what is written on the bottle.

    ``suits`` is the probability mass of the breeds that the product is made for, ``avoid`` that of the breeds it does a
    poor job on, ``harm`` the probability that the pet belongs to a species that must never touch it. ``species``,
    ``coats`` and ``skin`` are what it is made for; empty means all. ``contains`` holds the plain names of its
    ingredients. A product ``on_request`` is chosen only when a rule asks for it.
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
    """What a shampoo rule sees: the whole calibrated distribution, never the winner alone.

    ``species`` maps a species to its probability, ``breeds`` maps ``(species, breed)`` to its joint probability
    (``breed`` is None for a species without breeds); both sum to one, given that the pet is of a known species.
    ``level`` is the level of the answer. ``coats`` maps a coat type to the probability mass of the breeds that wear it,
    ``skin`` a skin note to that of the breeds prone to it. ``offers`` maps every product's id to its :class:`Offer`.
    ``novelty`` is the probability of no known species at all, ``unlisted`` that of a breed that is not listed.
    """

    species: Mapping[str, float]
    breeds: Mapping[tuple[str, str | None], float]
    level: Literal["breed", "species", "unknown"]
    coats: Mapping[str, float]
    skin: Mapping[str, float] = field(default_factory=dict)
    offers: Mapping[str, Offer] = field(default_factory=dict)
    novelty: float = 0.0
    unlisted: float = 0.0


@dataclass(frozen=True)
class Advice:
    """One word of a rule on one product, by its id: add ``score`` to it, or ``veto`` it. ``"*"`` means every product.

    A product that suits surely scores 1 before any rule speaks. The highest sum above zero wins; a veto is final. No
    score brings back what is harmful to a species that the pet may be. ``reason`` is a whole sentence for the owner.
    """

    product: str
    reason: str
    score: float = 0.0
    veto: bool = False
