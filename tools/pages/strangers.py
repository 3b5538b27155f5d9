"""Tables of the model card: photos of breeds that were not trained on, and of no pets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from hierpets.hierarchy.decision import Decision
from hierpets.inference.prediction import Prediction
from hierpets.recommend.loading import load_catalog
from hierpets.training.calibration import Calibrated
from hierpets.training.trained import Trained

__all__ = ["never_trained_tables", "ood_table", "pretrained_tables"]

# Maps folders of unseen-breeds to the breed's name in ImageNet; None: in neither Oxford-IIIT Pet nor ImageNet.
ELSEWHERE_NAMES = {
    "afghan": "afghan_hound",
    "bermaise": "bernese_mountain_dog",
    "bloodhound": "bloodhound",
    "borzoi": "borzoi",
    "dalmation": "dalmatian",
    "french_bulldog": "french_bulldog",
    "great_dane": "great_dane",
    "irish_spaniel": "irish_water_spaniel",
    "maltese": "maltese",
    "vizsla": "vizsla",
    "bull_terrier": None,
    "chinese_crested": None,
    "cockapoo": None,
    "labradoodle": None,
}
FAR = "anything but pets"
WILD = ("wild_canids", "wild_felids")

BREEDS = """| photos of | n | most probable breed right | named right | named wrong | open, right | right coat |
|---|---|---|---|---|---|---|"""


def pretrained_tables(trained: Trained, calibrated: Calibrated) -> str:
    """Return a table of answers for breeds without training photos, compared with trained breeds, both out of fold."""
    taxonomy = trained.network.taxonomy
    rows = [
        "## Breeds known from pretraining",
        "",
        "Breeds that both know are held out of the heads, a fifth at a time, and must be named by the pretrained head",
        "(the thresholds are fitted to the same photos).",
        "",
        BREEDS,
    ]
    for name, part in (("held-out", trained.pretrained), ("trained", trained.held_out["cross_validation"])):
        assert part is not None
        found = calibrated.predict(part).decisions
        for s, species in enumerate(taxonomy.species):
            chosen = np.flatnonzero(part.labels.species == s)
            breeds = [(found[i], str(taxonomy.leaves[part.labels.leaf[i]].breed)) for i in chosen]
            rows.append(_breeds_row(f"{name} {species}s", breeds))
    return "\n".join([*rows, ""])


def never_trained_tables(pets: list[Prediction], unseen: list[Prediction]) -> str:
    """Return tables of breeds that were never trained on: answers for those known from pretraining, and how well the
    probability that the breed is listed separates all of them from trained breeds on photos from elsewhere.
    """
    others = [(p.decision, Path(p.path).parent.name) for p in unseen if p.decision]
    known = [(d, breed) for d, name in others if (breed := ELSEWHERE_NAMES.get(name)) is not None]
    nobody = [d for d, name in others if name in ELSEWHERE_NAMES and not ELSEWHERE_NAMES[name]]
    cats = [d for d, name in others if name in ("tabby", "tiger_cat")]
    rows = [
        "## Breeds that were never trained on",
        "",
        "Of most of these the model knows the name from pretraining. ImageNet contains them, and perhaps some of the",
        "photos.",
        "",
        BREEDS,
        _breeds_row(f"{len({b for _, b in known})} breeds of dogs", known),
        "",
        f"Of {len(nobody)} photos of dogs that are on no list (bull terrier, Chinese crested, cockapoo, labradoodle)",
        f"{np.mean([d.level == 'breed' for d in nobody]):.0%} are named a breed and",
        f"{np.mean([bool(d.breeds) for d in nobody]):.0%} get a set of breeds. Of {len(cats)} photos of tabby",
        f"and tiger cats {np.mean([d.level == 'breed' and d.breed != 'domestic_cat' for d in cats]):.0%} are called a",
        "pedigree. All of them, by the probability that the breed is listed:",
        "",
        "| photos of | n | AUROC against trained breeds | named a breed | species right | rejected |",
        "|---|---|---|---|---|---|",
    ]
    listed = [p.decision.listed for p in pets if p.decision]
    groups = {"all": unseen} | {s: [p for p in unseen if Path(p.path).parents[1].name == s] for s in ("cat", "dog")}
    for name, group in groups.items():
        decided = [p.decision for p in group if p.decision]
        right = np.mean([d.species == Path(p.path).parents[1].name for p, d in zip(group, decided, strict=True)])
        named = np.mean([d.level == "breed" for d in decided])
        rejected = np.mean([d.source == "not_a_known_pet" for d in decided])
        score = _auroc(listed, [d.listed for d in decided])
        rows.append(f"| {name} | {len(group)} | {score:.4f} | {named:.1%} | {right:.1%} | {rejected:.1%} |")
    return "\n".join([*rows, ""])


def _breeds_row(name: str, decided: list[tuple[Decision, str]]) -> str:
    """Return a row of decisions on photos, each given with its true breed."""
    catalog = load_catalog().species

    def coats(species: str, breed: str | None) -> str | None:
        profile = catalog[species].breeds.get(breed or "") if species in catalog else None
        return max(profile.coat, key=lambda coat: coat.share).type if profile else None

    top = [d.breed == breed for d, breed in decided]
    right = [d.level == "breed" and d.breed == breed for d, breed in decided]
    wrong = [d.level == "breed" and d.breed != breed for d, breed in decided]
    held = [any(leaf.breed == breed for leaf, _ in d.breeds) for d, breed in decided]
    coat = [coats(d.species, d.breed) == coats(d.species, breed) for d, breed in decided]
    cells = (f"{np.mean(share):.1%}" for share in (top, right, wrong, held, coat))
    return f"| {name} | {len(decided)} | {' | '.join(cells)} |"


def ood_table(pets: list[Prediction], others: list[Prediction]) -> str:
    """Return a table of how well pet scores separate OOD photos from pets from elsewhere."""
    rows = [
        "## Out-of-distribution photos",
        "",
        "| photos of | n | AUROC against pets | rejected |",
        "|---|---|---|---|",
    ]
    groups = {name: [p for p in others if _kind(p) == name] for name in (FAR, "wild canids and felids", "horses")}
    for name, group in ({"pets from elsewhere": pets} | groups).items():
        rejected = np.mean([p.decision.source == "not_a_known_pet" for p in group if p.decision])
        score = "" if group is pets else f"{_auroc(*map(_pet_scores, (pets, group))):.4f}"
        rows.append(f"| {name} | {len(group)} | {score} | {rejected:.1%} |")
    return "\n".join([*rows, ""])


def _pet_scores(photos: list[Prediction]) -> list[float]:
    """Return the pet scores of the photos that could be read."""
    return [p.pet_score for p in photos if p.pet_score is not None]


def _kind(photo: Prediction) -> str:
    """Return the kind of a photo of no pet, by its folder."""
    folder = Path(photo.path).parent
    if folder.parent.name == "horse":
        return "horses"
    return "wild canids and felids" if folder.name in WILD else FAR


def _auroc(above: list[float], below: list[float]) -> float:
    """Return the AUROC: the probability that a score of the first list is above one of the second."""
    return float(roc_auc_score([*[1] * len(above), *[0] * len(below)], [*above, *below]))
