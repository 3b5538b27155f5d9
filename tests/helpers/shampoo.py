"""What the tests of recommend share: distributions by name, and rules from plain functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from hierpets.plugin import Advice, Case
from hierpets.taxonomy import Taxonomy


@dataclass(frozen=True)
class PlainRule:
    """A rule that needs no registry."""

    name: str
    function: Callable[[Case], Iterable[Advice]]

    @property
    def where(self) -> str:
        return f"shampoo_rule {self.name!r}"

    def call(self, case: Case) -> Iterable[Advice]:
        return self.function(case)


def always(name: str, *advice: Advice) -> PlainRule:
    return PlainRule(name, lambda case: advice)


def mass(taxonomy: Taxonomy, **shares: float) -> np.ndarray:
    """float [L]: ``siamese=0.3`` by breed, or by species where a species has no breeds; must sum to one."""
    joint = np.array([shares.pop(leaf.breed or leaf.species, 0.0) for leaf in taxonomy.leaves])
    assert not shares, f"not in the taxonomy: {shares}"
    assert abs(joint.sum() - 1) < 1e-9
    return joint
