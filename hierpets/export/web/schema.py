"""``model/model.LANGUAGE.json``: all that an exported page knows of a bundle but its weights.

The scripts of the page hold rules alone; every number and every sentence is here. Their types are named alike.
"""

from __future__ import annotations

from collections.abc import Sequence

from hierpets.bundle.identity import ModelId
from hierpets.bundle.info import SpeciesThresholds
from hierpets.bundle.manifest import Origin
from hierpets.hierarchy.probabilities import Combiner
from hierpets.plugin import Preprocess
from hierpets.recommend.result import Price, Recommendation, RuledOut
from hierpets.validation.strict import StrictModel

__all__ = [
    "About",
    "BystanderRules",
    "DetectorRules",
    "Network",
    "NetworkTemperatures",
    "OpinionRules",
    "PageAdvice",
    "PageCapabilities",
    "PageRecommendation",
    "ProductChoice",
    "Rules",
    "ScoresByLevel",
    "SecondLookRules",
    "Species",
    "WebLeaf",
    "WebModel",
]


class PageCapabilities(StrictModel):
    """What the page can do besides predicting; as the server's."""

    explain: bool = False
    feedback: bool = False
    recommend: bool = True
    regions: bool = False


class About(StrictModel):
    """What the page says of the model; the keys of the server's ``/v1/model``."""

    hierpets_version: str
    model: ModelId
    taxonomy: dict[str, tuple[str, ...]]
    capabilities: PageCapabilities = PageCapabilities()


class NetworkTemperatures(StrictModel):
    """Of the species head, and of the breed heads [S]."""

    species: float
    breeds: tuple[float, ...]


class Network(StrictModel):
    """One network; an early one answers where it is more certain than its ``threshold``."""

    file: str
    preprocess: Preprocess
    temperatures: NetworkTemperatures
    threshold: float


class Species(StrictModel):
    """A species, its leaves ``first`` to ``end`` - 1, and what an answer must exceed; ``others``: whether it is known
    what its other breeds look like; ``grown``: whether none of its leaves was trained.
    """

    name: str
    first: int
    end: int
    thresholds: SpeciesThresholds
    others: bool
    grown: bool


class WebLeaf(StrictModel):
    """A leaf; ``grown`` is what its probability must exceed besides the threshold of its species."""

    species: int
    breed: str | None
    origin: Origin
    grown: float


class Rules(StrictModel):
    """What a decision is made by."""

    species: tuple[Species, ...]
    leaves: tuple[WebLeaf, ...]
    combiner: Combiner
    ood: bool
    doubt: float
    unsure: float
    max_set: int
    top_k: int


class OpinionRules(StrictModel):
    """Places among the detector's animals: those that speak for a pet, and against one."""

    pets: tuple[int, ...]
    others: tuple[int, ...]


class AnimalRules(StrictModel):
    """How much a photo looks like the ``animal`` at this place among the detector's: linear in the features [D]."""

    animal: int
    weights: tuple[float, ...]
    bias: float


class DetectorRules(StrictModel):
    """The detector's ``file``, which sees squares of ``size`` pixels, and what is made of its boxes: the numbers of
    :mod:`hierpets.regions.detections`. ``animals`` [S] are the places of the species among its animals; what is cut out
    has a ``margin``.
    """

    file: str
    size: int
    animals: tuple[int | None, ...]
    least_score: float
    least_side: float
    shared: float
    margin: float


class SecondLookRules(StrictModel):
    """When a photo is looked at again, and what is made of what the detector sees: the numbers of
    :mod:`hierpets.hierarchy.second_look`, :mod:`hierpets.inference.detector` and :mod:`hierpets.regions`.

    ``pets`` are places among the detector's animals, and ``opinions`` [S] what is heard on photos that are taken for
    each species. ``animals`` are what the pretrained head says of others. ``least`` is the least pet score of a pet;
    ``closer``: whether the main network is asked again.
    """

    pets: tuple[int, ...]
    opinions: tuple[OpinionRules, ...]
    animals: tuple[AnimalRules, ...]
    least: float
    heard_below: float
    like: float
    alike: float
    lead: float
    unseen: float
    weight: float
    closer: bool
    large: float


class BystanderRules(StrictModel):
    """What may be an animal beside the pet: the numbers of :mod:`hierpets.inference.detector.bystanders`."""

    least_seen: float
    least_shown: float
    most_boxes: int
    view: tuple[float, float]


class ProductChoice(StrictModel):
    """The places of three recommendations for an answer: where every other species is all but ruled out, where it may
    be of one, and where one may be beside it: nothing that is recommended may hurt that.
    """

    sure: int
    unsure: int
    beside: int


class PageRecommendation(StrictModel):
    """What is the same of a recommendation for every photo with one answer. ``sentences`` are its reason: where several
    breeds are left open, those that all of them have. ``harms`` are the species that the product may hurt.
    """

    product: str | None
    name: str | None
    sentences: tuple[str, ...]
    rule: str
    price: Price | None
    ruled_out: tuple[RuledOut, ...]
    harms: tuple[int, ...]

    @classmethod
    def of(cls, found: Recommendation, harms: Sequence[int]) -> PageRecommendation:
        record = found.record()
        return cls(
            product=record.product,
            name=record.name,
            sentences=found.sentences,
            rule=found.rule,
            price=record.price,
            ruled_out=record.ruled_out,
            harms=tuple(harms),
        )


class ScoresByLevel(StrictModel):
    """The scores of products [L + S][P] where a breed is named, and where none is."""

    breed: tuple[tuple[float, ...], ...]
    species: tuple[tuple[float, ...], ...]


class PageAdvice(StrictModel):
    """Recommendations for every answer, and how well products suit each leaf and each species' other breeds.

    ``leaves`` [L] have one each; ``species`` [S] several: what suits an unsure breed, every other product that some of
    its leaves get, and nothing. ``judged`` [S]: whether the probability that the breed is listed is known. ``suits``
    [L + S][P] and ``coats`` [L + S][C] as in :class:`hierpets.recommend.suitability.SuitabilityMatrix`. ``scores``
    [L + S][P]: what rules and expected value come to for such a pet, by the level of the answer. ``vetoed`` [L + S][P]:
    whether a rule vetoes the product for it; ``tolerated`` [P]: the share of such pets up to which it does not.
    """

    bound: float
    recommendations: tuple[PageRecommendation, ...]
    leaves: tuple[ProductChoice, ...]
    species: tuple[tuple[ProductChoice, ...], ...]
    unknown: int
    judged: tuple[bool, ...]
    products: tuple[str, ...]
    suits: tuple[tuple[float, ...], ...]
    coat_types: tuple[str, ...]
    coats: tuple[tuple[float, ...], ...]
    scores: ScoresByLevel
    vetoed: tuple[tuple[bool, ...], ...]
    tolerated: tuple[float, ...]


class WebModel(StrictModel):
    """The whole file; ``scripts`` is the digest of those that it is written for. A photo is decoded with a shorter side
    of at least ``decoded_side`` pixels, and ``detail`` times as large where parts of it are looked at.
    """

    scripts: str
    about: About
    networks: tuple[Network, ...]
    decoded_side: int
    detail: int
    rules: Rules
    detector: DetectorRules | None
    second_look: SecondLookRules | None
    bystanders: BystanderRules
    advice: PageAdvice
