"""Writes what was measured as ``docs/benchmarks.md``. Pure functions from results to Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from textwrap import fill
from typing import Any

from tools.peers.goals import BREED_TARGET, find_goals, ratio, summarize, throughputs

__all__ = ["write_page"]

WHO = {
    "fastai": "fastai: an exported learner; `get_preds` for many photos (batches of 64), `learn.predict` for one",
    "timm": "timm: the loop of its `inference.py` (its loader and transform, 2 workers, batches of 256), eager",
    "torchvision": "torch + torchvision as tutorials write it: `DataLoader` with 2 workers, batches of 32, eager",
    "onnxruntime": "ONNX Runtime with defaults; OpenCV and numpy before it; one photo at a time or 16, the faster",
    "openvino": "OpenVINO with defaults (it chooses the precision), `compile_model` on the ONNX file and synchronous "
    "calls; OpenCV and numpy before it; one photo at a time or 16, the faster",
    "hierpets": "hierpets with defaults, after `hierpets export --format openvino --precision int8`: `predict`, with "
    "decisions and shampoos",
    "hierpets bf16": "the same with `--precision bf16`",
    "hierpets f32": "the same with `--precision f32`",
    "hierpets released": "the released model, which is larger (two backbones, 288 px) and has seen these photos in "
    "training: its top-1 here says nothing",
}


def write_page(results: Mapping[str, Any]) -> str:
    """The whole page."""
    parts = [_head(results), _goal_part(results), _contestant_part(results), _training_part(results)]
    parts += [_large_part(results), _memory_part(results), _limit_part(results), _machine_part(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def prose(text: str) -> str:
    """A paragraph, wrapped as the other pages are."""
    return fill(text, 118, break_long_words=False, break_on_hyphens=False)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right of the first column."""
    marks = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows))


def _head(results: Mapping[str, Any]) -> str:
    written = prose(
        "Written by `python tools/bench_peers.py --data DIR`; the numbers themselves are in "
        "[benchmarks.json](benchmarks.json)."
    )
    how = prose(
        f"All peers answered the same {results['photos']:,} photos with the same network "
        "(EfficientNet-Lite0 at 224 px and the logistic heads that `hierpets train --recipe heads` fitted to other "
        f"photos), in one run, two threads each, in {results['rounds']} rounds that alternate, each measurement in a "
        "process of "
        "its own. Numbers are medians; warm-up is left out. The heads give the peers the joint probability of species "
        "and breed that hierpets computes, so that a difference in top-1 comes from decoding, resizing and rounding "
        "alone."
    )
    return f"# Benchmarks\n\n{written}\n\n{how}"


def _goal_part(results: Mapping[str, Any]) -> str:
    words = {True: "yes", False: "**no**", None: "not measured"}
    rows = [(g.what, g.target, g.measured, words[g.met]) for g in find_goals(results)]
    ratios = "Ratios are medians of the ratios of each round."
    return f"## What was asked for\n\n{table(['', 'target', 'measured', 'met'], rows)}\n\n{ratios}"


def _contestant_part(results: Mapping[str, Any]) -> str:
    ours = throughputs(results["peers"]["hierpets"])
    rows = []
    for name, measured in results["peers"].items():
        row = summarize(name, measured)
        rows.append(
            (
                name,
                f"{row.first:.2f}",
                f"{row.first_memory:.0f}",
                f"{row.throughput:.1f}",
                f"{ratio(ours, throughputs(measured)):.2f}",
                f"{row.p50 * 1000:.1f}",
                f"{row.p95 * 1000:.1f}",
                "-" if row.large is None else f"{row.large * 1000:.0f}",
                "-" if row.large_throughput is None else f"{row.large_throughput:.1f}",
                f"{row.memory:.0f}",
                f"{row.top1:.1%}",
            )
        )
    heads = [
        "",
        "first answer, s",
        "its memory, MB",
        "photos/s",
        "hierpets is faster by",
        "one photo p50, ms",
        "p95, ms",
    ]
    heads += ["12 MP photo, ms", "12 MP photos/s", "peak memory, MB", "top-1"]
    who = "\n".join(f"- {WHO.get(name, name)}" for name in results["peers"])
    refused = "".join(f"\n- {name} was not measured: {why}" for name, why in results.get("refused", {}).items())
    text = prose(
        "The first answer is the wall time of a cold process, from its start to its end, and its peak memory; files "
        "are in the system's cache, and hierpets finds the compiled network of an earlier run in its own. Peak memory "
        "is that while all photos are answered, of the main process: the workers of fastai, timm and torchvision come "
        "on top. hierpets takes one photo with all cores and many with one core each, as its commands do."
    )
    return f"## Side by side\n\n{table(heads, rows)}\n\n{who}{refused}\n\n{text}"


def _training_part(results: Mapping[str, Any]) -> str:
    training = results.get("training")
    if not training:
        return ""
    ours, theirs = training["hierpets"], training.get("fastai")
    rows = [("hierpets train --recipe heads", _reached(ours["seconds"], ours["accuracy"]), f"{ours['accuracy']:.1%}")]
    if theirs:
        hit = next((seconds for seconds, accuracy in theirs["epochs"] if accuracy >= BREED_TARGET), None)
        best = max(accuracy for _, accuracy in theirs["epochs"])
        last = theirs["epochs"][-1][0]
        never = f"not within {last / 60:.1f} minutes"
        rows.append((f"fastai fine_tune({theirs['planned']})", never if hit is None else f"{hit:.0f} s", f"{best:.1%}"))
    text = prose(
        f"From nothing cached to {BREED_TARGET:.0%} breed accuracy on photos held out, both from the same pretrained "
        f"backbone and the same {training['photos']:,} photos; imports and reading included, fastai's own validation "
        "not. Its accuracy is taken after each epoch, on at most 400 of the photos, that of hierpets after the end, on "
        "all."
    )
    return f"## Training\n\n{text}\n\n{table(['', f'time to {BREED_TARGET:.0%}', 'best accuracy'], rows)}"


def _reached(seconds: float, accuracy: float) -> str:
    return f"{seconds:.0f} s" if accuracy >= BREED_TARGET else f"not reached in {seconds:.0f} s"


def _large_part(results: Mapping[str, Any]) -> str:
    large = results.get("large")
    if not large:
        return ""
    rows = [
        (f"decoded {way}", f"{1000 * median(large[key]):.0f}")
        for way, key in (("at a reduction", "reduced"), ("in full", "full"))
    ]
    text = prose(
        f"{len(large['full'])} real photos enlarged to 4000 x 3000 pixels, answered by hierpets one at a time. The "
        f"answer is the same for {large['same']:.1%}."
    )
    return f"## Photos of 12 megapixels\n\n{text}\n\n{table(['', 'ms a photo'], rows)}"


def _memory_part(results: Mapping[str, Any]) -> str:
    memory = results.get("memory")
    if not memory:
        return ""
    rows = [(f"{int(count):,} photos", f"{memory[count]:.0f}") for count in sorted(memory, key=int)]
    text = "`hierpets predict FOLDER --format jsonl --out FILE`; the folder holds links to the photos."
    return f"## Memory of a long run\n\n{text}\n\n{table(['', 'peak memory, MB'], rows)}"


def _limit_part(results: Mapping[str, Any]) -> str:
    report = results.get("limit")
    if not report:
        return ""
    rows = []
    for row in report["results"]:
        if row["unavailable"] is None:
            rates = row["photos_per_second"]
            cells = [f"{rates[key]:.0f}" for key in ("decode", "network", "bound", "throughput")]
            rows.append((row["precision"], *cells, f"{row['limit']['reached']:.0%}", row["limit"]["sentence"]))
    missing = [
        f"{row['precision']} was not measured: {row['unavailable']}" for row in report["results"] if row["unavailable"]
    ]
    heads = ["", "decode alone", "network alone", "both allow", "streaming", "reached", "what limits it"]
    text = prose(
        "Photos a second of the same bundle by `hierpets bench --engine openvino`: what decoding and preprocessing "
        "reach alone with both cores, what the network reaches alone with both cores, what the two allow together on "
        "these cores, 1 / (1 / decode + 1 / network), and what the streaming path reaches with everything it does."
    )
    return "\n\n".join(["## The limit", text, table(heads, rows), *missing])


def _machine_part(results: Mapping[str, Any]) -> str:
    lines = "\n".join(f"- {name}: {value}" for name, value in results["machine"].items())
    return f"## The machine\n\n{lines}\n\n{results['note']}"
