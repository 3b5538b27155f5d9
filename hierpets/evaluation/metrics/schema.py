"""The schema of ``metrics.json``: what every number means, said once, for the docs and for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Metrics", "field_table"]

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(ge=0)]
Interval = tuple[float | None, float | None]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


def _about(text: str) -> Any:
    return Field(description=text)


class Bootstrap(_Strict):
    resamples: int = _about("How many resamples of the photos the intervals rest on.")
    seed: int = _about("Seed of the resampling.")
    confidence: Share = _about("Level of every interval.")


class Majority(_Strict):
    label: str = _about("The class with most photos.")
    accuracy: Share = _about("Accuracy of always answering it: the baseline to beat.")


class ClassScores(_Strict):
    support: int = _about("Photos of the class.")
    recall: Share = _about("Share of its photos that are found; 0 without photos.")
    recall_interval: tuple[Share, Share] | None = _about("95 % Wilson interval of the recall; null without photos.")
    precision: Share = _about("Share of the photos called so that are so; 0 when none is called so.")
    f1: Share = _about("Harmonic mean of precision and recall; 0 without photos.")
    roc_auc: Share | None = _about("Area under ROC against the rest; null unless there are photos of it and of others.")
    pr_auc: Share | None = _about("Average precision against the rest; null as above.")


class ConfusionMatrix(_Strict):
    labels: list[str] = _about("Names of rows and columns, in the taxonomy's order.")
    counts: list[list[int]] = _about("Rows: the truth. Columns: the answer.")


class Roc(_Strict):
    fpr: list[Share] = _about("False positive rates, rising.")
    tpr: list[Share] = _about("True positive rates.")


class PrecisionRecall(_Strict):
    recall: list[Share] = _about("Recalls, rising.")
    precision: list[Share] = _about("Precisions.")


class ClassCurves(_Strict):
    roc: Roc = _about("At most 101 points of the ROC curve.")
    pr: PrecisionRecall = _about("At most 101 points of the precision-recall curve.")


class Bin(_Strict):
    low: Share = _about("Confidences above this.")
    high: Share = _about("Confidences up to this.")
    n: int = _about("Photos in the bin.")
    confidence: float | None = _about("Their mean confidence; null when the bin is empty.")
    accuracy: Share | None = _about("Their accuracy; null when the bin is empty.")
    accuracy_interval: tuple[Share, Share] | None = _about("Its 95 % Wilson interval; null when the bin is empty.")


class Calibration(_Strict):
    mean_confidence: float = _about("Mean probability of the winner; above the accuracy means over-confident.")
    bins: list[Bin] = _about("15 bins of equal width.")


class LevelMetrics(_Strict):
    n: int = _about("Photos.")
    majority_class: Majority
    per_class: dict[str, ClassScores] = _about("By class: a species, or species/breed.")
    worst_classes: list[str] = _about("The five classes of lowest recall that have photos, the worst first.")
    confusion_matrix: ConfusionMatrix
    curves: dict[str, ClassCurves | None] = _about("By class; null where the areas are null.")
    macro_roc_auc: Share | None = _about("Mean of the classes' ROC areas that are not null.")
    macro_pr_auc: Share | None = _about("Mean of the classes' average precisions that are not null.")
    log_loss: Positive = _about("Mean of -ln P(truth), P clipped at 2.2e-16.")
    brier: Positive = _about("Mean over photos of the squared error summed over classes: 0 to 2.")
    top3_accuracy: Share | None = _about("The truth is among the three likeliest; null with three classes or fewer.")
    ece: Share = _about("Expected calibration error over the bins, weighted by photos.")
    macro_recall: Share = _about("Mean recall over classes that are true or answered at least once.")
    macro_precision: Share = _about("Mean precision over the same classes.")
    macro_f1: Share = _about("Mean F1 over the same classes.")
    balanced_accuracy: Share = _about("Mean recall over classes that have photos.")
    mcc: float = _about("Matthews correlation of many classes (Gorodkin 2004), -1 to 1; 0 when undefined.")
    calibration: Calibration
    intervals: dict[str, Interval] = _about("95 % bootstrap interval of each number above that averages over photos.")
    accuracy: Share = _about("Share of photos whose winner is the truth.")


class BreedOfSpecies(_Strict):
    n: int = _about("Photos whose breed is known.")
    accuracy_given_species: Share = _about("Right among the breeds of the true species.")
    accuracy: Share = _about("Right among all leaves.")


class HierarchyMetrics(_Strict):
    n_species: int = _about("Photos of cross_species_error: all.")
    cross_species_error: Share = _about("Photos whose likeliest leaf is of another species.")
    n: int = _about("Photos whose whole path is known: those of the numbers below, which are null without any.")
    precision: Share | None = _about(
        "Hierarchical precision of the likeliest leaf: sets of node and ancestors, no root."
    )
    recall: Share | None = _about("Hierarchical recall of the likeliest leaf.")
    f1: Share | None = _about("Hierarchical F1 of the likeliest leaf.")
    decided_precision: Share | None = _about("The same of the answer given; null when none was given.")
    decided_recall: Share | None = _about("The same of the answer given; unknown names nothing.")
    decided_f1: Share | None = _about("The same of the answer given.")
    mistake_severity: Positive | None = _about(
        "Mean height of the lowest common ancestor over the mistakes: 1 breed, 2 species."
    )
    distance_at_1: Positive | None = _about("Mean of that height over all photos, likeliest leaf.")
    distance_at_3: Positive | None = _about("Mean of that height over the three likeliest leaves.")
    full_path_accuracy: Share | None = _about("Species and breed both right.")
    intervals: dict[str, Interval] = _about("95 % bootstrap intervals of the numbers above.")


class AnswerShares(_Strict):
    n: int = _about("Photos.")
    breed: Share = _about("Share answered with a breed.")
    species: Share = _about("Share answered with a species.")
    unknown: Share = _about('Share answered "unknown".')


class NodeTruth(_Strict):
    n_judged: int = _about("Photos whose answer can be judged.")
    holds_truth: Share | None = _about('The answer is the truth or an ancestor of it; "unknown" always is.')
    holds_truth_interval: tuple[Share, Share] | None = _about("Its 95 % Wilson interval.")
    right_when_answered: Share | None = _about('The same without the "unknown".')


class SpeciesNodeTruth(NodeTruth, AnswerShares):
    pass


class AllNodeTruth(NodeTruth):
    n_not_judged: int = _about("Breed answers of the right species on photos whose breed is not told.")
    per_species: dict[str, SpeciesNodeTruth] = _about("By true species.")


class RiskCurve(_Strict):
    coverage: list[Share] = _about("Share of photos answered, the surest first; at most 101 points.")
    risk: list[Share] = _about("Share of mistakes among them.")


class Trade(_Strict):
    n: int = _about("Photos.")
    coverage: Share = _about("Share whose answer names the level (a breed answer names its species too).")
    risk: Share | None = _about("Share of mistakes among those; null when there is none.")
    aurc: Share = _about("Mean risk over all coverages (Geifman et al. 2019).")
    accuracy_at_coverage: dict[str, Share] = _about("Accuracy on the surest 80, 90 and 95 % of the photos.")
    curve: RiskCurve


class Selective(_Strict):
    answers: AnswerShares
    node: AllNodeTruth
    species: Trade
    breed: Trade | None = _about("Null when no breed is known.")


class NoveltyScores(_Strict):
    n: int = _about("Photos that show no pet.")
    auroc: Share = _about("Area under ROC of the novelty score, not-pets against pets.")
    fpr_at_95_tpr: Share = _about("Share of them that pass the threshold which 95 % of the pets pass.")
    rejected: Share = _about('Share of them answered "unknown".')


class Novelty(NoveltyScores):
    n_pets: int = _about("Photos of pets.")
    threshold_at_95_tpr: float = _about("That threshold.")
    pets_rejected: Share = _about('Share of the pets answered "unknown".')
    per_kind: dict[str, NoveltyScores] = _about("By what they show.")


class Metrics(_Strict):
    """``metrics.json``."""

    schema_version: int = _about("1; changes when a key changes its meaning or goes.")
    about: dict[str, str] = _about("What was measured, in words.")
    taxonomy: dict[str, list[str]] = _about("Species in order, each with its breeds in order.")
    n: int = _about("Photos.")
    n_breed_known: int = _about("Photos whose breed is told.")
    bootstrap: Bootstrap
    species: LevelMetrics
    breed: LevelMetrics | None = _about("The likeliest leaf of all; null when no breed is known.")
    breed_given_species: LevelMetrics | None = _about(
        "The likeliest breed of the true species; areas are among photos of that species."
    )
    breed_by_species: dict[str, BreedOfSpecies] = _about("By true species.")
    hierarchy: HierarchyMetrics
    selective: Selective
    novelty: Novelty | None = _about("Null without photos of no pet, or without novelty scores.")


def field_table() -> str:
    """A Markdown table of every key, its type and its meaning."""
    lines = ["| key | type | meaning |", "|---|---|---|"]
    lines += [f"| `{key}` | {kind} | {meaning} |" for key, kind, meaning in _rows(Metrics, "", set())]
    return "\n".join(lines) + "\n"


def _rows(model: type[BaseModel], prefix: str, seen: set[type[BaseModel]]) -> Iterator[tuple[str, str, str]]:
    """The keys of a model; a model that is used again is not spelt out again."""
    for name, field in model.model_fields.items():
        nested, suffix = _nested(field.annotation)
        key = f"{prefix}{name}{suffix}"
        again = nested in seen
        meaning = field.description or ""
        if again:
            meaning = f"{meaning} The same keys as above.".strip()
        yield key, _kind(field.annotation), meaning
        if nested and not again:
            seen.add(nested)
            yield from _rows(nested, f"{key}.", seen)


def _nested(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The model inside an annotation, and how its keys are reached from the key that holds it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    for argument in get_args(annotation):
        nested, suffix = _nested(argument)
        if nested:
            origin = get_origin(annotation)
            return nested, (".*" if origin is dict else "[]" if origin is list else "") + suffix
    return None, ""


def _kind(annotation: Any) -> str:
    """The JSON type in words."""
    if annotation is type(None):
        return "null"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "object"
    plain = {int: "integer", float: "number", str: "string"}
    if annotation in plain:
        return plain[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin is dict:
        return f"object of {_kind(arguments[1])}"
    if origin is list:
        return f"list of {_kind(arguments[0])}"
    if origin is tuple:
        return f"[{', '.join(_kind(a) for a in arguments)}]"
    return " or ".join(_kind(a) for a in arguments)
