"""The schema of ``metrics.json``: the one definition for computing, writing, reading and documenting metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, Field, field_validator

from hierpets.bundle.identity import ModelId
from hierpets.evaluation.metrics.resampling import exact_interval
from hierpets.validation.strict import StrictModel

__all__ = [
    "METRICS_FILE",
    "AllNodeTruth",
    "AnswerShares",
    "Bootstrap",
    "BreedOfSpecies",
    "ClassCurves",
    "ClassScores",
    "ConfusionMatrix",
    "HierarchyMetrics",
    "LevelMetrics",
    "MajorityClass",
    "Metrics",
    "NodeTruth",
    "OODMetrics",
    "OODScoreMetrics",
    "PrecisionRecallCurve",
    "ReliabilityBin",
    "ReliabilityMetrics",
    "RiskCurve",
    "RocCurve",
    "SeenMetrics",
    "SelectiveLevel",
    "SelectiveMetrics",
    "SpeciesNodeTruth",
    "StressMean",
    "StressMetrics",
    "StressScores",
    "StressStep",
]


def _without_rounding_error(value: Any) -> Any:
    """Clip a share to 1: sums may exceed it by a rounding error."""
    return min(value, 1.0) if isinstance(value, float) and value < 1 + 1e-9 else value


Share = Annotated[float, BeforeValidator(_without_rounding_error), Field(ge=0, le=1)]
METRICS_FILE = "metrics.json"
Positive = Annotated[float, Field(ge=0)]
Interval = tuple[float | None, float | None]


class _MetricsModel(StrictModel):
    """Accepts NumPy values. NaN and infinity, which JSON lacks, become None."""

    @field_validator("*", mode="before")
    @classmethod
    def _to_json_values(cls, value: Any) -> Any:
        return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _about(text: str) -> Any:
    return Field(description=text)


def _effective_n() -> Any:
    return Field(
        default=None,
        description="Effective sample size (Kish 1965): photos of one animal count for less than as many of different "
        "animals; null where an older version measured.",
    )


class Bootstrap(_MetricsModel):
    resamples: int = _about("Resamples behind each interval.")
    resampled: Literal["photos", "individuals"] = Field(
        default="photos",
        description="What is drawn: photos, or animals with all of theirs where the data tells which show one animal.",
    )
    seed: int = _about("Seed of the resampling.")
    confidence: Share = _about("Confidence level of every interval.")


class MajorityClass(_MetricsModel):
    label: str = _about("The class with the most photos.")
    accuracy: Share = _about("Accuracy of always predicting the class with the most photos: the baseline to beat.")


class ClassScores(_MetricsModel):
    support: int = _about("Photos of the class.")
    recall: Share = _about("Fraction of its photos that are predicted as it; 0 without photos.")
    recall_interval: tuple[Share, Share] | None = _about("95% Wilson interval of the recall; null without photos.")
    effective_n: float | None = _effective_n()
    precision: Share = _about("Fraction of the photos predicted as this class that belong to it; 0 if there are none.")
    f1: Share = _about("Harmonic mean of precision and recall; 0 without photos.")
    roc_auc: Share | None = _about("Area under ROC against the rest; null unless there are photos of it and of others.")
    pr_auc: Share | None = _about("Average precision against the rest; null as above.")

    @property
    def effective_size(self) -> float:
        """Effective sample size; the number of photos in results of an older version."""
        return self.support if self.effective_n is None else self.effective_n

    def recall_among(self, classes: int) -> tuple[float, float]:
        """Interval of the recall, widened so that the intervals of so many classes hold at once."""
        return exact_interval(self.recall * self.effective_size, self.effective_size, among=classes)


class ConfusionMatrix(_MetricsModel):
    labels: tuple[str, ...] = _about("Names of rows and columns, in the taxonomy's order.")
    counts: tuple[tuple[int, ...], ...] = _about("Rows: the true class. Columns: the predicted class.")


class RocCurve(_MetricsModel):
    fpr: tuple[Share, ...] = _about("False positive rates, ascending.")
    tpr: tuple[Share, ...] = _about("True positive rates.")


class PrecisionRecallCurve(_MetricsModel):
    recall: tuple[Share, ...] = _about("Recalls, ascending.")
    precision: tuple[Share, ...] = _about("Precisions.")


class ClassCurves(_MetricsModel):
    roc: RocCurve = _about("At most 101 points of the ROC curve.")
    pr: PrecisionRecallCurve = _about("At most 101 points of the precision-recall curve.")


class ReliabilityBin(_MetricsModel):
    low: Share = _about("Confidences above this.")
    high: Share = _about("Confidences up to this.")
    n: int = _about("Photos in the bin.")
    effective_n: float | None = _effective_n()
    confidence: Share | None = _about("Their mean confidence; null when the bin is empty.")
    accuracy: Share | None = _about("Their accuracy; null when the bin is empty.")
    accuracy_interval: tuple[Share, Share] | None = _about("Its 95% Wilson interval; null when the bin is empty.")

    @property
    def effective_size(self) -> float:
        """Effective sample size; the number of photos in results of an older version."""
        return self.n if self.effective_n is None else self.effective_n


class ReliabilityMetrics(_MetricsModel):
    mean_confidence: Share = _about("Mean top-1 probability; above the accuracy means overconfident.")
    bins: tuple[ReliabilityBin, ...] = _about("15 bins of equal width.")


class LevelMetrics(_MetricsModel):
    n: int = _about("Photos.")
    majority_class: MajorityClass
    per_class: dict[str, ClassScores] = _about("By class: a species, or species/breed.")
    worst_classes: tuple[str, ...] = _about("The five classes of lowest recall that have photos, the worst first.")
    confusion_matrix: ConfusionMatrix
    curves: dict[str, ClassCurves | None] = _about("By class; null where the areas are null.")
    macro_roc_auc: Share | None = _about("Mean of the classes' ROC areas that are not null.")
    macro_pr_auc: Share | None = _about("Mean of the classes' average precisions that are not null.")
    log_loss: Positive = _about("Mean of -ln P(true class), P clipped at 2.2e-16.")
    brier: Positive = _about("Mean over photos of the squared error summed over classes: 0 to 2.")
    top3_accuracy: Share | None = _about(
        "Share of photos whose true class is among the top 3; null with three classes or fewer."
    )
    ece: Share = _about("Mean gap between confidence and accuracy over the bins, weighted by photos.")
    macro_recall: Share = _about("Mean recall over the classes that are true or predicted at least once.")
    macro_precision: Share = _about("Mean precision over the same classes.")
    macro_f1: Share = _about("Mean F1 over the same classes.")
    balanced_accuracy: Share = _about("Mean recall over the classes that have photos.")
    mcc: float = _about(
        "Correlation of true and predicted classes (Matthews; Gorodkin 2004), -1 to 1; 0 when undefined."
    )
    calibration: ReliabilityMetrics
    intervals: dict[str, Interval] = _about(
        "95% bootstrap interval of each number above that averages over photos; of accuracy, top-3 and balanced "
        "accuracy as wide as Wilson's at least."
    )
    accuracy: Share = _about("Share of photos whose top-1 class is the true one.")


class BreedOfSpecies(_MetricsModel):
    n: int = _about("Photos whose breed is labeled.")
    accuracy_given_species: Share = _about("Breed accuracy among the breeds of the true species.")
    accuracy: Share = _about("Breed accuracy among all leaves.")


class HierarchyMetrics(_MetricsModel):
    n_species: int = _about("Photos behind cross_species_error: all.")
    cross_species_error: Share = _about("Share of photos whose most probable leaf is of another species.")
    n: int = _about("Photos whose full path is labeled: those behind the numbers below, which are null without any.")
    precision: Share | None = _about(
        "Hierarchical precision of the most probable leaf: sets of a node and its ancestors, without the root."
    )
    recall: Share | None = _about("Hierarchical recall of the most probable leaf.")
    f1: Share | None = _about("Hierarchical F1 of the most probable leaf.")
    decided_precision: Share | None = _about("The same of the returned prediction; null when every one is unknown.")
    decided_recall: Share | None = _about("The same of the returned prediction; unknown names nothing.")
    decided_f1: Share | None = _about("The same of the returned prediction.")
    mistake_severity: Positive | None = _about(
        "Mean height of the lowest common ancestor over the mistakes: 1 breed, 2 species."
    )
    distance_at_1: Positive | None = _about("Mean of that height over all photos, most probable leaf.")
    distance_at_3: Positive | None = _about("Mean of that height over the top 3 leaves.")
    full_path_accuracy: Share | None = _about("Species and breed both right.")
    intervals: dict[str, Interval] = _about(
        "95% bootstrap intervals of the numbers above; of full-path accuracy and cross-species error as wide as "
        "Wilson's at least."
    )


class AnswerShares(_MetricsModel):
    n: int = _about("Photos.")
    breed: Share = _about("Share predicted at breed level.")
    species: Share = _about("Share predicted at species level.")
    unknown: Share = _about('Share predicted as "unknown".')


class NodeTruth(_MetricsModel):
    n_judged: int = _about("Photos whose prediction can be judged.")
    holds_truth: Share | None = _about('The prediction is the label or an ancestor of it; "unknown" always is.')
    holds_truth_interval: tuple[Share, Share] | None = _about("Its 95% Wilson interval.")
    right_when_answered: Share | None = _about('The same without "unknown".')

    def keeps(self, alpha: float) -> bool | None:
        """Whether at most ``alpha`` of the answers are wrong; None if the interval allows both."""
        low, high = self.holds_truth_interval or (0.0, 1.0)
        return True if low >= 1 - alpha else False if high < 1 - alpha else None


class SpeciesNodeTruth(NodeTruth, AnswerShares):
    pass


class AllNodeTruth(NodeTruth):
    n_not_judged: int = _about("Breed predictions of the correct species on photos whose breed is not labeled.")
    per_species: dict[str, SpeciesNodeTruth] = _about("By true species.")


class SetTruth(_MetricsModel):
    n: int = _about("Photos whose breed is labeled.")
    share: Share | None = _about("Share answered by a set of breeds.")
    mean_size: float | None = _about("Mean number of breeds in a set; null when there are none.")
    holds_truth: Share | None = _about("Share of the sets that hold the true breed.")
    holds_truth_interval: tuple[Share, Share] | None = _about("Its 95% Wilson interval.")


class RiskCurve(_MetricsModel):
    coverage: tuple[Share, ...] = _about("Share of photos kept, the most confident first; at most 101 points.")
    risk: tuple[Share, ...] = _about("Error rate among them.")


class SelectiveLevel(_MetricsModel):
    n: int = _about("Photos.")
    coverage: Share = _about("Share whose prediction names the level (a breed names its species too).")
    risk: Share | None = _about("Error rate among those; null when there are none.")
    aurc: Share = _about(
        "Error rate of the most confident photos, averaged over how many of them are kept (Geifman et al. 2019)."
    )
    accuracy_at_coverage: dict[str, Share] = _about("Accuracy on the most confident 80, 90 and 95% of the photos.")
    curve: RiskCurve


class SelectiveMetrics(_MetricsModel):
    alpha: float | None = Field(
        default=None,
        description="The share of answers that may be wrong, as the model promises: `node.holds_truth` should be 1 - "
        "alpha at least. Null where no photo calibrated its thresholds, or where an older version measured.",
    )
    answers: AnswerShares
    node: AllNodeTruth
    breed_sets: SetTruth
    species: SelectiveLevel
    breed: SelectiveLevel | None = _about("Null when no breed is labeled.")

    @property
    def broken(self) -> dict[str, NodeTruth]:
        """Where the photos show that the promise of alpha is broken: over all photos, with the key ``""``, or else for
        single species, with their names as keys.
        """
        if self.alpha is None:
            return {}
        if self.node.keeps(self.alpha) is False:
            return {"": self.node}
        return {name: found for name, found in self.node.per_species.items() if found.keeps(self.alpha) is False}

    @property
    def by_level(self) -> dict[str, SelectiveLevel]:
        """The levels that were measured: ``species``, and ``breed`` if breeds are labeled."""
        return {name: found for name, found in (("species", self.species), ("breed", self.breed)) if found}


class OODScoreMetrics(_MetricsModel):
    n: int = _about("Out-of-distribution photos: no known pet.")
    auroc: Share = _about("Area under ROC of the pet score, pets against out-of-distribution photos.")
    fpr_at_95_tpr: Share = _about(
        "Share of out-of-distribution photos that pass the threshold which 95% of the pets pass."
    )
    rejected: Share = _about('Share of them predicted as "unknown".')


class OODMetrics(OODScoreMetrics):
    n_pets: int = _about("Photos of pets.")
    threshold_at_95_tpr: float = _about("That threshold.")
    pets_rejected: Share = _about('Share of the pets predicted as "unknown".')
    per_kind: dict[str, OODScoreMetrics] = _about("By what they show.")


class StressScores(_MetricsModel):
    species: Share = _about("Species accuracy.")
    breed: Share | None = _about("Breed accuracy, the most probable leaf of all; null when no breed is labeled.")
    named: Share = _about("Share predicted at breed level.")
    holds_truth: Share | None = _about('The prediction is the label or an ancestor of it; "unknown" always is.')
    unknown: Share = _about('Share predicted as "unknown": for a photo of a pet, a false alarm.')

    @property
    def finest(self) -> float:
        """Accuracy at the finest labeled level."""
        return self.species if self.breed is None else self.breed


class StressStep(StressScores):
    kind: str = _about("What is done to the photos.")
    step: int = _about("1 to 3, the gentlest first.")
    setting: str = _about("How much of it, in words.")


class StressMean(StressScores):
    step: int = _about("1 to 3.")
    loss: float = _about(
        "Accuracy on the unchanged photos less this one, of breeds where they are labeled, else of species."
    )
    loss_interval: Interval = _about("Its 95% bootstrap interval over the photos.")


class StressMetrics(_MetricsModel):
    n: int = _about("Photos, drawn with as many of each class as there are.")
    side: int = _about("Pixels of their shorter side at most, before anything is done to them.")
    unchanged: StressScores = _about("Of these photos as they are at that size.")
    mean: tuple[StressMean, ...] = _about("By step, the mean over all kinds.")
    steps: tuple[StressStep, ...] = _about("Kind by kind, step by step.")

    @property
    def middle(self) -> StressMean:
        """The mean at step 2, the one to look at first."""
        return next(mean for mean in self.mean if mean.step == 2)

    @property
    def worst(self) -> StressStep:
        """The kind with the lowest accuracy at step 2."""
        return min((step for step in self.steps if step.step == 2), key=lambda step: step.finest)


class SeenMetrics(_MetricsModel):
    n: int = _about("Photos among those given that the model was fitted to.")
    left_out: bool = _about("Whether they were left out, as they are unless it is asked for them.")


class Metrics(_MetricsModel):
    """``metrics.json``."""

    schema_version: Literal[2] = Field(default=2, description="Raised when a key is removed or changes its meaning.")
    model: ModelId | None = Field(default=None, description="The measured model; null where it was not written yet.")
    about: dict[str, str] = _about("What was measured, in words: data, split.")
    taxonomy: dict[str, tuple[str, ...]] = _about("Species in order, each with its breeds in order.")
    n: int = _about("Photos.")
    n_breed_known: int = _about("Photos whose breed is labeled.")
    bootstrap: Bootstrap
    species: LevelMetrics
    breed: LevelMetrics | None = _about("The most probable leaf of all; null when no breed is labeled.")
    breed_given_species: LevelMetrics | None = _about(
        "The most probable breed of the true species; areas are among photos of that species."
    )
    breed_by_species: dict[str, BreedOfSpecies] = _about("By true species.")
    hierarchy: HierarchyMetrics
    selective: SelectiveMetrics
    ood: OODMetrics | None = _about("Null without out-of-distribution photos, or without pet scores.")
    stress: StressMetrics | None = Field(default=None, description="Null without a stress test.")
    seen: SeenMetrics | None = Field(
        default=None, description="Null where the model does not say which photos it was fitted to."
    )

    @property
    def by_level(self) -> dict[str, LevelMetrics]:
        """The levels that were measured: ``species``, and ``breed`` if breeds are labeled."""
        return {name: found for name, found in (("species", self.species), ("breed", self.breed)) if found}
