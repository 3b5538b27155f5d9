"""A kind of frozen features, and of heads on them."""

from __future__ import annotations

from dataclasses import dataclass

from hierpets.config import BackboneChoice, HeadSpec, View

__all__ = ["FrozenChoice"]


@dataclass(frozen=True)
class FrozenChoice:
    """A backbone, the views that its features are averaged over, and the heads that are fitted to them."""

    backbone: BackboneChoice
    view: View
    head: HeadSpec

    def __str__(self) -> str:
        return f"{self.backbone}, {self.view} features, {self.head}"
