"""A shop's week: its model on Sunday, a new breed on Monday, a rabbit on Wednesday, the page on Friday.

    python examples/growing.py                   # on synthetic photos
    python examples/growing.py --out runs/week

The photos that a bundle was trained on are not needed to grow it. Each step is one call of the Python API; the commands
`hierpets train`, `grow`, `predict` and `serve` do the same.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import cv2

import hierpets
from hierpets.data.photos import read_photo

SHOP = {"cat/siamese": 30, "cat/tuxedo": 30, "dog/pug": 30, "dog/dalmatian": 30, "dog/golden": 30}
MONDAY, WEDNESDAY = {"dog/husky": 10}, {"rabbit/-": 20}


def take_photos(folder: Path, counts: Mapping[str, int], first: int = 0) -> Path:
    """Synthetic photos in the layout SPECIES/BREED/photo.png, or SPECIES/photo.png."""
    for label, count in counts.items():
        place = folder / label.removesuffix("/-")
        place.mkdir(parents=True, exist_ok=True)
        for number in range(first, first + count):
            cv2.imwrite(str(place / f"{number}.png"), read_photo(f"demo:{label}/{number}")[..., ::-1])
    return folder


def say(prediction: hierpets.Prediction) -> str:
    """A prediction in a few words."""
    return f"{prediction.path}: {prediction.breed or prediction.species} ({prediction.level})"


def week(out: Path, backbone: str) -> None:
    """The story, from an empty folder to a page that answers."""
    print("Sunday: the shop trains a model on its photos, and deletes them.")
    photos = take_photos(out / "photos", SHOP)
    sunday = hierpets.train(photos, recipe="heads", backbone=backbone, out=out / "run").bundle
    shutil.rmtree(photos)

    print("Monday: ten photos of a breed that is new.")
    monday = hierpets.grow(sunday, take_photos(out / "monday", MONDAY, first=100), out=out / "monday_bundle")
    print(monday, *monday.warnings, sep="\n")
    husky = monday.predictor().predict("demo:dog/husky/300", alpha=0.1)
    print(say(husky))

    print("Wednesday: the first rabbit, a species of its own.")
    wednesday = hierpets.grow(
        monday.bundle, take_photos(out / "wednesday", WEDNESDAY, first=100), out=out / "wednesday_bundle"
    )
    print(wednesday, *wednesday.warnings, sep="\n")
    print(say(wednesday.predictor().predict("demo:rabbit/-/300")))

    print("Thursday: nobody brings dalmatians any more.")
    thursday = hierpets.forget(wednesday.bundle, "dog/dalmatian", out=out / "bundle")

    print("Friday: the page is served with the bundle of the week.")
    print(f"the page answers with {served(thursday.bundle)} bytes")


def served(bundle: Path) -> int:
    """Serve a bundle, and get its page once."""
    command = [sys.executable, "-m", "hierpets", "serve", "--model", str(bundle), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[2].rstrip(",")
            with urllib.request.urlopen(address, timeout=30) as page:
                return len(page.read())
        finally:
            server.terminate()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/week"), help="an empty folder (default: runs/week)")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    given = parser.parse_args(arguments)
    week(given.out, given.backbone)


if __name__ == "__main__":
    main()
