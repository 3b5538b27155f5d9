"""What is asked of every photo of a call, and what the output of the networks comes to by it."""

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
    """What is asked of every photo of a call; ``is_part``: each is a part of a photo, and looked at once."""

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
        """Whether each animal is answered by itself; what is recommended then depends on all of them."""
        return self.options.regions or self.boxes is not None


def decide_each(manifest: Manifest, found: CascadeOutput, request: Request) -> Iterator[dict[str, Any]]:
    """What the output of the networks comes to for each photo: fields of its prediction."""
    m, options, scores = manifest, request.options, found.output.scores
    joint = m.calibration.joint(found.output.outputs)
    unrestricted = closed = None
    if request.restriction is not None:
        unrestricted, closed = joint, request.restriction.closed
        # What says that it is another breed of a species speaks against those that the caller names of it.
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
