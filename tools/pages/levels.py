"""Tables of the model card: accuracy of each level, also under stress, and answers."""

from __future__ import annotations

import numpy as np

from hierpets.evaluation.metrics.schema import Metrics, StressMetrics, StressScores
from hierpets.hierarchy.outputs import Calibration
from hierpets.hierarchy.probabilities import COMBINERS, most_probable_species
from hierpets.text import percent
from hierpets.training.trained import Trained

__all__ = ["answers_table", "combiners_table", "levels_table", "stress_tables"]


def levels_table(metrics: Metrics) -> str:
    """Return a table of accuracy, its interval and calibration of each level."""
    rows = ["| level | n | accuracy | 95% interval | balanced | log loss | ECE |"]
    rows.append("|---|---|---|---|---|---|---|")
    for name, m in (metrics.by_level | {"breed given true species": metrics.breed_given_species}).items():
        assert m is not None  # every photo has its breed
        low, high = m.intervals["accuracy"]
        rows.append(
            f"| {name} | {m.n} | {m.accuracy:.2%} | {low:.2%} to {high:.2%} "
            f"| {m.balanced_accuracy:.2%} | {m.log_loss:.4f} | {m.ece:.4f} |"
        )
    for species, found in metrics.breed_by_species.items():
        rows.append(f"| breed, {species}s alone | {found.n} | {found.accuracy:.2%} | | | | |")
    return "\n".join([*rows, ""])


def stress_tables(metrics: Metrics) -> list[str]:
    """Return a list with the table of the stress test; empty if it was not measured."""
    return [_stress_table(metrics.stress)] if metrics.stress else []


def _stress_table(stress: StressMetrics) -> str:
    """Return a table of the effects of corruptions: each kind at its middle step, and the mean of every step."""
    rows = [
        "## Stress test",
        "",
        f"{stress.n} of the photos from elsewhere, shrunk to a shorter side of {stress.side} px at most, then changed.",
        "Right or parent: the prediction is the label, its species, or unknown.",
        "",
        "| photos | species | breed | named a breed | right or parent | called unknown | points lost |",
        "|---|---|---|---|---|---|---|",
        _stress_row("unchanged", stress.unchanged),
    ]
    rows += [_stress_row(f"{s.kind}: {s.setting}", s) for s in stress.steps if s.step == stress.middle.step]
    for mean in stress.mean:
        low, high = (100 * (bound or 0.0) for bound in mean.loss_interval)
        lost = f"{100 * mean.loss:.1f} ({low:.1f} to {high:.1f})"
        rows.append(_stress_row(f"**all kinds, step {mean.step}**", mean, lost))
    return "\n".join([*rows, ""])


def _stress_row(name: str, found: StressScores, lost: str = "") -> str:
    """Return a row of the table."""
    shares = (found.species, found.breed, found.named, found.holds_truth, found.unknown)
    return f"| {name} | {' | '.join(percent(share) for share in shares)} | {lost} |"


def answers_table(measured: dict[str, Metrics]) -> str:
    """Return a table of the levels of answers, and how often an answer is the label or its parent."""
    rows = [
        "## Backing off at alpha 0.05",
        "",
        "Cross-validated thresholds are fitted to four fifths of the photos and evaluated on the rest. Right or",
        "parent: the prediction is the label, its species, or unknown.",
        "",
        "| photos | at breed level | of these wrong | at species level | unknown | right or parent | cats | dogs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, metrics in measured.items():
        shares, node, breed = metrics.selective.answers, metrics.selective.node, metrics.selective.breed
        cats, dogs = (f"{node.per_species[species].holds_truth:.1%}" for species in ("cat", "dog"))
        wrong = f"{breed.risk:.1%}" if breed else ""
        rows.append(
            f"| {name} | {shares.breed:.1%} | {wrong} | {shares.species:.1%} | {shares.unknown:.1%} "
            f"| {node.holds_truth:.1%} | {cats} | {dogs} |"
        )
    return "\n".join([*rows, ""])


def combiners_table(trained: Trained) -> str:
    """Return a table that compares the combiners on the same out-of-fold logits, at the same temperatures."""
    outputs, taxonomy = trained.held_out["cross_validation"], trained.network.taxonomy
    rows = ["## Combiners", "", "On the same out-of-fold logits; temperatures are fitted to each head.", ""]
    rows += ["| combiner | breed accuracy | species accuracy | breed log loss |", "|---|---|---|---|"]
    labels, temperatures = outputs.labels, outputs.temperatures(taxonomy)
    for combiner in COMBINERS:
        joint = Calibration(taxonomy, temperatures, combiner).joint(outputs.outputs)
        breed = (joint.argmax(axis=1) == labels.leaf).mean()
        species = (most_probable_species(joint, taxonomy) == labels.species).mean()
        loss = -np.log(joint[np.arange(len(joint)), labels.leaf].clip(min=1e-12)).mean()
        rows.append(f"| `{combiner}` | {breed:.2%} | {species:.2%} | {loss:.4f} |")
    return "\n".join([*rows, ""])
