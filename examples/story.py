"""From a folder of photos to a served model, one command after another.

    python examples/story.py                                  # on the embedded demo set of synthetic images
    python examples/story.py --data photos/ --out runs/story  # on your own photos, SPECIES/BREED/*.jpg

Each step prints its command, so that you can run any of them by hand.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from hierpets.bundle.manifest import read_manifest
from hierpets.data.photos import read_photo
from hierpets.evaluation.run import read_labeled


def narrate(text: str) -> None:
    print(f"\n\N{EM DASH} {text}", flush=True)


def hierpets(*arguments: str | Path) -> None:
    """Run one command. Exit code 3 is not a failure: some photos could not be read."""
    command = ["hierpets", *map(str, arguments)]
    print(f"$ {shlex.join(command)}", flush=True)
    code = subprocess.run([sys.executable, "-m", *command], check=False).returncode
    if code not in (0, 3):
        raise SystemExit(f"{shlex.join(command)}: exit code {code}")


@contextmanager
def served(bundle: Path, *arguments: str | Path) -> Iterator[str]:
    """The address of a server that runs until the block ends."""
    command = ["hierpets", "serve", "--model", str(bundle), "--port", "0", *map(str, arguments)]
    print(f"$ {shlex.join(command)}", flush=True)
    with subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            print(line, end="", flush=True)
            yield line.split()[2].rstrip(",")
        finally:
            server.terminate()


def ask(url: str, photo: str) -> dict:
    """The record of one photo, from the API called as any program would."""
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(read_photo(photo), cv2.COLOR_RGB2BGR))[1].tobytes()
    request = urllib.request.Request(f"{url}/v1/predict", jpeg, {"content-type": "image/jpeg"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)[0]


def sentence(record: dict) -> str:
    """A record in words."""
    product = (record["recommendation"] or {}).get("name")
    advice = f"shampoo: {product}" if product else "no shampoo to recommend"
    match record["level"]:
        case "breed":
            found = f"{record['breed']['label']}, {record['breed']['probability']:.0%}"
        case "species":
            found = f"a {record['species']['label']}, breed uncertain"
        case _:
            found = "pet not recognized"
    return f"{found}; {advice}"


def story(data: str, out: Path, config: Path | None) -> None:
    # The default recipe, `auto`, also compares backbones and fine-tunes: a better model, some minutes later.
    recipe = ["--config", config] if config else ["--recipe", "heads", "--backbone", "efficientnet_lite0"]

    narrate("Audit the photos: duplicates and leaks inflate the metrics, wrong labels hurt the model.")
    hierpets("audit", data, "--out", out / "audit")

    narrate("Train linear heads on frozen features: seconds, not hours, and no learning rate to tune.")
    hierpets("train", "--levels", "species,breed", "--data", data, "--out", out / "run", *recipe)
    bundle = out / "run" / "bundle"

    narrate("Evaluate every level on the photos held out from training. The report starts with a summary in words.")
    hierpets("evaluate", "--model", bundle, "--data", data, "--split", "val", "--out", out / "evaluation")

    narrate("Predict three of these photos. The model answers at the level it is confident in.")
    photos = held_out(data, bundle)
    hierpets("predict", "--model", bundle, *photos)

    narrate("Serve the model: a page for people, an API for programs.")
    with served(bundle) as url:
        for photo in photos:
            start = time.perf_counter()
            record = ask(url, photo)
            print(f"{photo}: {sentence(record)} ({1000 * (time.perf_counter() - start):.0f} ms)")

    narrate(f"Done. The results are in {out}; `hierpets serve --model {bundle}` starts the server again.")


def held_out(data: str, bundle: Path) -> list[str]:
    """Up to three photos of different breeds that training held out."""
    records = read_labeled(data, read_manifest(bundle), bundle=bundle, split="val").records
    one_each = list({record.label: record.path for record in records}.values())
    return one_each[:: max(1, len(one_each) // 3)][:3]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="demo", help="labeled photos (default: the demo set)")
    parser.add_argument("--out", type=Path, default=Path("runs/story"), help="where to write (default: runs/story)")
    parser.add_argument("--config", type=Path, help="settings of `hierpets train`, as YAML")
    given = parser.parse_args(arguments)
    story(given.data, given.out, given.config)


if __name__ == "__main__":
    main()
