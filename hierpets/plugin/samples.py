"""Examples of the labels, cases and events that hierpets passes to samplers, shampoo rules and trackers.

Each is keyed by the words that describe it in a message.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from hierpets.plugin import Case, Labels, Offer

__all__ = ["SHELF", "sample_cases", "sample_events", "sample_labels"]

Leaf = tuple[str, str | None]

BEAGLE: Leaf = ("dog", "beagle")
PUG: Leaf = ("dog", "pug")
SIAMESE: Leaf = ("cat", "siamese")
RABBIT: Leaf = ("rabbit", None)
SPECIES, COATS, SKIN = ("cat", "dog", "rabbit"), ("short_smooth", "short_double"), ("sensitive", "folds")
TRAITS: dict[Leaf, tuple[str, ...]] = {  # its coat and its skin notes
    SIAMESE: ("short_smooth",),
    BEAGLE: ("short_double",),
    PUG: ("short_smooth", "sensitive", "folds"),
    RABBIT: (),
}
EVERYDAY = Offer(
    name="Gentle Everyday",
    suits=0.0,
    avoid=0.0,
    harm=0.0,
    species=("cat", "dog"),
    coats=(),
    skin=(),
    contains=("coco_glucoside", "glycerin", "panthenol"),
    price=9.9,
    on_request=False,
)
# Some of the built-in products; a test compares them with plugins/shampoo/products.yaml.
SHELF: dict[str, Offer] = {
    "gentle_everyday": EVERYDAY,
    "smooth_shine": replace(
        EVERYDAY,
        name="Smooth Shine",
        species=("dog",),
        coats=("short_smooth",),
        contains=("coco_glucoside", "hydrolysed_silk", "fragrance"),
        price=10.9,
    ),
    "fold_care": replace(
        EVERYDAY,
        name="Fold Care",
        species=("dog",),
        skin=("folds",),
        contains=("coco_glucoside", "allantoin"),
        price=11.5,
    ),
    "flea_guard": replace(
        EVERYDAY,
        name="Flea Guard",
        species=("dog",),
        contains=("coco_glucoside", "permethrin"),
        price=15.9,
        on_request=True,
    ),
}
# Some of the built-in ingredients: what products contain, and what rules ask for.
INGREDIENTS: Mapping[str, str] = MappingProxyType(
    {
        **{name: name for offer in SHELF.values() for name in offer.contains},
        **{name: name for name in ("d_limonene", "essential_oils", "tea_tree_oil")},
        "perfume": "fragrance",
    }
)


def sample_labels() -> dict[str, Labels]:
    """Labels of cats (leaves 0 and 1), dogs (2 to 4) and rabbits, which have no breeds (5)."""
    return {
        "for labels of many breeds": _labels([0, 0, 0, 0, 1, 2, 2, 3, 4, 5], [0, 0, 0, 0, 0, 1, 1, 1, 1, 2]),
        "for labels of which some breeds are unknown": _labels([0, 1, 2, -1, -1, -1], [0, 0, 1, 0, 1, 1]),
        "for labels whose breeds are all unknown": _labels([-1, -1, -1], [0, 1, 1]),
        "for labels of one breed": _labels([4, 4, 4], [1, 1, 1]),
        "for labels of which some are of one individual": _labels([0, 2, 2, 2, -1], [0, 1, 1, 1, 1], [0, 1, 1, 3, 4]),
        "for a single label": _labels([5], [2]),
    }


def sample_cases() -> dict[str, Case]:
    """Cases with a certain, an uncertain and an unknown breed, of one species and of several, and without products."""
    undecided = {BEAGLE: 0.5, PUG: 0.5}
    return {
        "for a dog of a certain breed": _case({PUG: 1.0}),
        "for a cat of a certain breed": _case({SIAMESE: 1.0}),
        "for a dog of two likely breeds": _case({BEAGLE: 0.6, PUG: 0.4}),
        "for a dog that may be a cat": _case({PUG: 0.7, SIAMESE: 0.3}),
        "for a dog of uncertain breed": _case(undecided, "species", unlisted=0.5),
        "for a species without breeds": _case({RABBIT: 1.0}, "species"),
        "for an unknown animal": _case({BEAGLE: 0.4, PUG: 0.3, SIAMESE: 0.3}, "unknown"),
        "for a shelf without products": _case(undecided, shelf={}),
    }


def _labels(leaf: list[int], species: list[int], groups: list[int] | None = None) -> Labels:
    """Labels in read-only arrays: a sampler must not change the labels that training continues with."""
    names = ("birman", "siamese", "beagle", "boxer", "pug", "rabbit")
    return Labels(_read_only(species), _read_only(leaf), SPECIES, names, _read_only(groups) if groups else None)


def _read_only(numbers: list[int]) -> np.ndarray:
    array = np.array(numbers)
    array.flags.writeable = False
    return array


def _case(
    breeds: Mapping[Leaf, float],
    level: Literal["breed", "species", "unknown"] = "breed",
    *,
    unlisted: float = 0.0,
    shelf: Mapping[str, Offer] = SHELF,
) -> Case:
    """A case with the probability masses that follow from its breeds, read-only as the recommender passes it."""
    joint: dict[Leaf, float] = {**dict.fromkeys(TRAITS, 0.0), **breeds}
    cat = sum(p for leaf, p in joint.items() if leaf[0] == "cat")
    offers = {
        name: replace(
            offer,
            suits=sum(p for leaf, p in joint.items() if _suits(offer, leaf)),
            harm=cat if name == "flea_guard" else 0.0,
        )
        for name, offer in shelf.items()
    }
    return Case(
        species=_masses(SPECIES, {leaf: leaf[:1] for leaf in TRAITS}, joint),
        breeds=MappingProxyType(joint),
        level=level,
        coats=_masses(COATS, TRAITS, joint),
        skin=_masses(SKIN, TRAITS, joint),
        offers=MappingProxyType(offers),
        unlisted=unlisted,
        ingredients=INGREDIENTS,
    )


def _masses(names: Collection[str], traits: Mapping[Leaf, Any], breeds: Mapping[Leaf, float]) -> Mapping[str, float]:
    """Probability mass of the breeds that have each of the named traits."""
    return MappingProxyType({name: sum(p for leaf, p in breeds.items() if name in traits[leaf]) for name in names})


def _suits(offer: Offer, leaf: Leaf) -> bool:
    fits = [not wanted or bool({*wanted} & {*TRAITS[leaf]}) for wanted in (offer.coats, offer.skin)]
    return leaf[0] in offer.species and all(fits)


def sample_events() -> dict[str, tuple[dict[str, Any], ...]]:
    """The events that trainings log, keyed by the kind of training."""
    start = {"event": "data", "seconds": 0.1, "source": "pets", "train": 80, "val": 20}
    # Epoch 0 is before fine-tuning and has no loss; a training without breeds has no breed accuracy.
    epochs = [
        {"event": "epoch", "seconds": 9.0 + n, "epoch": n, **loss, "species": 0.9, "breed": breed, "nll": 0.4}
        for n, loss, breed in ((0, {}, 0.7), (1, {"loss": 0.9}, None), (2, {"loss": 0.45}, 0.8))
    ]
    metrics = {"event": "metrics", "seconds": 20.0, "on": "validation", "species": 0.97, "breed": 0.85}
    bundle = {"event": "bundle", "seconds": 21.0, "path": "runs/pets/bundle"}
    end = {"event": "end", "seconds": 21.0}
    return {"a training that is fine-tuned": (start, *epochs, metrics, bundle, end), "one that stops at once": (end,)}
