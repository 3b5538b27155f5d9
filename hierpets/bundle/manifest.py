"""``bundle.json``: everything about a bundle except its weights. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator
from pydantic_core import from_json

import hierpets
from hierpets.bundle.layout import GRAPH, MANIFEST, STATISTICS, WEIGHTS, early_files, incomplete_bundle
from hierpets.errors import BundleError, reason_of
from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.early import MAX_EARLY
from hierpets.hierarchy.likeness import OtherAnimal
from hierpets.hierarchy.outputs import Calibration
from hierpets.hierarchy.policy import Policy
from hierpets.hierarchy.probabilities import Combiner, Prior
from hierpets.plugin import Preprocess
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.validation.problems import problem_lines
from hierpets.validation.strict import PlainName, PrintableText, StrictModel

__all__ = [
    "SCHEMA_VERSION",
    "BackboneSpec",
    "EarlyNetwork",
    "Manifest",
    "NetworkSpec",
    "OODSpec",
    "Origin",
    "Selection",
    "StatisticsSpec",
    "manifest_text",
    "read_manifest",
]

SCHEMA_VERSION: Literal[4] = 4
"""Raised whenever predictions of an older bundle would change: other pixels, or other results from the same pixels."""


class BackboneSpec(StrictModel):
    """Which plugin builds the backbone, with which options."""

    name: PlainName
    options: dict[str, Any] = {}
    feature_dim: int = Field(ge=1)


Origin = Literal["trained", "grown", "pretrained"]
"""How a leaf was learned: in a training, from photos added to a bundle, or from the backbone's pretraining alone."""

Count = Annotated[int, Field(ge=0, le=100_000)]  # bounded, as memory is allocated before the weights are read


class OODSpec(StrictModel):
    """The shapes of :class:`hierpets.model.ood.OODScorer`.

    ``classes`` and ``species`` are the numbers of trained leaves and of species. ``pretrained_classes`` and
    ``pretrained_features`` are those of the pretrained head (0 without one); ``species_classes`` and ``breed_classes``
    are how many of its classes show a known species, or a breed. ``grown_species`` are the indices of the species
    without a trained leaf, and ``trained_classes`` is how many classes of the pretrained head show one of the other
    species; empty and 0 if every species was trained. ``species_evidence``: whether the pretrained head contributes to
    the prediction of the species.
    """

    classes: Count
    species: Count
    pretrained_classes: Count = 0
    pretrained_features: Count = 0
    species_classes: Count = 0
    breed_classes: Count = 0
    grown_species: tuple[Count, ...] = ()
    trained_classes: Count = 0
    species_evidence: bool = False

    @model_validator(mode="after")
    def _every_grown_species_is_one(self) -> OODSpec:
        if any(species >= self.species for species in self.grown_species):
            raise ValueError(f"grown_species: expected numbers below {self.species}, got {self.grown_species}")
        return self


class StatisticsSpec(StrictModel):
    """The content of a network's statistics file, and how heads are fitted to it."""

    photos: dict[str, Annotated[int, Field(ge=1)]] = Field(description="by class, in the order of the file's rows")
    shrinkage: float = Field(ge=0, le=1)
    prior: Prior = "uniform"
    sha256: str


Sampled = tuple[float, ...]


class EarlyNetwork(StrictModel):
    """A network that runs before the main one, and answers the photos that it is sure of."""

    backbone: BackboneSpec
    preprocess: Preprocess
    ood: OODSpec | None = None
    temperatures: Temperatures = Temperatures()
    threshold: float = Field(
        ge=0, le=1, description="what the probability of its best leaf must exceed for it to answer"
    )
    share: float = Field(ge=0, le=1, description="of the photos that calibrated the model, how many it answered")
    statistics: StatisticsSpec | None = Field(default=None, description="as those of the main network")
    sampled: Sampled = Field(default=(), description="as those of the main network")


Share = Annotated[float, Field(ge=0, le=1)]


class Selection(StrictModel):
    """The result of the comparison by which backbone and heads were selected."""

    compared: Annotated[int, Field(ge=1)]
    accuracy: Share = Field(description="balanced accuracy out of fold, of the one that was chosen")
    stressed: Share | None = Field(description="the same on photos corrupted as in the stress test")
    nested_accuracy: Share = Field(
        description="balanced accuracy by nested cross-validation: on each fold, of what the other folds choose"
    )
    interval: tuple[Share, Share] = Field(description="95% interval of that")
    behind: Annotated[float, Field(ge=0)] = Field(description="how far the chosen one is behind the best")
    error: Annotated[float, Field(ge=0)] = Field(description="standard error of that difference")
    finetuned: bool = Field(
        default=False, description="whether the network was fine-tuned afterwards: the numbers are those before"
    )

    def __str__(self) -> str:
        low, high = self.interval
        before = "before fine-tuning: " if self.finetuned else ""
        if self.compared == 1:
            return f"{before}balanced accuracy of {self.accuracy:.1%} ({low:.1%} to {high:.1%}) out of fold"
        return (
            f"{before}chosen among {self.compared} with a balanced accuracy of {self.accuracy:.1%} out of fold; "
            f"{self.nested_accuracy:.1%} ({low:.1%} to {high:.1%}) on folds that the choice did not see"
        )


PARTS = ("backbone", "preprocess", "ood", "temperatures", "statistics", "sampled")
"""Fields that the manifest has for each network, the main one and early ones."""


@dataclass(frozen=True)
class NetworkSpec:
    """One network of a bundle: its files, and everything it is built from.

    It answers the photos of which it is more certain than ``threshold``; that of the main network is 0, as it answers
    all that are left.
    """

    weights: str
    graph: Path
    statistics_file: str
    backbone: BackboneSpec
    preprocess: Preprocess
    ood: OODSpec | None
    temperatures: Temperatures
    statistics: StatisticsSpec | None
    sampled: Sampled
    threshold: float = 0.0


def _parts(network: Manifest | EarlyNetwork) -> dict[str, Any]:
    return {name: getattr(network, name) for name in PARTS}


class Manifest(StrictModel):
    """The content of ``bundle.json``. It holds no date, so that training with the same seed gives the same bundle."""

    schema_version: Literal[4] = 4
    hierpets_version: PrintableText = hierpets.__version__
    version: PrintableText | None = Field(default=None, description="Version of the model, if it has one.")
    taxonomy: Taxonomy
    origins: tuple[Origin, ...] = Field(default_factory=lambda known: _all_trained(known.get("taxonomy")))
    preprocess: Preprocess
    backbone: BackboneSpec
    combiner: Combiner = "conditional"
    temperatures: Temperatures = Temperatures()
    ood: OODSpec | None = None
    policy: Policy = Policy()
    early: tuple[EarlyNetwork, ...] = Field(
        default=(), max_length=MAX_EARLY, description="Networks that are asked before the main one, in this order."
    )
    second_look: bool = Field(
        default=False,
        description="Whether small animals are looked at again in photos that leave doubt.",
    )
    other_animals: tuple[OtherAnimal, ...] = Field(
        default=(),
        description="What the pretrained head says of animals that are no pets; none where it names none of them, and "
        "in an older bundle.",
    )
    statistics: StatisticsSpec | None = Field(
        default=None, description="Statistics of the classes; None if the heads cannot be fitted again."
    )
    sampled: Sampled = Field(
        default=(),
        description="Features of one photo, by which a plugin that computes others is known; none in an older bundle.",
    )
    selection: Selection | None = Field(default=None, description="How it was chosen; None where nothing was compared.")
    forgotten: dict[str, int] = Field(
        default={},
        description="Classes that were forgotten, and how many entries `seen.bin` had by then: those count no more.",
    )
    versions: dict[str, str] = {}
    training: dict[str, Any] = {}

    @property
    def pretrained(self) -> frozenset[Leaf]:
        """The leaves that are known from pretraining alone."""
        pairs = zip(self.taxonomy.leaves, self.origins, strict=True)
        return frozenset(leaf for leaf, origin in pairs if origin == "pretrained")

    @property
    def grown_species(self) -> frozenset[str]:
        """The species without a trained leaf, learned only from photos that were added to the bundle."""
        trained = {
            leaf.species for leaf, origin in zip(self.taxonomy.leaves, self.origins, strict=True) if origin == "trained"
        }
        return frozenset(self.taxonomy.species) - trained

    @property
    def learned(self) -> np.ndarray:
        """The leaves that were learned from photos, in training or later, bool [L]."""
        return np.array([origin != "pretrained" for origin in self.origins])

    @property
    def calibration(self) -> Calibration:
        """The calibration of the main network."""
        return Calibration(self.taxonomy, self.temperatures, self.combiner)

    @model_validator(mode="after")
    def _every_leaf_has_an_origin(self) -> Manifest:
        if len(self.origins) != len(self.taxonomy.leaves):
            raise ValueError(f"origins: expected one for each of {len(self.taxonomy.leaves)} leaves")
        return self

    @model_validator(mode="after")
    def _other_animals_take_all_features(self) -> Manifest:
        if any(len(animal.weights) != self.backbone.feature_dim for animal in self.other_animals):
            raise ValueError(f"other_animals: expected a weight for each of {self.backbone.feature_dim} features")
        return self

    @model_validator(mode="after")
    def _every_network_scores(self) -> Manifest:
        if any((early.ood is None) != (self.ood is None) for early in self.early):
            raise ValueError("early: expected an OOD scorer in every network, or in none: one threshold is for all")
        return self

    @property
    def networks(self) -> tuple[NetworkSpec, ...]:
        """All networks in the order of the cascade; the main one is the last."""
        early = (
            NetworkSpec(*early_files(number), **_parts(one), threshold=one.threshold)
            for number, one in enumerate(self.early)
        )
        return (*early, NetworkSpec(WEIGHTS, GRAPH, STATISTICS, **_parts(self)))

    def alone(self, stage: int) -> Manifest:
        """The manifest for one network alone, which then answers every photo."""
        own = self if stage == len(self.early) else self.early[stage]
        return self.model_copy(update={**_parts(own), "early": ()})

    def with_statistics(self, specs: Sequence[StatisticsSpec]) -> Manifest:
        """The manifest with other statistics of each network."""
        return self._with_each("statistics", specs)

    def with_sampled(self, sampled: Sequence[Sampled]) -> Manifest:
        """The manifest with other sampled features of each network."""
        return self._with_each("sampled", sampled)

    def _with_each(self, part: str, values: Sequence[Any]) -> Manifest:
        *own, main = values
        early = (one.model_copy(update={part: value}) for one, value in zip(self.early, own, strict=True))
        return self.model_copy(update={"early": tuple(early), part: main})

    @property
    def decoded_side(self) -> int:
        """Fewest pixels of the shorter side of a decoded photo that suffice for every network."""
        return max(network.preprocess.decoded_side for network in self.networks)


def manifest_text(manifest: Manifest) -> str:
    """The manifest as JSON text: one key per line, and lists of numbers on one line."""
    text = manifest.model_dump_json(indent=2)
    rows = re.sub(
        r"\[[-+.\deE,\s]*\]", lambda row: re.sub(r"\s+", " ", row[0]).replace("[ ", "[").replace(" ]", "]"), text
    )
    return rows + "\n"


def _all_trained(taxonomy: Taxonomy | None) -> tuple[Origin, ...]:
    return tuple("trained" for _ in taxonomy.leaves) if taxonomy else ()


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a bundle.

    :raises BundleError: there is no bundle, or it is damaged, or of another schema.
    """
    path = folder / MANIFEST
    if not path.is_file():
        inside = folder / "bundle"
        is_run = (inside / MANIFEST).is_file()
        hint = f"did you mean {inside}?" if is_run else "`hierpets train` writes one to RUN/bundle"
        raise incomplete_bundle(folder, f"no bundle here (no {MANIFEST} in it); {hint}")
    try:
        content = from_json(path.read_bytes())
        _check_version(path, content)
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise BundleError("\n".join(problem_lines(error, Manifest, path))) from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {reason_of(error)}") from error
    except (ValueError, RecursionError) as error:  # nested too deep, or a number of too many digits
        raise BundleError(f"{path}: not JSON: {error}") from error


def _check_version(path: Path, content: Any) -> None:
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version == SCHEMA_VERSION:
        return
    if version in (1, 2, 3):
        # Their predictions cannot be reproduced: 1 did not record its resize, 2 and 3 had other thresholds.
        raise BundleError(
            f"{path}: written by an older hierpets (schema {version}, this one reads {SCHEMA_VERSION}); train it again"
        )
    raise BundleError(
        f"{path}: schema version {version!r}, this hierpets reads {SCHEMA_VERSION}; use the version that wrote it"
    )
