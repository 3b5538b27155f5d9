"""Convert predictions to records, for files and HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hierpets.hierarchy.decision import Decision
from hierpets.inference.record import (
    BreedProbability,
    LabelProbability,
    OODScores,
    PhotoError,
    PredictionRecord,
    RankedLeaf,
    RegionRecord,
    ThresholdsRecord,
)
from hierpets.taxonomy import Leaf

if TYPE_CHECKING:
    from hierpets.inference.prediction import Prediction, Region

__all__ = ["record_of", "record_of_region"]


def record_of(prediction: Prediction) -> PredictionRecord:
    """The record of a prediction, as described in ``docs/output.md``."""
    regions, error = prediction.regions, prediction.error
    # Not validated again: the parts have been already, and a path may hold bytes that are not valid text.
    return PredictionRecord.model_construct(
        path=prediction.path,
        model=prediction.model,
        second_look=prediction.second_look,
        regions=None if regions is None else tuple(map(record_of_region, regions)),
        warning=prediction.warning,
        error=None if error is None else PhotoError.model_construct(type=type(error).__name__, message=str(error)),
        **_answer(prediction),
    )


def record_of_region(region: Region) -> RegionRecord:
    """The record of one animal, a part of the record of its photo."""
    return RegionRecord.model_construct(box=region.box, box_score=region.box_score, **_answer(region.prediction))


def _answer(prediction: Prediction) -> dict[str, Any]:
    """The fields of :class:`~hierpets.inference.record.AnswerRecord`."""
    d = prediction.decision
    common: dict[str, Any] = {
        "thresholds": ThresholdsRecord.model_construct(**prediction.thresholds._asdict()),
        "recommendation": prediction.recommendation,
    }
    if d is None:
        empty: dict[str, Any] = dict.fromkeys(("level", "species", "breed", "stage", "source", "reason", "scores"))
        return {**common, **empty, "breeds": (), "top": ()}
    known, named = prediction.species is not None, d.level == "breed"
    return dict(
        **common,
        level=d.level,
        species=LabelProbability.model_construct(label=d.species, probability=d.species_probability) if known else None,
        breed=_breed(prediction, Leaf(d.species, d.breed), d.breed_probability) if named else None,
        breeds=tuple(_breed(prediction, leaf, probability) for leaf, probability in d.breeds),
        top=tuple(_ranked(prediction, leaf, probability) for leaf, probability in (d.top if known else ())),
        stage=prediction.stage,
        source=d.source,
        reason=d.reason,
        scores=_scores(prediction, d),
    )


def _breed(prediction: Prediction, leaf: Leaf, probability: Any) -> BreedProbability:
    origin = prediction.origins.get(leaf, "trained")
    return BreedProbability.model_construct(label=str(leaf.breed), probability=probability, origin=origin)


def _ranked(prediction: Prediction, leaf: Leaf, probability: Any) -> RankedLeaf:
    origin = prediction.origins.get(leaf, "trained")
    return RankedLeaf.model_construct(species=leaf.species, breed=leaf.breed, probability=probability, origin=origin)


def _scores(prediction: Prediction, decision: Decision) -> OODScores | None:
    if prediction.pet_score is None:
        return None
    return OODScores.model_construct(pet=prediction.pet_score, listed=decision.listed)
