"""The request of a call, which applies to all its photos, and the decisions on the output of the networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from hierpets.bundle.manifest import Manifest
from hierpets.data.photos import Limits
from hierpets.hierarchy.decision import decide, named_probabilities
from hierpets.hierarchy.policy import Thresholds
from hierpets.hierarchy.probabilities import restrict
from hierpets.inference.advice import Adviser
from hierpets.inference.engines.cascade import CascadeOutput
from hierpets.inference.options import PredictOptions, Restriction
from hierpets.regions.files import BoxFile

__all__ = ["Request", "decide_each"]


class Request(NamedTuple):
    """Options and settings of a call. ``is_part``: its photos are parts of a photo, and get no closer second look."""

    options: PredictOptions
    restriction: Restriction | None
    thresholds: Mapping[str, Thresholds]
    keep_photos: bool
    limits: Limits
    advise: Adviser | None
    boxes: BoxFile | None = None
    is_part: bool = False

    @property
    def finds_animals(self) -> bool:
        """Whether each animal gets a prediction of its own; recommendations then depend on all of them."""
        return self.options.regions or self.boxes is not None


def decide_each(manifest: Manifest, found: CascadeOutput, request: Request) -> Iterator[dict[str, Any]]:
    """Decide each photo by the output of the networks; yields the fields of its prediction."""
    m, options, scores = manifest, request.options, found.output.scores
    joint = m.calibration.joint(found.output.outputs)
    unrestricted = closed = None
    if request.restriction is not None:
        unrestricted, closed = joint, request.restriction.closed
        # Evidence for an unlisted breed of a species is evidence against the breeds of it that the caller named.
        listed = np.where(closed & bool(m.ood), np.maximum(scores[:, 1:], np.finfo(np.float32).tiny), 1.0)
        joint = restrict(named_probabilities(joint, listed, m.taxonomy), request.restriction.leaves)
    decisions = decide(
        joint,
        m.taxonomy,
        m.policy,
        scores=scores if m.ood else None,
        max_level=options.max_level,
        max_set=options.max_set,
        unrestricted=unrestricted,
        closed=closed,
        thresholds=request.thresholds,
        top_k=options.top_k,
    )
    for i, decision in enumerate(decisions):
        yield {
            "thresholds": decision.thresholds,
            "decision": decision,
            "joint": joint[i],
            "pet_score": float(scores[i, 0]) if m.ood else None,
            "unrestricted": None if unrestricted is None else unrestricted[i],
            "stage": int(found.stage[i]),
            "second_look": found.parts.get(i),
            "objection": found.objections.get(i, 0.0),
        }
