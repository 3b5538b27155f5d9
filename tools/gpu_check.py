"""Checks every path that uses a GPU: whether it gives what the CPU gives, and how fast; writes docs/gpu.md.

    python tools/gpu_check.py [--model BUNDLE] [--data DIR] [--page docs/gpu.md]

Exits with 1 when a check fails, and with 2, after one line, without a CUDA device.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, StrictUndefined

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hierpets.errors import HierpetsError
from hierpets.export.export import photos_to_check
from hierpets.files import write_text
from hierpets.inference.loading import load
from hierpets.workers import cores
from tools.gpu.decoding import Decoding, measure_decoding
from tools.gpu.engines import BATCHES_OF, CONFIGS, Row, by_batch, failures, measure
from tools.gpu.training import check_training

NO_GPU = 2
ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = Path(__file__).parent / "gpu" / "page.md.j2"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a bundle; the released one when omitted")
    parser.add_argument("--data", type=Path, help="SPECIES/BREED/photo.jpg; synthetic images when omitted")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "gpu.md", help="the page; numbers go to .json")
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print(f"gpu_check: torch {torch.__version__} finds no CUDA device here; nothing was checked", file=sys.stderr)
        return NO_GPU
    try:
        return check(given.model, given.data, given.page)
    except HierpetsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def check(model: Path | None, data: Path | None, page: Path) -> int:
    """Measure everything, write the page and its numbers, and say what is wrong."""
    photos = photos_to_check(data)
    rows, batches = _engines(model, photos)
    decoding, no_decoding = _decoding(model, photos)
    with tempfile.TemporaryDirectory() as folder:
        training = check_training(str(data) if data else "demo", Path(folder))
    wrong = failures(rows) + [f"{step.step}: {step.result}" for step in training if not step.holds]
    found = {
        "machine": machine(),
        "model": str(model or "the released bundle"),
        "rows": [{**asdict(row), "parity": row.parity.to_json()} for row in rows],
        "by_batch": batches,
        "decoding": asdict(decoding) if decoding else None,
        "no_decoding": no_decoding,
        "trained_on": f"{data.name}" if data else "the synthetic images",
        "training": [asdict(step) for step in training],
        "failures": wrong,
    }
    text = render(found)
    write_text(page, text)
    write_text(page.with_suffix(".json"), json.dumps(found, indent=2) + "\n")
    print(text)
    return 1 if wrong else 0


def render(found: dict[str, Any]) -> str:
    """The page of what was ``found``."""
    environment = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, autoescape=False)
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(batches=BATCHES_OF, **found)
    return text.rstrip() + "\n"


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
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


def _engines(model: Path | None, photos: Sequence[str]) -> tuple[list[Row], dict[str, dict[int, float]]]:
    reference = load(model, engine="torch", device="cpu", precision="f32", recommend=False)
    rows, batches = [], {}
    for precision, compiled in CONFIGS:
        if precision == "bf16" and not torch.cuda.is_bf16_supported():
            print("bf16: skipped, this GPU does not support it")
            continue
        predictor = load(model, device="cuda", precision=precision, compile=compiled, recommend=False)
        config = f"{precision}{' compiled' if compiled else ''}"
        rows.append(measure(config, predictor, reference, photos))
        batches[config] = by_batch(predictor)
    return rows, batches


def _decoding(model: Path | None, photos: Sequence[str]) -> tuple[Decoding | None, str]:
    predictor = load(model, device="cuda", precision="f16")
    try:
        return measure_decoding(predictor, photos), ""
    except (ImportError, RuntimeError) as error:
        return None, str(error).partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
