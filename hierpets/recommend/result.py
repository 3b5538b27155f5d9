"""A recommendation as callers see it: the product, the reasons, and the effect of every rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from pydantic import Field

from hierpets.messages.catalogue import say
from hierpets.plugin import Advice
from hierpets.recommend.catalog import Product
from hierpets.validation.strict import StrictModel

__all__ = ["Price", "Recommendation", "RecommendationRecord", "RuleAdvice", "RuleStep", "RuledOut", "Step"]


class Price(StrictModel):
    """What a product costs."""

    amount: float = Field(ge=0, description="in units of the currency")
    currency: str = Field(description="ISO 4217 code, such as EUR")


class RuledOut(StrictModel):
    """A product that would have scored above zero, and why it was not allowed."""

    product: str = Field(description="the product's id")
    name: str = Field(description="the product's name")
    reason: str = Field(description="why it is not recommended, a whole sentence")


class RuleAdvice(StrictModel):
    """The advice of a rule on one product."""

    product: str = Field(description="the product's id, or * for every product")
    reason: str = Field(description="a whole sentence")
    score: float = Field(description="what it adds to the product's score")
    veto: bool = Field(description="whether it rules the product out")


class RuleStep(StrictModel):
    """The advice of one rule, and the leading product after it."""

    rule: str = Field(description="the name of the rule")
    leader: str | None = Field(description="the leading product after this rule; null if none")
    advice: tuple[RuleAdvice, ...] = Field(description="the advice of the rule")


class RecommendationRecord(StrictModel):
    """The shampoo for one photo, or why there is none."""

    product: str | None = Field(description="the product's id; null if none is safe to recommend")
    name: str | None = Field(description="the product's name")
    reason: str = Field(description="why this product, or why none: whole sentences for the owner")
    rule: str | None = Field(description="the rule that decided; null when a rule failed")
    confidence: float = Field(description="probability mass of the breeds that the product suits")
    price: Price | None = Field(description="what it costs")
    coats: dict[str, float] = Field(description="coat types, each with the probability that the pet has it")
    ruled_out: tuple[RuledOut, ...] = Field(
        description="products that would have scored above zero but for a veto, the best first, and why"
    )
    error: str | None = Field(default=None, description="what failed in a shampoo rule; no product is recommended then")
    explain: tuple[RuleStep, ...] | None = Field(default=None, description="with --explain: the effect of each rule")

    @classmethod
    def failed(cls, error: str) -> RecommendationRecord:
        """No product, because a rule failed: a missing shampoo harms nobody, a wrong one might."""
        reason = say("No shampoo can be recommended for this photo: a recommendation rule failed.")
        return cls(
            product=None,
            name=None,
            reason=reason,
            rule=None,
            confidence=0.0,
            price=None,
            coats={},
            ruled_out=(),
            error=error,
        )


@dataclass(frozen=True)
class Step:
    """The advice of one rule, and the leading product after it; None if no product leads."""

    rule: str
    advice: tuple[Advice, ...]
    leader: str | None

    def record(self) -> RuleStep:
        advice = [
            RuleAdvice.model_construct(product=a.product, reason=a.reason, score=round(float(a.score), 6), veto=a.veto)
            for a in self.advice
        ]
        return RuleStep.model_construct(rule=self.rule, leader=self.leader, advice=tuple(advice))


@dataclass(frozen=True)
class Recommendation:
    """The result of :meth:`hierpets.recommend.choose.Recommender.recommend`.

    ``product`` is None if no product is safe to recommend. ``sentences`` explain the choice to the owner. ``rule`` is
    the rule that decided: it spoke most for the product, or ruled every product out. ``confidence`` is the probability
    mass of the breeds that the product suits; ``coats`` maps each coat type to the probability that the pet has it.
    ``ruled_out`` are products that would have been a benefit, the best first. ``find_steps`` computes :attr:`steps`.
    """

    product: Product | None
    sentences: tuple[str, ...]
    rule: str
    confidence: float
    coats: dict[str, float]
    ruled_out: tuple[RuledOut, ...]
    find_steps: Callable[[], tuple[Step, ...]]
    currency: str = "EUR"

    @property
    def reason(self) -> str:
        """The sentences as one text."""
        return " ".join(self.sentences)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The effect of each rule, in their order; computed on first use, as it is rarely needed."""
        return self.find_steps()

    def record(self, *, explain: bool = False) -> RecommendationRecord:
        """The record for files and HTTP; ``explain`` adds the advice of each rule."""
        # Every value has been validated already: doing it again would cost time for each photo.
        product, price = self.product, Price.model_construct
        return RecommendationRecord.model_construct(
            product=product.id if product else None,
            name=product.name if product else None,
            reason=self.reason,
            rule=self.rule,
            confidence=round(self.confidence, 6),
            price=price(amount=product.price, currency=self.currency) if product else None,
            coats={coat: round(share, 6) for coat, share in self.coats.items()},
            ruled_out=self.ruled_out,
            explain=tuple(step.record() for step in self.steps) if explain else None,
        )
