"""Faults planted into a data set laid out as train/ and val/, each with the finding that it must cause."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from hierpets.auditing.findings import Audit
from hierpets.auditing.kinds import Kind

__all__ = ["Fault", "false_alarms", "found", "plant_faults", "write_split"]


class Fault(NamedTuple):
    """A planted fault: the file that it touched, and the kind that the audit must give it."""

    kind: Kind
    path: Path


def write_split(photos: Iterable[tuple[str, str, Path | np.ndarray]], root: Path, *, val_every: int = 4) -> list[Path]:
    """Write (species, breed, photo) below ``root`` as train/SPECIES/BREED and val/SPECIES/BREED; the paths."""
    written = []
    for i, (species, breed, photo) in enumerate(photos):
        folder = root / ("val" if i % val_every == 0 else "train") / species / breed
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(photo, Path):
            path = Path(shutil.copy(photo, folder / photo.name))
        else:
            path = folder / f"{breed}_{i:04d}.jpg"
            assert cv2.imwrite(str(path), cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])
        written.append(path)
    return written


def plant_faults(paths: list[Path], *, seed: int = 0) -> list[Fault]:
    """Plant twenty faults of seven kinds, each on photos of its own."""
    rng = np.random.default_rng(seed)
    train = [p for p in paths if "train" in p.parts]
    chosen = iter([train[i] for i in rng.permutation(len(train))])
    breeds = sorted({p.parent for p in train})
    faults = [Fault("label_error", _relabel(next(chosen), breeds, rng)) for _ in range(6)]
    faults += [Fault("leak", _copy_to_val(next(chosen))) for _ in range(3)]
    faults += [Fault("leak", _re_encode(next(chosen), "val")) for _ in range(2)]
    faults += [Fault("duplicate", _re_encode(next(chosen), "train")) for _ in range(2)]
    faults += [Fault("label_conflict", _copy_to_breed(next(chosen), breeds, rng)) for _ in range(2)]
    faults += [Fault("unreadable", _truncate(next(chosen), share)) for share in (0.3, 0.6, 0.9)]
    faults += [Fault("wrong_type", _as_png(next(chosen)))]
    faults += [Fault("near_black", _blacken(next(chosen), rng))]
    return faults


def found(audit: Audit, fault: Fault) -> bool:
    # A file that was cut may still make a picture; what the audit must say is that it was cut.
    kinds = ("unreadable", "truncated") if fault.kind == "unreadable" else (fault.kind,)
    return any(str(fault.path) in {p.path for p in f.photos} for kind in kinds for f in audit.of_kind(kind))


def false_alarms(audit: Audit, faults: list[Fault]) -> list[tuple[Kind, str]]:
    """Findings that touch no planted photo."""
    planted = {str(fault.path) for fault in faults}
    return [
        (finding.kind, finding.photos[0].path)
        for finding in audit.findings
        if not planted & {photo.path for photo in finding.photos}
    ]


def _other(path: Path, breeds: list[Path], rng: np.random.Generator) -> Path:
    others = [breed for breed in breeds if breed != path.parent]
    return others[int(rng.integers(len(others)))]


def _relabel(path: Path, breeds: list[Path], rng: np.random.Generator) -> Path:
    return path.rename(_other(path, breeds, rng) / f"relabeled_{path.name}")


def _copy_to_val(path: Path) -> Path:
    parts = ["val" if part == "train" else part for part in path.parts]
    return Path(shutil.copy(path, Path(*parts).with_name(f"copied_{path.name}")))


def _copy_to_breed(path: Path, breeds: list[Path], rng: np.random.Generator) -> Path:
    return Path(shutil.copy(path, _other(path, breeds, rng) / f"conflicting_{path.name}"))


def _re_encode(path: Path, split: str) -> Path:
    """A smaller copy at a lower quality: other bytes, the same picture."""
    pixels = cv2.imread(str(path))
    small = cv2.resize(pixels, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    target = Path(*[split if part == "train" else part for part in path.parts]).with_name(f"shrunk_{path.stem}.jpg")
    target.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(target), small, [cv2.IMWRITE_JPEG_QUALITY, 60])
    return target


def _truncate(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def _as_png(path: Path) -> Path:
    path.write_bytes(cv2.imencode(".png", cv2.imread(str(path)))[1].tobytes())
    return path


def _blacken(path: Path, rng: np.random.Generator) -> Path:
    assert cv2.imwrite(str(path), rng.integers(0, 8, (240, 320, 3), np.uint8))
    return path
