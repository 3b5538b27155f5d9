"""Read what a run folder is judged by: settings, metrics, bundle, and its audit, evaluations, measurements if any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from hierpets.auditing.findings import AUDIT_FILE, Audit
from hierpets.auditing.reading import read_audit
from hierpets.bundle.identity import ModelId, model_id
from hierpets.bundle.layout import GRAPH
from hierpets.bundle.manifest import Manifest, read_manifest
from hierpets.checklist.measured import MEASURED_FILE, RunMeasurements
from hierpets.config import BUNDLE_FOLDER, CONFIG_FILE, TrainConfig, read_config
from hierpets.errors import ConfigError
from hierpets.evaluation.metrics.reading import parse_metrics, read_json, read_run_metrics
from hierpets.evaluation.metrics.schema import METRICS_FILE, Metrics
from hierpets.validation.problems import problem_lines

__all__ = ["RunEvidence"]


@dataclass(frozen=True)
class RunEvidence:
    """The content of a run's files; what is missing is empty or None.

    ``metrics`` maps how the photos were held out (``cross_validation``, ``validation``) to their metrics;
    ``evaluations`` maps a folder in the run to what ``hierpets evaluate`` wrote there. ``graph`` is the input
    shape of the OpenVINO graph. ``start`` is the folder that the run was trained from; the paths in ``config`` are
    resolved against it, so that the run can be looked at from anywhere.
    """

    folder: Path
    start: Path
    config: TrainConfig
    model: ModelId
    manifest: Manifest
    metrics: dict[str, Metrics]
    graph: str | None
    audit: Audit | None
    evaluations: dict[str, Metrics]
    measured: RunMeasurements

    @classmethod
    def read(cls, folder: Path) -> RunEvidence:
        """Read a run folder.

        :raises ConfigError: no run there, or settings that are wrong.
        :raises DataError: metrics or an audit that are wrong.
        :raises BundleError: no bundle in it.
        """
        if not (folder / CONFIG_FILE).is_file() or not (folder / METRICS_FILE).is_file():
            raise ConfigError(
                f"{folder}: no run here (expected {CONFIG_FILE} and {METRICS_FILE}); `hierpets train` makes one"
            )
        audit = folder / "audit" / AUDIT_FILE
        config, model = read_config(folder / CONFIG_FILE, {}), model_id(folder / BUNDLE_FOLDER)
        start = _started_in(folder, config.out)
        return cls(
            folder=folder,
            start=start,
            config=_resolved(config, start),
            model=model,
            manifest=read_manifest(folder / BUNDLE_FOLDER),
            metrics=_own_metrics(folder / METRICS_FILE, model),
            graph=_graph_input(folder / BUNDLE_FOLDER / GRAPH),
            audit=read_audit(audit) if audit.is_file() else None,
            evaluations=dict(_evaluations(folder, model)),
            measured=_measured(folder / MEASURED_FILE, model),
        )

    @property
    def bundle(self) -> Path:
        """The model of the run."""
        return self.folder / BUNDLE_FOLDER

    @property
    def held_out(self) -> tuple[str, Metrics]:
        """How photos were held out from every fit, and the metrics on them: those of validation, else out of fold."""
        for name in ("validation", "cross_validation"):
            if name in self.metrics:
                return name, self.metrics[name]
        raise ConfigError(f"{self.folder / METRICS_FILE}: neither validation nor cross_validation in it")

    @property
    def own_audit(self) -> Audit | None:
        """The audit, if it is of the photos that the run was trained on."""
        return self.audit if self.why_not_audited is None else None

    @property
    def why_not_audited(self) -> str | None:
        """Why there is no :attr:`own_audit`, None where there is one."""
        if self.audit is None or self._place(self.audit.data) != self._place(self.config.data):
            return "no audit of the training data"
        audited, trained = _readable(self.audit), sum(self.manifest.training.get(part, 0) for part in ("train", "val"))
        if audited != trained:
            counts = f"{audited:,} photos to train on in the audit, {trained:,} in the training"
            return f"the data has changed: {counts}; audit again, or train again if that is not enough"
        return None

    @property
    def elsewhere(self) -> dict[str, Metrics]:
        """The evaluations on photos from another source."""
        return {name: metrics for name, metrics in self._of_other_data.items() if not _seen(metrics)}

    @property
    def recognized(self) -> dict[str, int]:
        """The evaluations whose data lies elsewhere but holds photos that the model was fitted to: the number of these.
        The rest of such data may be what training held out.
        """
        return {name: _seen(metrics) for name, metrics in self._of_other_data.items() if _seen(metrics)}

    @property
    def unseen(self) -> dict[str, Metrics]:
        """The evaluations that measure no photo that the model is known to be fitted to."""
        return {name: m for name, m in self.evaluations.items() if not _seen(m) or (m.seen and m.seen.left_out)}

    @property
    def _of_other_data(self) -> dict[str, Metrics]:
        own = self.config.data
        return {name: m for name, m in self.evaluations.items() if not self._overlaps(m.about.get("data", own))}

    def _overlaps(self, data: str) -> bool:
        """Whether this is the run's own data, a folder in it, or one that it lies in."""
        place, own = self._place(data), self._place(self.config.data)
        return place.is_relative_to(own) or own.is_relative_to(place)

    def _place(self, data: str) -> Path:
        """Resolve a path that may be relative to here or to where the run was trained."""
        return Path(_resolved_data(data, self.start))


def _seen(metrics: Metrics) -> int:
    """How many of an evaluation's photos the model was fitted to, whether or not they were left out."""
    return metrics.seen.n if metrics.seen else 0


def _readable(audit: Audit) -> int:
    """The photos of an audit that a training reads: those that can be read and are not in the split ``test``."""
    unreadable = [found.photos[0].split for found in audit.findings if found.kind == "unreadable"]
    test = audit.splits.get("test", 0) - unreadable.count("test")
    return audit.photos - len(unreadable) - test


def _resolved(config: TrainConfig, start: Path) -> TrainConfig:
    registry = _from(start, config.registry) if config.registry else None
    return config.model_copy(update={"data": _resolved_data(config.data, start), "registry": registry})


def _resolved_data(data: str, start: Path) -> str:
    path = _from(start, Path(data))
    return str(path.resolve()) if path.exists() else data


def _from(start: Path, path: Path) -> Path:
    """Return the path in the folder ``start`` if it exists there, else as given."""
    return start / path if (start / path).exists() else path


def _started_in(folder: Path, out: Path) -> Path:
    """Where the run was trained: the folder below which its relative ``out`` lies; here, where that has changed."""
    whole, parts = folder.resolve(), out.parts
    inside = not out.is_absolute() and whole.parts[-len(parts) :] == parts
    return whole.parents[len(parts) - 1] if inside else Path()


def _own_metrics(path: Path, model: ModelId) -> dict[str, Metrics]:
    """Read what the training measured.

    :raises ConfigError: it is of another model than the bundle that is there now.
    """
    found = read_run_metrics(path)
    if other := next((one.model for one in found.values() if one.model not in (None, model)), None):
        raise ConfigError(
            f"{path}: is of model {other.digest}, and the bundle beside it is model {model.digest}; train again, and "
            "write bundles that are grown or changed to a folder of their own"
        )
    return found


def _evaluations(folder: Path, model: ModelId) -> Iterator[tuple[str, Metrics]]:
    """The evaluations in the run's folders that are of its model: an older model's may lie there as well."""
    for path in sorted(folder.glob(f"*/{METRICS_FILE}")):
        content = read_json(path)
        if "schema_version" in content:
            metrics = parse_metrics(content, path)
            if metrics.model == model:
                yield path.parent.name, metrics


def _measured(path: Path, model: ModelId) -> RunMeasurements:
    """What was measured of this model."""
    if not path.is_file():
        return RunMeasurements()
    try:
        found = RunMeasurements.model_validate(read_json(path))
    except ValidationError as error:
        raise ConfigError("\n".join(problem_lines(error, RunMeasurements, path))) from error
    return found if found.model == model else RunMeasurements()


def _graph_input(path: Path) -> str | None:
    """The shape of the graph's first input, ``1,224,224,3``, as the file writes it."""
    from xml.etree import ElementTree

    if not path.is_file():
        return None
    # The file is the run's own; a bundle from elsewhere is opened by OpenVINO, not here.
    for layer in ElementTree.parse(path).iter("layer"):  # noqa: S314
        data = layer.find("data")
        if layer.get("type") == "Parameter" and data is not None:
            return data.get("shape")
    return None
