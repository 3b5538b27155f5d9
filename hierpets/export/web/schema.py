"""The schema of ``model/model.LANGUAGE.json``: all that an exported page knows of a bundle, except the weights.

The page's scripts contain only logic; all numbers and sentences are in this file. Types in the scripts have the same
names.
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
    """What the page can do besides predicting; the same keys as the server's capabilities."""

    explain: bool = False
    feedback: bool = False
    recommend: bool = True
    regions: bool = False


class About(StrictModel):
    """What the page shows about the model; the same keys as in the server's ``/v1/model``."""

    hierpets_version: str
    model: ModelId
    taxonomy: dict[str, tuple[str, ...]]
    capabilities: PageCapabilities = PageCapabilities()


class NetworkTemperatures(StrictModel):
    """Temperatures of the species head, and of the breed heads [S]."""

    species: float
    breeds: tuple[float, ...]


class Network(StrictModel):
    """One network; an early one answers if it is more certain than its ``threshold``."""

    file: str
    preprocess: Preprocess
    temperatures: NetworkTemperatures
    threshold: float


class Species(StrictModel):
    """A species with its leaves ``first`` to ``end`` - 1 and the thresholds of its answers. ``others`` says whether the
    model knows what its unlisted breeds look like; ``grown`` whether none of its leaves was trained.
    """

    name: str
    first: int
    end: int
    thresholds: SpeciesThresholds
    others: bool
    grown: bool


class WebLeaf(StrictModel):
    """A leaf; ``grown`` is a threshold that its probability must exceed in addition to that of its species."""

    species: int
    breed: str | None
    origin: Origin
    grown: float


class Rules(StrictModel):
    """The rules and thresholds of a decision."""

    species: tuple[Species, ...]
    leaves: tuple[WebLeaf, ...]
    combiner: Combiner
    ood: bool
    pet_score_band: float
    sure_breed: float
    max_set: int
    top_k: int


class OpinionRules(StrictModel):
    """Indices of the detector's animals that are evidence for a pet, and against one."""

    pets: tuple[int, ...]
    others: tuple[int, ...]


class AnimalRules(StrictModel):
    """How much a photo looks like the detector's animal with index ``animal``: linear in the features [D]."""

    animal: int
    weights: tuple[float, ...]
    bias: float


class DetectorRules(StrictModel):
    """The detector's ``file``, the side ``size`` of its square input in pixels, and how its boxes are used: the numbers
    of :mod:`hierpets.regions.detections`. ``animals`` [S] are the indices of the species among its animals; crops have
    a ``margin``.
    """

    file: str
    size: int
    animals: tuple[int | None, ...]
    min_score: float
    min_side: float
    max_overlap: float
    margin: float


class SecondLookRules(StrictModel):
    """When a photo is looked at again, and how detections are used: the numbers of
    :mod:`hierpets.hierarchy.second_look`, :mod:`hierpets.inference.detector` and :mod:`hierpets.regions`.

    ``pets`` are indices of the detector's animals; ``opinions`` [S] are the animals that count as evidence for photos
    predicted as each species. ``animals`` are the likenesses to other animals by the pretrained head.
    ``pet_threshold`` is the lowest pet score of a pet; ``closer`` says whether the main network is run again on a crop.
    """

    pets: tuple[int, ...]
    opinions: tuple[OpinionRules, ...]
    animals: tuple[AnimalRules, ...]
    pet_threshold: float
    max_certainty: float
    min_likeness: float
    sure_likeness: float
    min_lead: float
    allowed_logit: float
    weight: float
    closer: bool
    max_share: float


class BystanderRules(StrictModel):
    """When a detection may be an animal beside the pet, by :mod:`hierpets.inference.detector.bystanders`."""

    min_score: float
    min_probability: float
    max_boxes: int
    view: tuple[float, float]


class ProductChoice(StrictModel):
    """The indices of three recommendations for an answer: ``sure`` if every other species is all but ruled out,
    ``unsure`` if the pet may be of another one, and ``beside`` if an animal of another one may be beside it. The last
    two recommend nothing that may harm that species.
    """

    sure: int
    unsure: int
    beside: int


class PageRecommendation(StrictModel):
    """The part of a recommendation that is the same for every photo with the same answer. ``sentences`` are its reason;
    for a set of breeds, those that all of them have in common. ``harms`` are the species that the product may harm.
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
    """The scores of products [L + S][P] for answers at breed level and at species level."""

    breed: tuple[tuple[float, ...], ...]
    species: tuple[tuple[float, ...], ...]


class PageAdvice(StrictModel):
    """Recommendations for every answer, and how well products suit each leaf and the unlisted breeds of each species.

    - ``leaves`` [L] have one choice each; ``species`` [S] several: the one for an uncertain breed, every other product
      that some of its leaves get, and no product.
    - ``knows_listed`` [S] says whether the probability that the breed is listed is known.
    - ``suits`` [L + S][P] and ``coats`` [L + S][C] are as in
      :class:`hierpets.recommend.suitability.SuitabilityMatrix`.
    - ``scores`` [L + S][P] are the total scores of rules and expected value for such a pet, by level of the answer.
    - ``vetoed`` [L + S][P] says whether a rule vetoes the product for such a pet; ``veto_threshold`` [P] is the
      probability of such pets up to which it does not, and ``vetoes`` [P] are the reasons above it.
    """

    bound: float
    recommendations: tuple[PageRecommendation, ...]
    leaves: tuple[ProductChoice, ...]
    species: tuple[tuple[ProductChoice, ...], ...]
    unknown: int
    knows_listed: tuple[bool, ...]
    products: tuple[str, ...]
    suits: tuple[tuple[float, ...], ...]
    coat_types: tuple[str, ...]
    coats: tuple[tuple[float, ...], ...]
    scores: ScoresByLevel
    vetoed: tuple[tuple[bool, ...], ...]
    veto_threshold: tuple[float, ...]
    vetoes: tuple[RuledOut | None, ...]


class WebModel(StrictModel):
    """The whole file. ``scripts`` is the digest of the scripts that it is written for. A photo is decoded with a
    shorter side of at least ``decoded_side`` pixels, or ``detail`` times that if parts of it are looked at.
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
