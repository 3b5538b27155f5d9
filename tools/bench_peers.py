"""Measures hierpets beside what its users would pick instead, and writes ``docs/benchmarks.md`` and ``.json``.

    python tools/bench_peers.py --data DIR [--photos 1000] [--rounds 3] [--skip-training]

The peers are installed into an environment of their own in the cache folder, once. Every measurement is a process of
its own, rounds alternate between the peers, and nothing else should run meanwhile. Needs Linux or macOS.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that `python tools/bench_peers.py` finds its parts

from hierpets.files import write_all  # noqa: E402
from tools.peers.environment import peer_environment  # noqa: E402
from tools.peers.goals import BREED_TARGET, condense, summarize  # noqa: E402
from tools.peers.machine import describe_machine  # noqa: E402
from tools.peers.page import write_page  # noqa: E402
from tools.peers.processes import Broken, Finished, run  # noqa: E402

LARGE_COMPARED, LARGE_MEASURED = 200, 24
SHORT_RUN = 500  # photos; the long run is an option
LATENCY_SECONDS = 3.0


class BackendConfig(NamedTuple):
    """A row of the table: which side, with which Python, on which model."""

    name: str
    side: str
    python: Path
    model: Path | None
    precision: str = "auto"


class Bench:
    """One run of the tool, in a scratch folder ``work``."""

    def __init__(self, given: argparse.Namespace, work: Path, peers: Path):
        self.given, self.work, self.peers, self.ours = given, work, peers, Path(sys.executable)
        self.trained, self.bundle = work / "run" / "bundle", work / "int8"
        self.refused: dict[str, str] = {}
        self._logs = 0

    def run(self) -> dict[str, Any]:
        """Everything, in order."""
        trained = self.prepare()
        peers = self.measure_contestants()
        results: dict[str, Any] = {
            "peers": peers,
            "photos": len(self.paths),
            "refused": self.refused,
        }
        results["training"] = self.measure_training(trained, summarize("hierpets", peers["hierpets"]).top1)
        results["large"] = self.measure_large()
        results["memory"] = {str(n): self.measure_long_run(n).memory for n in (SHORT_RUN, self.given.long_run)}
        results["limit"] = self.measure_limit()
        return results | {"rounds": self.given.rounds}

    def prepare(self) -> Finished:
        """Hold photos out, train on the others, and carry the network over to the peers."""
        self.step("split", "--data", self.given.data, "--photos", str(self.given.photos))
        tell("training hierpets")
        command = [self.ours, "-m", "hierpets", "train", "--recipe", "heads", "--backbone", "efficientnet_lite0"]
        command += ["--set", "head.kind=logistic", "--set", "head.c=0.03"]  # as the released model, to bear int8
        command += ["--val-fraction", "0", "--data", self.work / "data.csv", "--out", self.work / "run"]
        with tempfile.TemporaryDirectory() as cache:  # nothing cached: the training is measured
            trained = self.finish(["env", f"HIERPETS_CACHE={cache}", *command])
        self.quantize()
        tell("carrying the network over")
        self.step("carry", "--bundle", str(self.trained))
        self.step("enlarge", "--photos", str(min(LARGE_COMPARED, self.given.photos)))
        self.step("convert", python=self.peers)
        self.paths, self.labels = zip(*json.loads((self.work / "photos.json").read_text()), strict=True)
        self.large = sorted(str(path) for path in (self.work / "large").glob("*.jpg"))
        return trained

    def quantize(self) -> None:
        """The bundle that is measured: with an int8 graph, or as it was trained where that would cost accuracy."""
        tell("quantizing hierpets")
        command = [self.ours, "-m", "hierpets", "export", self.trained, "--format", "openvino", "--precision", "int8"]
        try:
            self.finish([*command, "--data", self.work / "seen", "--out", self.bundle])
        except Broken as error:
            self.refused["hierpets in int8"] = str(error)
            self.bundle = self.trained

    def configs(self) -> list[BackendConfig]:
        """The peers, then hierpets at each precision, then the released bundle."""
        peers = ["fastai", "timm", "torchvision", "onnxruntime", "openvino"]
        ours = {"hierpets": "auto", "hierpets bf16": "bf16", "hierpets f32": "f32"}
        return [
            *(BackendConfig(name, name, self.peers, self.work) for name in peers),
            *(BackendConfig(name, "hierpets", self.ours, self.bundle, precision) for name, precision in ours.items()),
            BackendConfig("hierpets released", "hierpets", self.ours, ROOT / "hierpets" / "released"),
        ]

    def measure_contestants(self) -> dict[str, Any]:
        """Rounds over all peers; each starts cold once before, so that its files are in the system's cache."""
        job = {"photos": self.paths, "large": self.large[:LARGE_MEASURED], "seconds": LATENCY_SECONDS}
        (self.work / "job.json").write_text(json.dumps(job))
        runnable = [contestant for contestant in self.configs() if self.can_run(contestant)]
        measured: dict[str, Any] = {c.name: {"first": [], "sessions": []} for c in runnable}
        for turn in range(self.given.rounds):
            for contestant in runnable:
                tell(f"round {turn + 1} of {self.given.rounds}: {contestant.name}")
                measured[contestant.name]["first"].append(self.first(contestant)._asdict())
                measured[contestant.name]["sessions"].append(self.session(contestant))
        return measured

    def can_run(self, contestant: BackendConfig) -> bool:
        try:
            self.first(contestant)
        except Broken as error:
            if contestant.precision == "auto":
                raise
            self.refused[contestant.name] = str(error)
            return False
        return True

    def first(self, contestant: BackendConfig) -> Finished:
        """A cold process that answers one photo: for hierpets, what a user types."""
        if contestant.side == "hierpets":
            return self.predict(contestant, self.paths[0])
        return self.finish([*self.side(contestant, "first"), "--photo", self.paths[0]])

    def predict(self, contestant: BackendConfig, *arguments: str) -> Finished:
        command: list[Any] = [contestant.python, "-m", "hierpets", "predict", "--model", str(contestant.model)]
        command += ["--device", "cpu", "--precision", contestant.precision]
        return self.finish([*command, *arguments])

    def session(self, contestant: BackendConfig) -> dict[str, Any]:
        """A process that answers all photos, then one at a time, then large ones."""
        out = self.work / "session.json"
        command = [*self.side(contestant, "all"), "--job", str(self.work / "job.json"), "--out", str(out)]
        self.finish(command)
        return condense(json.loads(out.read_text()), self.labels, len(self.large[:LARGE_MEASURED]))

    def side(self, contestant: BackendConfig, task: str) -> list[Any]:
        command = [contestant.python, "-m", "tools.peers.session", task, contestant.side]
        return [*command, "--model", str(contestant.model), "--precision", contestant.precision]

    def measure_training(self, ours: Finished, accuracy: float) -> dict[str, Any]:
        """hierpets was trained before; fastai is now, unless it is to be skipped."""
        photos = (self.work / "data.csv").read_text(encoding="utf-8").count(",train\n")
        report: dict[str, Any] = {
            "photos": photos,
            "hierpets": {"seconds": ours.seconds, "accuracy": accuracy},
        }
        if not self.given.skip_training:
            tell("training fastai")
            out, epochs = self.work / "fastai.json", self.given.fastai_epochs
            command = [self.peers, "-m", "tools.peers.train_fastai", "--model", str(self.work), "--out", str(out)]
            command += ["--epochs", str(epochs), "--minutes", str(self.given.fastai_minutes)]
            self.finish([*command, "--target", str(BREED_TARGET)])
            report["fastai"] = json.loads(out.read_text()) | {"planned": epochs}
        return report

    def measure_large(self) -> dict[str, Any]:
        tell("photos of 12 megapixels")
        out = self.work / "large.json"
        command = [self.ours, "-m", "tools.peers.large", "--bundle", str(self.bundle)]
        self.finish([*command, "--photos", str(self.work / "large"), "--out", str(out)])
        report: dict[str, Any] = json.loads(out.read_text())
        return report

    def measure_long_run(self, count: int) -> Finished:
        tell(f"{count:,} photos in one run")
        ours = BackendConfig("hierpets", "hierpets", self.ours, self.bundle)
        out = self.work / f"{count}.jsonl"
        return self.predict(ours, str(self.link(count)), "--format", "jsonl", "--out", str(out))

    def link(self, count: int) -> Path:
        """A folder with links to the photos held out, again and again until there are ``count``."""
        folder = self.work / f"linked-{count}"
        for n, path in enumerate(islice(cycle(self.paths), 0 if folder.exists() else count)):
            (folder / f"{n // 1000:03}").mkdir(parents=True, exist_ok=True)
            (folder / f"{n // 1000:03}" / f"{n:06}.jpg").symlink_to(path)
        return folder

    def measure_limit(self) -> dict[str, Any]:
        tell("the limit")
        out, folder = self.work / "limit.json", self.link(len(self.paths))
        command: list[Any] = [self.ours, "-m", "hierpets", "bench", "--engine", "openvino", "--model", str(self.bundle)]
        command += ["--data", str(folder), "--rounds", str(self.given.rounds), "--seconds", str(self.given.seconds)]
        self.finish([*command, "--json", str(out)])
        report: dict[str, Any] = json.loads(out.read_text())
        return report

    def step(self, name: str, *arguments: str, python: Path | None = None) -> Finished:
        command = [python or self.ours, "-m", "tools.peers.prepare", name, *arguments]
        return self.finish([*command, "--out", str(self.work)])

    def finish(self, command: list[Any]) -> Finished:
        self._logs += 1
        return run(command, log=self.work / f"{self._logs}.log")


def tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="SPECIES/BREED/photo.jpg")
    parser.add_argument("--photos", type=int, default=1000, help="photos to hold out and answer, half of all at most")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement of the limit")
    parser.add_argument("--long-run", type=int, default=20_000, help="photos of the run whose memory is watched")
    parser.add_argument("--skip-training", action="store_true", help="leave fastai's training out")
    parser.add_argument("--fastai-epochs", type=int, default=2)
    parser.add_argument("--fastai-minutes", type=float, default=6.0)
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="where benchmarks.md and .json are written")
    given = parser.parse_args()
    given.data = str(Path(given.data).resolve())
    environment = peer_environment()
    with tempfile.TemporaryDirectory() as scratch:
        results = Bench(given, Path(scratch), environment.python).run()
    machine = describe_machine(sys.executable, environment.python)
    results |= {"machine": machine, "note": environment.note}
    page = write_page(results)
    write_all(
        given.out, {"benchmarks.md": page.encode(), "benchmarks.json": (json.dumps(results, indent=1) + "\n").encode()}
    )
    print(page)


if __name__ == "__main__":
    main()
