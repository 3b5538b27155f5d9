"""The next steps of the checklist: each function returns a command for the shell, or what to look at."""

from __future__ import annotations

import shlex
from itertools import chain, count
from pathlib import Path

from hierpets.auditing.findings import PAGE_FILE
from hierpets.checklist.evidence import RunEvidence
from hierpets.config import CONFIG_FILE

__all__ = [
    "audit",
    "evaluate_elsewhere",
    "inspect",
    "look_at_audit",
    "measure",
    "stress_test",
    "train",
    "train_on_more",
    "train_stronger",
]


def audit(run: RunEvidence) -> str:
    """Audit the photos that the run was trained on."""
    again = " --overwrite" if run.audit else ""
    return f"hierpets audit {_quoted(run.config.data)} --out {_quoted(run.folder / 'audit')}{again}"


def look_at_audit(run: RunEvidence) -> str:
    """Look at what the audit found."""
    return f"look at {run.folder / 'audit' / PAGE_FILE}"


def measure(run: RunEvidence) -> str:
    """Measure what the checklist cannot read from files."""
    return f"hierpets checklist {_quoted(run.folder)} --measure"


def inspect(run: RunEvidence) -> str:
    """Find the step at which engines begin to differ."""
    return f"hierpets inspect PHOTO --model {_quoted(run.bundle)}"


def train(run: RunEvidence, change: str = "") -> str:
    """Train on the same photos, with changed options."""
    return _train_on(_quoted(run.config.data), run, change)


def train_on_more(run: RunEvidence) -> str:
    """Train on more photos, with the same options."""
    return _train_on("MORE_PHOTOS", run)


def train_stronger(run: RunEvidence) -> str:
    """Compare every backbone, or, where that has been done, train on more photos."""
    if run.config.recipe == "auto" and run.config.backbone is None:
        return train_on_more(run)
    return train(run, "--recipe auto" + (" --set backbone=null" if run.config.backbone else ""))


def evaluate_elsewhere(run: RunEvidence) -> str:
    """Evaluate on photos from another source."""
    model, out = _quoted(run.bundle), _quoted(_free(run.folder, "elsewhere"))
    return f"hierpets evaluate --model {model} --data OTHER_PHOTOS --out {out}"


def stress_test(run: RunEvidence) -> str:
    """Test on the photos that training held out; on others if it held out none, or for a second test, as the same
    photos would give the same result.
    """
    is_first = not any(found.stress for found in run.unseen.values())
    model, out = _quoted(run.bundle), _quoted(_free(run.folder, "stress"))
    own = f"{_quoted(run.config.data)} --split val" if is_first and "validation" in run.metrics else "OTHER_PHOTOS"
    return f"hierpets evaluate --model {model} --data {own} --stress --out {out}"


def _train_on(data: str, run: RunEvidence, change: str = "") -> str:
    config = _quoted(run.folder / CONFIG_FILE)
    return " ".join(f"hierpets train --config {config} --data {data} {change} --out ANOTHER_RUN".split())


def _free(folder: Path, name: str) -> Path:
    """Return the first path that does not exist of ``stress``, ``stress-2`` and so on."""
    numbered = (folder / f"{name}-{number}" for number in count(2))
    return next(path for path in chain([folder / name], numbered) if not path.exists())


def _quoted(path: Path | str) -> str:
    return shlex.quote(str(path))
