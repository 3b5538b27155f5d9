"""Check all code that uses a GPU: whether its results equal those of the CPU, and how fast it is; write docs/gpu.md.

    python tools/gpu_check.py [--model BUNDLE] [--data DIR] [--page docs/gpu.md] [--only PART]

Each result is printed at once, and the page is written after each part. With ``--only``, the other parts keep their
earlier results, if these are of the same machine and model. Exit code 1: a check fails; 2: there is no CUDA device.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, StrictUndefined

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hierpets.errors import first_line
from hierpets.export.export import photos_to_check
from hierpets.files import write_file
from hierpets.inference.engines.base import Precision
from hierpets.inference.loading import load
from hierpets.inference.predictor import Predictor
from hierpets.workers import cores
from tools.errors import in_one_line
from tools.gpu.decoding import measure_decoding
from tools.gpu.engines import BATCH, BATCHES_OF, Row, by_batch, failures, measure
from tools.gpu.training import check_training

NO_GPU = 2
PARTS = ("engines", "compiled", "decoding", "training")
PRECISIONS: tuple[Precision, ...] = ("f32", "f16", "bf16")  # the others are compared with the first
Part = tuple[dict[str, Any], list[str]]  # the results, and a sentence for each failed check
ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = Path(__file__).parent / "gpu" / "page.md.j2"


@in_one_line
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a bundle; default: the released one")
    parser.add_argument("--data", type=Path, help="SPECIES/BREED/photo.jpg; default: synthetic images")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "gpu.md", help="the page; numbers go to .json")
    parser.add_argument("--only", choices=PARTS, help="run only this part; default: all")
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print(f"gpu_check: torch {torch.__version__} finds no CUDA device here; nothing was checked", file=sys.stderr)
        return NO_GPU
    found = blank(given.model)
    if given.only:
        found = earlier(given.page, found)
    measures = _measures(given.model, given.data)
    return check({part: measures[part] for part in PARTS if given.only in (None, part)}, found, given.page)


def check(measures: dict[str, Callable[[], Part]], found: dict[str, Any], page: Path) -> int:
    """Measure part by part into ``found``; write page and numbers after each. Return 1 if any check failed, else 0."""
    for part, measured in measures.items():
        found[part], found["failures"][part] = measured()
        write_file(page, render(found))
        write_file(page.with_suffix(".json"), json.dumps(found, indent=2) + "\n")
    wrong = list(chain.from_iterable(found["failures"].values()))
    _say(*wrong, f"{page}: {len(wrong)} checks failed")
    return 1 if wrong else 0


def blank(model: Path | None) -> dict[str, Any]:
    """Return the results before anything is measured."""
    return {
        "machine": machine(),
        "model": str(model or "the released bundle"),
        **dict.fromkeys(PARTS),
        "failures": {},
    }


def earlier(page: Path, found: dict[str, Any]) -> dict[str, Any]:
    """Read earlier results of the same machine and model from beside the page; if there are none, return ``found``."""
    numbers = page.with_suffix(".json")
    if not numbers.exists():
        return found
    before: dict[str, Any] = json.loads(numbers.read_text(encoding="utf-8"))
    same = all(before.get(key) == found[key] for key in ("machine", "model"))
    return before if same else found


def render(found: dict[str, Any]) -> str:
    """Return the page with the results ``found``; it says which parts were not measured."""
    environment = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, autoescape=False)
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(batches=BATCHES_OF, **found)
    return text.rstrip() + "\n"


def machine() -> dict[str, Any]:
    """Describe the machine that measures."""
    gpu = torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None
    return {
        "gpu": gpu.name if gpu else None,
        "gpu_memory_mb": gpu.total_memory // 2**20 if gpu else None,
        "compute_capability": f"{gpu.major}.{gpu.minor}" if gpu else None,
        "cores": cores(),
        "cuda": torch.version.cuda,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _measures(model: Path | None, data: Path | None) -> dict[str, Callable[[], Part]]:
    photos = photos_to_check(data)
    photos = photos[: len(photos) // BATCH * BATCH or None]  # full batches only: other sizes would be compiled again
    return {
        "engines": partial(_engines, model, photos),
        "compiled": partial(_compiled, model, photos),
        "decoding": partial(_decoding, model, photos),
        "training": partial(_training, data),
    }


def _engines(model: Path | None, photos: Sequence[str]) -> Part:
    reference, rows, batches = _reference(model), list[Row](), {}
    for precision in PRECISIONS:
        if precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
            _say("bf16: skipped, this GPU does not support it")
            continue
        predictor = load(model, device="cuda", precision=precision, recommend=False)
        rows.append(_measured(precision, predictor, reference, photos))
        batches[precision] = {str(size): speed for size, speed in by_batch(predictor).items()}
        _say(f"{precision}, photos/s by batch: {batches[precision]}")
    return {"rows": _shown(rows), "by_batch": batches}, failures(rows)


def _compiled(model: Path | None, photos: Sequence[str]) -> Part:
    """Measure the network compiled and not compiled. It takes minutes, as each batch size is compiled separately."""
    reference, rows = _reference(model), []
    for name, compiled in (("f16", False), ("f16 compiled", True)):
        predictor = load(model, device="cuda", precision="f16", compile=compiled, recommend=False)
        rows.append(_measured(name, predictor, reference, photos))
    return {"rows": _shown(rows)}, failures(rows)


def _reference(model: Path | None) -> Predictor:
    return load(model, engine="torch", device="cpu", precision="f32", recommend=False)


def _measured(name: str, predictor: Predictor, reference: Predictor, photos: Sequence[str]) -> Row:
    row = measure(name, predictor, reference, photos)
    _say(row)
    return row


def _shown(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [{**asdict(row), "parity": row.parity.to_json()} for row in rows]


def _decoding(model: Path | None, photos: Sequence[str]) -> Part:
    predictor = load(model, device="cuda", precision="f16")
    try:
        measured: dict[str, Any] = asdict(measure_decoding(predictor, photos))
    except (ImportError, RuntimeError) as error:
        measured = {"impossible": first_line(error)}
    _say(f"decoding: {measured}")
    return measured, []


def _training(data: Path | None) -> Part:
    steps = []
    with tempfile.TemporaryDirectory() as folder:
        for step in check_training(str(data) if data else "demo", Path(folder)):
            steps.append(step)
            _say(step)
    wrong = [f"{step.step}: {step.result}" for step in steps if not step.holds]
    return {"data": data.name if data else "the synthetic images", "steps": [asdict(step) for step in steps]}, wrong


def _say(*lines: object) -> None:
    print(*lines, sep="\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
