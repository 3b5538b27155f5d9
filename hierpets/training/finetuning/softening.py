"""Closed-form heads are far too sure; trained on from there, a network learns from little but its mistakes."""

from __future__ import annotations

from hierpets.hierarchy.calibration import Temperatures
from hierpets.model.heads import Heads, Linear
from hierpets.taxonomy import Taxonomy

__all__ = ["apply_temperatures"]


def apply_temperatures(heads: Heads, temperatures: Temperatures, taxonomy: Taxonomy) -> Heads:
    """Heads whose logits are those of ``heads`` divided by the temperatures: no answer changes within a level."""
    weights = temperatures.apply(heads.species.weight.T, heads.leaf.weight.T, taxonomy)
    biases = temperatures.apply(heads.species.bias[None], heads.leaf.bias[None], taxonomy)
    species, leaf = (
        Linear(weight.T.astype("float32"), bias[0].astype("float32"))
        for weight, bias in zip(weights, biases, strict=True)
    )
    return Heads(species=species, leaf=leaf)
