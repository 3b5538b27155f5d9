"""Choose the shampoo with the highest expected value over the whole distribution, and never a harmful one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from hierpets.errors import ConfigError, PluginError, did_you_mean
from hierpets.hierarchy.decision import Level, MaxLevel
from hierpets.messages.catalogue import number, say
from hierpets.plugin import Advice, Case, Offer
from hierpets.recommend.catalog import COAT_TYPES, Catalog, Product
from hierpets.recommend.loading import load_catalog
from hierpets.recommend.probabilities import checked_bystanders, checked_distribution, checked_species
from hierpets.recommend.result import Recommendation, RuledOut, Step
from hierpets.recommend.sentences import contraindication, no_product, other_species, reasons, top_species, unknown_pet
from hierpets.recommend.suitability import Suitability, SuitabilityMatrix
from hierpets.registry.loading import Registry
from hierpets.taxonomy import Taxonomy

__all__ = [
    "CONTRAINDICATIONS",
    "DEFAULT_BOUND",
    "EXPECTED_VALUE",
    "MAX_BOUND",
    "OTHER_SPECIES",
    "Recommender",
    "Rule",
]

DEFAULT_BOUND = 0.001
"""A product is excluded if it harms the pet with a probability above this."""

MAX_BOUND = 0.01
"""A larger bound would not be a safeguard any more."""

EXPECTED_VALUE = "expected_value"
"""Name of the step before the rules: what each product is worth by itself."""

OTHER_SPECIES, CONTRAINDICATIONS = "other_species", "contraindications"
"""Names of the steps after the rules: vetoes against products for other species, and against harmful ones."""

UNLISTED_AT_SPECIES_LEVEL = 0.5
"""Default of ``unlisted`` in :meth:`Recommender.recommend` at species level."""

# Value of a shampoo for a pet, in units of one that suits: wasted money, a poor job, or harm count against it.
SUITS, WASTED, POOR, HARM = 1.0, -0.5, -1.0, -20.0


class Rule(Protocol):
    """A shampoo rule, such as a :class:`hierpets.registry.loading.Plugin`."""

    @property
    def name(self) -> str: ...

    @property
    def where(self) -> str: ...

    def call(self, case: Case, /) -> Iterable[Advice]: ...


class Recommender:
    """Recommends products from a catalog, for any number of pets.

    :raises ConfigError: ``bound`` is not within [0, 0.01].
    """

    def __init__(self, catalog: Catalog, rules: Sequence[Rule] = (), *, bound: float = DEFAULT_BOUND) -> None:
        if not 0 <= bound <= MAX_BOUND:
            raise ConfigError(f"expected a bound on harm from 0 to {MAX_BOUND}, got {bound}")
        self.catalog, self.rules, self.bound = catalog, tuple(rules), bound
        self._matrix: SuitabilityMatrix | None = None

    @classmethod
    def load(cls, registry: Registry) -> Recommender:
        """A recommender with the rules of a registry and the catalog beside it."""
        return cls(load_catalog(registry.path), registry.of_kind("shampoo_rule"))

    def recommend(
        self,
        probabilities: np.ndarray,
        taxonomy: Taxonomy,
        level: Level,
        *,
        unlisted: float | None = None,
        beside: ArrayLike = (),
        bystanders: ArrayLike | None = None,
        looks_like: ArrayLike | None = None,
        max_level: MaxLevel = "breed",
        odds: bool = True,
    ) -> Recommendation:
        """Recommend for one pet.

        :param probabilities: float [L], calibrated joint probabilities of the taxonomy's leaves, summing to one within
            0.001. Missing mass may be any animal.
        :param level: the level of the prediction; at ``"unknown"`` no product is recommended.
        :param unlisted: the probability that the breed is not in the taxonomy, given the species. An unlisted breed is
            assumed to have the mix of coats of its species. None: 0.5 at ``"species"``, else 0.
        :param beside: float [N, S], the species probabilities of each other animal in the photo; missing mass is that
            of no known species. Products that are harmful to one of them are not recommended.
        :param bystanders: float [S], for each species the probability that an animal of it is in the photo too.
            Products that are harmful to one of them are not recommended. These need not sum to one.
        :param looks_like: float [S], the species probabilities before the caller restricted the classes. Products that
            are harmful to a species that the pet looks like are not recommended.
        :param max_level: the finest level that sentences mention.
        :param odds: whether sentences mention what the pet is, its coat and probabilities. Without, they fit any photo
            with the same answer: they hold no probability, and a coat only at breed level.
        :raises ValueError: ``probabilities`` are no distribution over the leaves, or another argument holds no
            probabilities, or not those of the species.
        :raises PluginError: a rule fails, or advises a product that is not in the catalog.
        """
        stated_unlisted = unlisted or 0.0  # the sentences do not mention an assumed value
        if unlisted is None:
            unlisted = UNLISTED_AT_SPECIES_LEVEL if level == "species" else 0.0
        joint = checked_distribution(probabilities, taxonomy)
        if not 0 <= unlisted <= 1:
            raise ValueError(f"expected unlisted to be a probability, got {unlisted}")
        nearby = checked_species("beside", beside, taxonomy)
        appearance = checked_species("looks_like", () if looks_like is None else looks_like, taxonomy)
        others = checked_bystanders(bystanders, taxonomy)
        animals = np.concatenate([nearby, appearance])
        suitability = self._matrix_of(taxonomy).weigh(joint, unlisted=unlisted, beside=animals, bystanders=others)
        near = _probabilities_beside(nearby, others, taxonomy)
        case = self._case(joint, taxonomy, suitability, level=level, unlisted=unlisted, beside=near)
        tally = _Tally(case.offers)
        looks = _read_only(taxonomy.species, appearance[0]) if len(appearance) else {}
        for rule, advice in self._advise(case, looks, odds):
            tally.apply(rule, advice)
        return self._conclude(case, tally, unlisted=stated_unlisted, max_level=max_level, odds=odds)

    def _matrix_of(self, taxonomy: Taxonomy) -> SuitabilityMatrix:
        matrix = self._matrix
        # Usually the very same object: comparing two taxonomies takes longer than weighing a photo.
        if matrix is None or (matrix.taxonomy is not taxonomy and matrix.taxonomy != taxonomy):
            matrix = self._matrix = SuitabilityMatrix.of(self.catalog, taxonomy)
        return matrix

    def _case(
        self,
        joint: np.ndarray,
        taxonomy: Taxonomy,
        suitability: Suitability,
        *,
        level: Level,
        unlisted: float,
        beside: Mapping[str, float],
    ) -> Case:
        masses = suitability.suits.tolist(), suitability.avoid.tolist(), suitability.harm.tolist()
        offers = zip(self.catalog.products.values(), *masses, strict=True)
        return Case(
            species=_read_only(taxonomy.species, suitability.species),
            breeds=_read_only(map(tuple, taxonomy.leaves), joint),
            level=level,
            coats=_read_only(COAT_TYPES, suitability.coats),
            skin=_read_only(self.catalog.skin, suitability.skin),
            offers=MappingProxyType({product.id: self._offer(product, *mass) for product, *mass in offers}),
            unlisted=unlisted,
            beside=beside,
            ingredients=MappingProxyType(self.catalog.ingredient_names),
        )

    def _offer(self, product: Product, suits: float, avoid: float, harm: float) -> Offer:
        return Offer(
            name=product.name,
            suits=suits,
            avoid=avoid,
            harm=harm,
            species=product.suits.species,
            coats=product.suits.coats,
            skin=product.suits.skin,
            contains=self.catalog.contents[product.id],
            price=product.price,
            on_request=product.on_request,
        )

    def _advise(
        self, case: Case, looks_like: Mapping[str, float], odds: bool
    ) -> Iterable[tuple[str, tuple[Advice, ...]]]:
        """The advice of each rule, in their order, then the vetoes that no rule can undo."""
        # Computed before any rule sees the case, so that no rule can change it.
        harmful = (CONTRAINDICATIONS, tuple(self._contraindications(case, looks_like, odds)))
        if case.level == "unknown":
            final = [harmful, ("unknown_pet", (Advice("*", unknown_pet(), veto=True),))]
        else:
            final = [(OTHER_SPECIES, tuple(_made_for_others(case))), harmful]
        return [(rule.name, self._advice_of(rule, case)) for rule in self.rules] + final

    def _advice_of(self, rule: Rule, case: Case) -> tuple[Advice, ...]:
        advice = tuple(rule.call(case))
        for one in advice:
            if one.product != "*" and one.product not in case.offers:
                hint = did_you_mean(one.product, case.offers) or "; add it to products.yaml"
                raise PluginError(f"{rule.where}: advises an unknown product {one.product!r}{hint}")
        return advice

    def _contraindications(self, case: Case, looks_like: Mapping[str, float], odds: bool) -> Iterable[Advice]:
        for product, offer in case.offers.items():
            if offer.harm > self.bound:
                hazards = self.catalog.hazards[product]
                why = contraindication(case, hazards, offer.species, looks_like=looks_like, bound=self.bound, odds=odds)
                yield Advice(product, why, veto=True)

    def _conclude(
        self, case: Case, tally: _Tally, *, unlisted: float, max_level: MaxLevel, odds: bool
    ) -> Recommendation:
        chosen = tally.leader()
        rule, because = tally.deciding_rule(chosen)
        product = self.catalog.products[chosen] if chosen else None
        ruled_out = [
            RuledOut.model_construct(product=p, name=case.offers[p].name, reason=tally.vetoes[p])
            for p in tally.ruled_out()
        ]
        if product is None:
            sentences: tuple[str, ...] = (because or no_product(top_species(case), self.catalog),)
        else:
            better = [one for one in ruled_out if tally.benefit(one.product) > tally.benefit(product.id)]
            missed = (
                say("{product} is ruled out: {why}", product=better[0].name, why=better[0].reason) if better else ""
            )
            sentences = reasons(
                case,
                self.catalog,
                product,
                because=because,
                missed=missed,
                unlisted=unlisted,
                max_level=max_level,
                odds=odds,
            )
        return Recommendation(
            product=product,
            sentences=sentences,
            rule=rule,
            confidence=case.offers[chosen].suits if chosen else 0.0,
            coats={coat: share for coat, share in case.coats.items() if share > 0},
            ruled_out=tuple(ruled_out),
            find_steps=tally.steps,
            currency=self.catalog.currency,
        )


class _Tally:
    """The score of each product, which starts at its expected value, and the vetoes so far.

    ``vetoes`` maps a product to the reason of the last veto against it alone.
    """

    def __init__(self, offers: Mapping[str, Offer]) -> None:
        self._offers = offers
        self._scores = {product: _expected_value(offer) for product, offer in offers.items()}
        self._applied: list[tuple[str, tuple[Advice, ...]]] = []
        self._all_vetoed = False
        self.vetoes: dict[str, str] = {}

    def apply(self, rule: str, advice: tuple[Advice, ...]) -> None:
        """Add the scores and vetoes of a rule."""
        self._applied.append((rule, advice))
        for one in advice:
            for product in self._scores if one.product == "*" else (one.product,):
                self._scores[product] += float(one.score)
            if one.veto and one.product == "*":
                self._all_vetoed = True
            elif one.veto:
                self.vetoes[one.product] = one.reason

    def benefit(self, product: str) -> float:
        """The score without the expected harm: the value of the product for a pet that it cannot hurt."""
        return self._scores[product] - HARM * self._offers[product].harm

    def ruled_out(self) -> list[str]:
        """Products with a veto of their own that would have been a benefit, the best first."""
        return sorted((p for p in self.vetoes if self.benefit(p) > 1e-9), key=lambda p: -self.benefit(p))

    def leader(self) -> str | None:
        """The product with the best score above zero; of equal ones the safest, then the cheapest. None if there is
        none.
        """
        allowed = [p for p, score in self._scores.items() if score > 0 and p not in self.vetoes]
        return min(allowed, key=self._rank) if allowed and not self._all_vetoed else None

    def steps(self) -> tuple[Step, ...]:
        """Every rule with its advice and the leader after it, found by applying all advice once more."""
        replay = _Tally(self._offers)
        steps = [Step(EXPECTED_VALUE, tuple(_expected_values(self._offers)), replay.leader())]
        for rule, advice in self._applied:
            replay.apply(rule, advice)
            steps.append(Step(rule, advice, replay.leader()))
        return tuple(steps)

    def deciding_rule(self, leader: str | None) -> tuple[str, str]:
        """The rule that decided, and its reason: the one that added most to the score of the leader; if none did, the
        last one that changed which product leads.
        """
        concerned = [(rule, a) for rule, advice in self._applied for a in advice if a.product in (leader, "*")]
        if leader is not None and concerned:
            rule, advice = max(concerned, key=lambda pair: pair[1].score)
            if advice.score > 0:
                return rule, advice.reason
        return _last_change(self.steps())

    def _rank(self, product: str) -> tuple[float, float, float, str]:
        offer = self._offers[product]
        # Scores that differ by a rounding error count as equal.
        return -round(self._scores[product], 9), offer.harm, offer.price, product


def _made_for_others(case: Case) -> Iterable[Advice]:
    """Vetoes against products that are not made for the most probable species: without one, a harmless product would
    score above zero as soon as a third of the probability mass is of its species.
    """
    species = top_species(case)
    why = other_species(species)
    return [Advice(product, why, veto=True) for product, offer in case.offers.items() if species not in offer.species]


def _probabilities_beside(beside: np.ndarray, bystanders: np.ndarray, taxonomy: Taxonomy) -> Mapping[str, float]:
    """For each species the highest probability that another animal in the photo is one; empty without other animals."""
    if not len(beside) and not bystanders.any():
        return {}
    return _read_only(taxonomy.species, np.maximum(beside.max(axis=0, initial=0.0), bystanders))


def _read_only(keys: Iterable[Any], values: np.ndarray) -> Mapping[Any, float]:
    return MappingProxyType(dict(zip(keys, values.tolist(), strict=True)))


def _expected_value(offer: Offer) -> float:
    wasted = max(0.0, 1.0 - offer.suits - offer.avoid - offer.harm)
    value = SUITS * offer.suits + WASTED * wasted + POOR * offer.avoid
    return (min(value, 0.0) if offer.on_request else value) + HARM * offer.harm


def _expected_values(offers: Mapping[str, Offer]) -> Iterable[Advice]:
    for product, offer in offers.items():
        masses = {"suits": offer.suits, "poor": offer.avoid, "harm": offer.harm}
        shown = {name: number(f"{mass:.4f}") for name, mass in masses.items()}
        yield Advice(product, say("suits {suits}, poor for {poor}, harm {harm}", **shown), score=_expected_value(offer))


def _last_change(steps: Sequence[Step]) -> tuple[str, str]:
    """The last rule that changed which product leads, and its reason if it vetoed all products."""
    last = len(steps) - 1
    while last > 0 and steps[last - 1].leader == steps[-1].leader:
        last -= 1
    return steps[last].rule, next((a.reason for a in steps[last].advice if a.veto and a.product == "*"), "")
