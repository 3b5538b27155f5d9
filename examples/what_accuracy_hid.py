"""What accuracy hid: an imbalanced data set, a model trained from scratch, and the numbers that reveal it.

    python examples/what_accuracy_hid.py                  # on synthetic images, two minutes on two cores
    python examples/what_accuracy_hid.py --out runs/hid

One photo in ten shows a cat. A network trained from scratch on them is correct nine times in ten, but recognizes no
cats. docs/story.md has the story with its numbers. Each step prints its command.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

from hierpets.cli import main

CATS = ("birman", "calico", "ginger", "siamese", "tuxedo")
DOGS = ("beagle", "dalmatian", "golden", "husky", "labrador", "poodle", "pug")
FROM_SCRATCH = {
    "backbone_options.model": "test_resnet",
    "backbone_options.pretrained": "false",
    "backbone_options.input_size": "64",
    "finetune.learning_rate": "0.003",
    "finetune.head_learning_rate": "0.01",
    "prior": "data",
}


def write_pets(file: Path, *, cats: int, dogs: int) -> None:
    """A CSV of synthetic images with their species: per breed ``cats`` or ``dogs`` to train on, as many to test on."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as table:
        rows = csv.writer(table)
        rows.writerow(["path", "species", "breed", "split"])
        for species, breeds, each in (("cat", CATS, cats), ("dog", DOGS, dogs)):
            for split, first, share in (("train", 0, 1.0), ("val", 100, 0.5), ("test", 200, 1.0)):
                for breed in breeds:
                    for n in range(max(1, round(each * share))):
                        rows.writerow([f"demo:{species}/{breed}/{first + n}", species, "", split])


def hierpets(*arguments: str | Path) -> None:
    """Run one command in this process."""
    words = [str(argument) for argument in arguments]
    print(f"\n$ {shlex.join(['hierpets', *words])}", flush=True)
    try:
        main(words)
    except SystemExit as done:
        if done.code not in (0, None):
            raise


def settings(values: dict[str, str]) -> list[str]:
    return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


def what_counts(evaluation: Path) -> dict[str, Any]:
    """From ``metrics.json``: accuracy, the baseline to beat, and what accuracy hides."""
    species = json.loads((evaluation / "metrics.json").read_text())["species"]
    return {
        "accuracy": species["accuracy"],
        "majority-class baseline": species["majority_class"]["accuracy"],
        "balanced accuracy": species["balanced_accuracy"],
        "cat recall": species["per_class"]["cat"]["recall"],
    }


def tell_story(out: Path, *, cats: int = 4, dogs: int = 24, epochs: int = 4) -> dict[str, dict[str, Any]]:
    """Audit, train from scratch, look past accuracy, fix it; the numbers of both models."""
    pets, scratch, fixed = out / "pets.csv", out / "scratch", out / "fixed"
    write_pets(pets, cats=cats, dogs=dogs)
    common = ("--data", pets, "--levels", "species")

    print("\nCount first: the audit shows the imbalance and names a sampler.")
    hierpets("audit", pets, "--out", out / "audit")

    print("\nTrain a small network from scratch, as if nobody had counted.")
    changed = settings(FROM_SCRATCH | {"finetune.epochs": str(epochs)})
    plain = ("--recipe", "finetune", "--backbone", "timm", "--sampler", "shuffle")
    hierpets("train", *common, *plain, *changed, "--out", scratch)
    hierpets("evaluate", "--model", scratch / "bundle", "--data", pets, "--out", scratch / "evaluation")

    print("\nThe checklist checks what accuracy does not show.")
    shutil.copytree(out / "audit", scratch / "audit", dirs_exist_ok=True)  # where the checklist looks for it
    hierpets("checklist", scratch)

    print("\nFix it: the sampler that the audit names, and a backbone with pretrained weights.")
    sampler = json.loads((out / "audit" / "audit.json").read_text())["sampler"]["name"]
    better = ("--recipe", "heads", "--backbone", "efficientnet_lite0", "--sampler", sampler)
    hierpets("train", *common, *better, "--out", fixed)
    hierpets("evaluate", "--model", fixed / "bundle", "--data", pets, "--out", fixed / "evaluation")
    hierpets("compare", scratch / "evaluation", fixed / "evaluation")
    return {run.name: what_counts(run / "evaluation") for run in (scratch, fixed)}


def print_table(runs: dict[str, dict[str, Any]]) -> None:
    print(f"\n{'':<24}" + "".join(f"{name:>14}" for name in runs))
    for row in next(iter(runs.values())):
        print(f"{row:<24}" + "".join(f"{numbers[row]:>14.1%}" for numbers in runs.values()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/what_accuracy_hid"), metavar="DIR")
    print_table(tell_story(parser.parse_args().out))
