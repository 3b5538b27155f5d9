"""Measure hierpets and the libraries that users would choose instead; write ``docs/benchmarks.md`` and ``.json``.

    python tools/bench_peers.py --data DIR [--unseen DIR] [--photos 1000] [--rounds 3] [--skip-training]

``--unseen`` are photos that the released model was not trained on: enlarged, they show what reduced decoding costs the
released model as well. The peers are installed once, into a virtual environment in the cache folder. Every measurement
runs in a process of its own, and rounds alternate between the peers. The machine should be idle. Needs Linux or macOS.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that `python tools/bench_peers.py` finds its parts

from hierpets.bundle.layout import released_bundle  # noqa: E402
from hierpets.data.listing import find_photos  # noqa: E402
from hierpets.files import write_all  # noqa: E402
from tools.errors import in_one_line  # noqa: E402
from tools.peers.environment import describe_machine, peer_python  # noqa: E402
from tools.peers.processes import Failed, Finished, call, run  # noqa: E402
from tools.peers.results import BREED_TARGET, condense, summarize, write_page  # noqa: E402

PEERS = ("fastai", "timm", "torchvision", "onnxruntime", "openvino")
RELEASED_PEERS = ("timm", "openvino")  # also run the released network: the slowest and the fastest peer
LARGE_COMPARED, LARGE_MEASURED = 200, 24
SHORT_RUN = 500  # photos; the length of the long run is an option
LATENCY_SECONDS = 3.0
RELEASED = released_bundle()


class PeerConfig(NamedTuple):
    """A row of the table: a side, the Python that runs it, and its model."""

    name: str
    side: str
    python: Path
    model: Path
    precision: str = "auto"


class Bench:
    """One run of the tool, in a scratch folder ``work``."""

    def __init__(self, given: argparse.Namespace, work: Path, peers: Path):
        self.given, self.work, self.peers, self.ours = given, work, peers, Path(sys.executable)
        self.bundle, self.network, self.released_network = (work / name for name in ("int8", "network", "released"))
        self.refused: dict[str, str] = {}

    def run(self) -> dict[str, Any]:
        """Measure everything; return the results."""
        trained = self.prepare()
        peers = self.measure_peers()
        return {
            "peers": peers,
            "photos": len(self.paths),
            "refused": self.refused,
            "training": self.measure_training(trained, summarize(peers["hierpets"])["top1"]),
            "large": self.compare_large(),
            "memory": {str(n): self.measure_long_run(n).memory for n in (SHORT_RUN, self.given.long_run)},
            "limit": {name: self.measure_limit(name, bundle) for name, bundle in self.bundles().items()},
            "rounds": self.given.rounds,
            "machine": describe_machine(self.peers),
        }

    def prepare(self) -> Finished:
        """Hold out photos, train on the others, and convert the network for the peers."""
        work, trained = str(self.work), self.work / "run" / "bundle"
        held_out = self.step("prepare.split", data=self.given.data, photos=self.given.photos, out=work)
        self.paths, self.labels = ([pair[n] for pair in held_out] for n in (0, 1))
        finished = self.train()
        self.quantize(trained)
        self.large = self.enlarge(self.paths, "large")
        for bundle, folder in ((trained, self.network), (RELEASED, self.released_network)):
            self.step("network.write_network", bundle=str(bundle), out=str(folder))
            self.step("prepare.convert", python=self.peers, folder=str(folder))
        self.step("prepare.export_learner", python=self.peers, folder=str(self.network), some=self.paths[:2])
        return finished

    def train(self) -> Finished:
        log("training hierpets")
        command = ["-m", "hierpets", "train", "--recipe", "heads", "--backbone", "efficientnet_lite0"]
        command += ["--set", "head.kind=logistic", "--set", "head.c=0.03"]  # their accuracy survives int8
        command += ["--val-fraction", "0", "--data", str(self.work / "data.csv"), "--out", str(self.work / "run")]
        with tempfile.TemporaryDirectory() as cache:  # an empty cache, because the time is measured
            return run(["env", f"HIERPETS_CACHE={cache}", self.ours, *command])

    def quantize(self, trained: Path) -> None:
        """Add an int8 graph to the bundle that is measured, unless int8 would cost accuracy."""
        log("quantizing hierpets")
        command: list[Any] = [self.ours, "-m", "hierpets", "export", trained, "--format", "openvino"]
        command += ["--precision", "int8"]
        try:
            run([*command, "--data", self.work / "seen", "--out", self.bundle])
        except Failed as error:
            self.refused["hierpets in int8"] = str(error)
            self.bundle = trained

    def bundles(self) -> dict[str, Path]:
        """Return the bundle trained here and the released one."""
        return {"hierpets": self.bundle, "hierpets released": RELEASED}

    def enlarge(self, paths: list[str], folder: str) -> list[str]:
        compared = min(LARGE_COMPARED, self.given.photos)
        return list(self.step("prepare.enlarge", paths=paths, photos=compared, out=str(self.work / folder)))

    def compare_large(self) -> dict[str, Any]:
        """Compare reduced with full decoding, for each bundle on photos that it was not fitted to."""
        photos = {"hierpets": self.large}
        if self.given.unseen:
            photos["hierpets released"] = self.enlarge(find_photos(self.given.unseen), "unseen")
        bundles = self.bundles()
        return {
            name: self.step("sides.compare_large", model=str(bundles[name]), photos=large)
            for name, large in photos.items()
        }

    def measure_peers(self) -> dict[str, Any]:
        """Measure all peers in rounds. Each runs once before, so that its files are in the system's cache."""
        runnable = [config for config in self.configs() if self.can_run(config)]
        measured: dict[str, Any] = {config.name: {"first": [], "sessions": []} for config in runnable}
        for turn in range(self.given.rounds):
            for config in runnable:
                log(f"round {turn + 1} of {self.given.rounds}: {config.name}")
                measured[config.name]["first"].append(self.first(config)._asdict())
                measured[config.name]["sessions"].append(self.session(config))
        return measured

    def configs(self) -> list[PeerConfig]:
        """Return the peers, then hierpets at each precision, then the released bundle and its peers."""
        ours = {"hierpets": "auto", "hierpets bf16": "bf16", "hierpets f32": "f32"}
        return [
            *(PeerConfig(name, name, self.peers, self.network) for name in PEERS),
            *(PeerConfig(name, "hierpets", self.ours, self.bundle, precision) for name, precision in ours.items()),
            PeerConfig("hierpets released", "hierpets", self.ours, RELEASED),
            *(PeerConfig(f"{name} released", name, self.peers, self.released_network) for name in RELEASED_PEERS),
        ]

    def can_run(self, config: PeerConfig) -> bool:
        try:
            self.first(config)
        except Failed as error:
            if config.precision == "auto":
                raise
            self.refused[config.name] = str(error)
            return False
        return True

    def first(self, config: PeerConfig) -> Finished:
        """Predict one photo in a new process; for hierpets, with the command that a user types."""
        if config.side == "hierpets":
            return self.predict(config, self.paths[0])
        arguments = {"side": config.side, "model": str(config.model), "precision": config.precision}
        return call(config.python, "sides.first", photo=self.paths[0], **arguments)[1]

    def predict(self, config: PeerConfig, *arguments: str) -> Finished:
        command = ["-m", "hierpets", "predict", "--model", str(config.model), "--device", "cpu"]
        return run([config.python, *command, "--precision", config.precision, *arguments])

    def session(self, config: PeerConfig) -> dict[str, Any]:
        """Predict all photos in one process: all at once, then one at a time, then large ones."""
        large = self.large[:LARGE_MEASURED]
        photos = {"photos": self.paths, "large": large, "seconds": LATENCY_SECONDS}
        arguments = {"side": config.side, "model": str(config.model), "precision": config.precision}
        return condense(call(config.python, "sides.session", **photos, **arguments)[0], self.labels, len(large))

    def measure_training(self, ours: Finished, accuracy: float) -> dict[str, Any]:
        """Report the training of hierpets, which is done already, and train fastai unless that is skipped."""
        photos = (self.work / "data.csv").read_text(encoding="utf-8").count(",train\n")
        report: dict[str, Any] = {"photos": photos, "hierpets": {"seconds": ours.seconds, "accuracy": accuracy}}
        if not self.given.skip_training:
            limits = {"epochs": self.given.fastai_epochs, "minutes": self.given.fastai_minutes, "target": BREED_TARGET}
            inputs = {"network": str(self.network), "data": str(self.work / "data.csv")}
            epochs = self.step("train_fastai.train", python=self.peers, **inputs, started=time.time(), **limits)
            report["fastai"] = {"epochs": epochs, "planned": self.given.fastai_epochs}
        return report

    def measure_long_run(self, count: int) -> Finished:
        log(f"{count:,} photos in one run")
        ours = PeerConfig("hierpets", "hierpets", self.ours, self.bundle)
        out = self.work / f"{count}.jsonl"
        return self.predict(ours, str(self.link(count)), "--format", "jsonl", "--out", str(out))

    def link(self, count: int) -> Path:
        """Create a folder with ``count`` links to the held-out photos, which are repeated as often as needed."""
        folder = self.work / f"linked-{count}"
        for n, path in enumerate(islice(cycle(self.paths), 0 if folder.exists() else count)):
            (folder / f"{n // 1000:03}").mkdir(parents=True, exist_ok=True)
            (folder / f"{n // 1000:03}" / f"{n:06}.jpg").symlink_to(path)
        return folder

    def measure_limit(self, name: str, bundle: Path) -> Any:
        log(f"the limit of {name}")
        out, folder = self.work / f"limit of {name}.json", self.link(len(self.paths))
        command: list[Any] = [self.ours, "-m", "hierpets", "bench", "--engine", "openvino"]
        command += [] if bundle == RELEASED else ["--model", bundle]
        command += ["--data", folder, "--rounds", str(self.given.rounds), "--seconds", str(self.given.seconds)]
        run([*command, "--json", out])
        report = json.loads(out.read_text())
        # Model and photos are left out: they are paths in a scratch folder.
        return {key: value for key, value in report.items() if key not in ("model", "photos")}

    def step(self, function: str, *, python: Path | None = None, **arguments: Any) -> Any:
        log(function)
        return call(python or self.ours, function, **arguments)[0]


def log(what: str) -> None:
    """Print progress to standard error."""
    print(what, file=sys.stderr, flush=True)


@in_one_line
def main() -> None:
    """Measure all peers and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="SPECIES/BREED/photo.jpg")
    parser.add_argument("--unseen", help="photos that the released model was not trained on")
    parser.add_argument("--photos", type=int, default=1000, help="photos to hold out and predict, at most half of all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="duration of each measurement of the limit")
    parser.add_argument("--long-run", type=int, default=20_000, help="photos of the run whose memory is measured")
    parser.add_argument("--skip-training", action="store_true", help="do not train fastai")
    parser.add_argument("--fastai-epochs", type=int, default=2)
    parser.add_argument("--fastai-minutes", type=float, default=6.0)
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="where benchmarks.md and .json are written")
    given = parser.parse_args()
    given.data = str(Path(given.data).resolve())
    find_photos(given.data)  # fails at once if the folder is missing, not in the first process
    python = peer_python()
    with tempfile.TemporaryDirectory() as scratch:
        results = Bench(given, Path(scratch), python).run()
    page, numbers = write_page(results), json.dumps(results, indent=1) + "\n"
    write_all(given.out, {"benchmarks.md": page.encode(), "benchmarks.json": numbers.encode()})
    print(page)


if __name__ == "__main__":
    sys.exit(main())
