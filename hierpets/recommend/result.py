"""A recommendation: the product, the reasons, and what every rule had to do with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hierpets.plugin import Advice
from hierpets.recommend.care import Product

__all__ = ["Recommendation", "RuledOut", "Step"]


@dataclass(frozen=True)
class Step:
    """What one rule said, and which product was in front after it (None: none)."""

    rule: str
    advice: tuple[Advice, ...]
    leader: str | None

    def to_json(self) -> dict[str, Any]:
        said = [{**asdict(advice), "score": round(advice.score, 6)} for advice in self.advice]
        return {"rule": self.rule, "leader": self.leader, "advice": said}


@dataclass(frozen=True)
class RuledOut:
    """A product that would have scored above zero, and why it was not allowed."""

    product: str
    name: str
    reason: str

    def to_json(self) -> dict[str, str]:
        return {"product": self.product, "name": self.name, "reason": self.reason}


@dataclass(frozen=True)
class Recommendation:
    """The answer. ``product`` is None when nothing can be recommended in good conscience; ``reason`` says so kindly.

    ``rule`` is the rule that spoke most for the product, or took every product away. ``confidence`` is the probability
    mass of the breeds that the product suits; ``coats`` maps a coat type to its share. ``steps`` are the rules in
    their order, with the effect of each.
    """

    product: Product | None
    reason: str
    rule: str
    confidence: float
    coats: dict[str, float]
    ruled_out: tuple[RuledOut, ...]
    steps: tuple[Step, ...]
    currency: str = "EUR"

    def to_json(self, *, explain: bool = False) -> dict[str, Any]:
        """A JSON object; ``explain`` adds what each rule said."""
        price = self.product and {"amount": self.product.price, "currency": self.currency}
        return {
            "product": self.product and self.product.id,
            "name": self.product and self.product.name,
            "reason": self.reason,
            "rule": self.rule,
            "confidence": round(self.confidence, 6),
            "price": price,
            "coats": {coat: round(share, 6) for coat, share in self.coats.items()},
            "ruled_out": [one.to_json() for one in self.ruled_out],
            **({"explain": [step.to_json() for step in self.steps]} if explain else {}),
        }
