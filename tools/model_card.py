"""Write docs/model_card.md: every number is measured here, none is typed.

    python tools/model_card.py --data ../shared/data

``--data`` holds ``pets`` (what the bundle was built from), ``not-pets`` and ``unseen-breeds``. Numbers on pets are
cross-validated: heads, temperatures and thresholds never saw the photo that they are judged by.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from hierpets.config import TrainConfig, read_config
from hierpets.data.listing import find_photos
from hierpets.evaluation.metrics.schema import Metrics
from hierpets.files import write_text
from hierpets.hierarchy.calibration import fit_temperatures
from hierpets.hierarchy.probabilities import COMBINERS, joint_probabilities, species_probabilities
from hierpets.inference.loading import load
from hierpets.inference.prediction import Prediction
from hierpets.model.layout import released_bundle
from hierpets.progress import no_progress
from hierpets.registry.loading import load_registry
from hierpets.training.calibration import calibrate_trained, cross_predict
from hierpets.training.frozen.candidates import FrozenChoice
from hierpets.training.frozen.fit import assign_folds
from hierpets.training.frozen.model import fit_frozen_model
from hierpets.training.measurement import measure
from hierpets.training.splits import read_splits
from hierpets.training.trained import Trained
from hierpets.workers import cores

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = ROOT / "tools" / "released.yaml"
PAGE = ROOT / "docs" / "model_card.md"
WILD = ("wild_canids", "wild_felids")


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    config = read_config(SETTINGS, {"data": str(data / "pets")})
    trained = train_again(config)
    predictor = load(workers=cores(), recommend=False)
    ood = list(predictor.stream(find_photos(data / "not-pets")))
    unseen = list(predictor.stream(find_photos(data / "unseen-breeds")))
    write_text(PAGE, page(config, trained, ood, unseen))


def train_again(config: TrainConfig) -> Trained:
    """The released recipe, for its out-of-fold outputs."""
    registry = load_registry()
    choice = FrozenChoice(config.backbone_choice, config.view, config.head)
    splits = read_splits(config, registry)
    return fit_frozen_model(choice, splits, config, registry=registry, device="cpu", progress=no_progress)


def page(config: TrainConfig, trained: Trained, ood: list[Prediction], unseen: list[Prediction]) -> str:
    """The whole card."""
    outputs = trained.held_out["cross_validation"]
    taxonomy = trained.network.taxonomy
    folds = assign_folds(outputs.labels, folds=config.folds, seed=config.seed + 1)
    calibrated = calibrate_trained(trained, combiner=config.combiner, alpha=config.alpha)
    decided = cross_predict(outputs, trained.unlisted, calibrated, folds)
    metrics = measure(outputs, decided, calibrated)
    parts = [
        HEADER.format(summary=trained.summary, n=len(outputs), breeds=len(taxonomy.leaves), size=bundle_megabytes()),
        levels_table(metrics),
        worst_breeds(metrics),
        answers_table(metrics),
        ood_tables(outputs.scores, ood, unseen),
        combiners_table(trained),
        FOOTER,
    ]
    return "\n".join(parts)


def levels_table(metrics: Metrics) -> str:
    """Accuracy, calibration and intervals of each level."""
    rows = [
        "## Accuracy, five-fold cross-validated",
        "",
        "| level | n | accuracy | 95% interval | balanced | log loss | ECE |",
    ]
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


def worst_breeds(metrics: Metrics) -> str:
    """The five breeds of lowest recall."""
    per_class = metrics.by_level["breed"].per_class
    worst = sorted(per_class.items(), key=lambda item: item[1].recall)[:5]
    rows = [f"| {name} | {c.recall:.1%} | {c.precision:.1%} | {c.support} |" for name, c in worst]
    return "\n".join(["## Worst breeds", "", "| breed | recall | precision | photos |", "|---|---|---|---|", *rows, ""])


def answers_table(metrics: Metrics) -> str:
    """At which level photos are answered, and how often the answer is the label or its parent."""
    shares, node = metrics.selective.answers, metrics.selective.node
    rows = [
        "## Roll-up at alpha 0.05",
        "",
        "Thresholds are fitted on four fifths of the photos and evaluated on the rest.",
        "",
        f"Predicted at breed level {shares.breed:.1%}, at species level {shares.species:.1%}, "
        f"unknown {shares.unknown:.1%}.",
        "",
        "| photos of | coverage: the prediction is the label or its parent |",
        "|---|---|",
        f"| all | {node.holds_truth:.1%} |",
    ]
    rows += [f"| {species} | {part.holds_truth:.1%} |" for species, part in node.per_species.items()]
    return "\n".join([*rows, ""])


def ood_tables(pets: np.ndarray, ood: list[Prediction], unseen: list[Prediction]) -> str:
    """OOD photos against pets, and unlisted breeds against listed ones; pets by their out-of-fold scores [N, 2]."""
    far = [p for p in ood if Path(p.path).parent.name not in WILD]
    wild = [p for p in ood if Path(p.path).parent.name in WILD]
    rows = ["## Out-of-distribution photos", "", "| photos of | n | AUROC against pets | rejected |"]
    rows.append("|---|---|---|---|")
    for name, group in (("anything but pets", far), ("wild canids and felids", wild)):
        rejected = np.mean([p.decision.source == "not_a_known_pet" for p in group if p.decision])
        score = auroc(pets[:, 0], [p.scores.pet for p in group if p.scores])
        rows.append(f"| {name} | {len(group)} | {score:.4f} | {rejected:.1%} |")
    rows += [
        "",
        "## Breeds that are not listed",
        "",
        "| photos of | n | AUROC against listed | named a breed | species right | rejected |",
    ]
    rows.append("|---|---|---|---|---|---|")
    groups = {"all": unseen} | {s: [p for p in unseen if Path(p.path).parents[1].name == s] for s in ("cat", "dog")}
    for name, group in groups.items():
        decided = [p.decision for p in group if p.decision]
        right = np.mean([d.species == Path(p.path).parents[1].name for p, d in zip(group, decided, strict=True)])
        named = np.mean([d.level == "breed" for d in decided])
        rejected = np.mean([d.source == "not_a_known_pet" for d in decided])
        score = auroc(pets[:, 1], [p.scores.known for p in group if p.scores])
        rows.append(f"| {name} | {len(group)} | {score:.4f} | {named:.1%} | {right:.1%} | {rejected:.1%} |")
    return "\n".join([*rows, ""])


def auroc(pets: np.ndarray, others: list[float]) -> float:
    """How often a pet scores above another photo."""
    truth = np.concatenate([np.ones(len(pets)), np.zeros(len(others))])
    return float(roc_auc_score(truth, np.concatenate([pets, others])))


def combiners_table(trained: Trained) -> str:
    """The three combiners on the same out-of-fold logits, each with its own temperatures."""
    outputs, taxonomy = trained.held_out["cross_validation"], trained.network.taxonomy
    rows = ["## Combiners", "", "On the same out-of-fold logits; temperatures are fitted to each head.", ""]
    rows += ["| combiner | breed accuracy | species accuracy | breed log loss |", "|---|---|---|---|"]
    labels = outputs.labels
    for combiner in COMBINERS:
        temperatures = fit_temperatures(
            outputs.species_logits, outputs.leaf_logits, species=labels.species, leaf=labels.leaf, taxonomy=taxonomy
        )
        joint = joint_probabilities(
            *temperatures.apply(outputs.species_logits, outputs.leaf_logits, taxonomy), taxonomy, combiner=combiner
        )
        breed = (joint.argmax(axis=1) == labels.leaf).mean()
        species = (species_probabilities(joint, taxonomy).argmax(axis=1) == labels.species).mean()
        loss = -np.log(joint[np.arange(len(joint)), labels.leaf].clip(min=1e-12)).mean()
        rows.append(f"| `{combiner}` | {breed:.2%} | {species:.2%} | {loss:.4f} |")
    return "\n".join([*rows, ""])


def bundle_megabytes() -> float:
    """The size of the released folder."""
    return sum(file.stat().st_size for file in released_bundle().rglob("*") if file.is_file()) / 1e6


HEADER = """# Model card of the released bundle

Written by `python tools/model_card.py`; the bundle by `python tools/build_bundle.py`.

**What it is.** {summary}; {breeds} breeds of cats and dogs; {size:.1f} MB. Frozen ImageNet features, linear heads,
one temperature per head, thresholds by split-conformal prediction, two scores that reject out-of-distribution photos.

**Data.** The {n} photos of the official trainval part of Oxford-IIIT Pet (Parkhi, Vedaldi, Zisserman, Jawahar, "Cats
and Dogs", CVPR 2012; CC BY-SA 4.0) in which 12 cat and 4 dog breeds are whole and 21 dog breeds have 24 to 35 photos.
Nothing else was trained on. Rejection thresholds come from breeds held out of training.

**What it is for.** Predicting species and breed in ordinary photos of one cat or dog, to choose a shampoo or to sort
photos. **What it is not for.** Pedigrees, medical decisions, mixed breeds, several pets in one photo, drawings.
"""

FOOTER = """## Limits of these numbers

The recipe (two backbones, their input size, the penalty of the heads, which signals make up the two scores) was
chosen on the same photos: docs/experiments.md lists what was tried. So these numbers are slightly better than those on
photos from another source. Most "cats" that are rejected are tigers: the photos of unlisted cats are
ImageNet's classes tabby and tiger cat, and the latter holds many. The pets' scores are out of fold, while the other
photos are scored by the final bundle. There are few photos of wild animals.
"""


if __name__ == "__main__":
    main()
