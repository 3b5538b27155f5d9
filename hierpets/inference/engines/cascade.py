"""A cascade of networks, from the fastest to the main one: the first that is sure of a photo answers it.

What a network outputs for a photo, and whether it is sure, depends on that photo alone, never on its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from hierpets.bundle.manifest import Manifest
from hierpets.data.decoding.damage import Warn, ignore_warning
from hierpets.data.photos import DEFAULT_LIMITS, Limits, Photo, read_photo
from hierpets.data.transforms import to_square
from hierpets.errors import BundleError, ImageError
from hierpets.hierarchy.early import on_main_scale
from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.inference.engines.base import Engine, RawOutput
from hierpets.regions.boxes import Box

__all__ = [
    "DETAIL",
    "Cascade",
    "CascadeOutput",
    "PhotoAccess",
    "SecondLookProtocol",
    "SecondLookResult",
    "Squares",
    "StageOutput",
    "seen_by",
]

Squares = tuple[np.ndarray, ...]
"""The input of each network for one photo, RGB uint8 [size, size, 3]. Small, however large the photo is."""

DETAIL = 2  # factor of the decoded side for a second look, which sees only a part of the photo


class PhotoAccess(NamedTuple):
    """What a second look needs to run photos, or parts of them, through the main network again.

    ``decode`` decodes a photo, given its index in the batch, in more detail than at first: RGB uint8 [H, W, 3].
    ``preprocess`` turns a part of it into network inputs, and ``run`` runs the main network on them.
    """

    decode: Callable[[int], np.ndarray]
    preprocess: Callable[[np.ndarray], Squares]
    run: Callable[[Sequence[Squares]], RawOutput]


class SecondLookResult(NamedTuple):
    """The ``output`` for a batch after a second look.

    ``parts`` maps the index of a photo to the part that was looked at again, ``objections`` to how much its pet score
    was lowered because it looks like another animal.
    """

    output: RawOutput
    parts: Mapping[int, Box]
    objections: Mapping[int, float]


class SecondLookProtocol(Protocol):
    """Revises the output for a batch of B photos, of which it may look again at the ``rows`` bool [B].

    Without ``closer``, no parts of photos are cut out.
    """

    def __call__(
        self, output: RawOutput, photos: PhotoAccess, *, rows: np.ndarray, closer: bool
    ) -> SecondLookResult: ...


class StageOutput(NamedTuple):
    """The ``output`` of one network of the cascade for the W photos that reached it, their ``rows`` int [W] in the
    batch, and of which of them it is ``sure``, bool [W].
    """

    rows: np.ndarray
    output: RawOutput
    sure: np.ndarray


class CascadeOutput(NamedTuple):
    """The output of a cascade for B photos, and the ``stage`` of the network that answered each, int [B]: 0 is the
    first.

    Features are those of the main network, and zeros for photos that an earlier one answered: each network has its own
    feature space. ``parts`` and ``objections`` are as in :class:`SecondLookResult`.
    """

    output: RawOutput
    stage: np.ndarray
    parts: Mapping[int, Box]
    objections: Mapping[int, float]


class Cascade:
    """Runs the networks of a bundle in the order of ``manifest.networks``, the main one last.

    Photos that leave the main network in doubt get a ``second_look``, if the model has one.
    """

    def __init__(self, manifest: Manifest, engines: Sequence[Engine], second_look: SecondLookProtocol | None = None):
        self.engines = tuple(engines)
        self.second_look = second_look
        self._manifest = manifest
        self._learned = manifest.learned
        self._decoded_side = manifest.decoded_side
        self._preprocesses = tuple(network.preprocess for network in manifest.networks)

    def decode(
        self, photo: Photo, limits: Limits = DEFAULT_LIMITS, *, detail: int = 1, warn: Warn | None = None
    ) -> np.ndarray:
        """Decode a photo large enough for every network, or ``detail`` times as large: RGB uint8 [H, W, 3].

        :raises ImageError: it cannot be read.
        """
        return read_photo(photo, shorter_side=detail * self._decoded_side, limits=limits, warn=warn)

    def decode_again(self, photo: Photo, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
        """Decode a photo a second time, in more detail, so that parts of it can be cut out.

        :raises ImageError: it cannot be read.
        """
        return self.decode(photo, limits, detail=DETAIL, warn=ignore_warning)

    def decode_closest(self, photo: Photo, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
        """Decode a photo a second time: in more detail or, if it is too large for that, as at first.

        :raises ImageError: it cannot be read.
        """
        try:
            return self.decode_again(photo, limits)
        except ImageError:
            return self.decode(photo, limits, warn=ignore_warning)

    def squares(self, pixels: np.ndarray) -> Squares:
        """The input of each network for a decoded photo."""
        return tuple(to_square(preprocess, pixels) for preprocess in self._preprocesses)

    def __call__(
        self, photos: Sequence[Squares], decode: Callable[[int], np.ndarray], *, closer: bool = True
    ) -> CascadeOutput:
        """Return the output for photos, in their order; ``decode`` is as in :class:`PhotoAccess`, ``closer`` as in
        :class:`SecondLookProtocol`.

        :raises BundleError: the output of a network holds NaN or infinity.
        """
        stages = []
        for stage in self.run_stages(photos):
            _check_finite(stage.output)
            stages.append(stage)
        return self.finish(stages, decode, closer=closer)

    def run_stages(self, photos: Sequence[Squares]) -> Iterator[StageOutput]:
        """Run each network on the photos that none before it is sure of."""
        waiting = np.arange(len(photos))
        for stage, engine in enumerate(self.engines):
            output = engine(seen_by(stage, [photos[row] for row in waiting.tolist()]))
            sure = self._sure(stage, output)
            yield StageOutput(waiting, output, sure)
            waiting = waiting[~sure]
            if not len(waiting):
                return

    def finish(
        self, stages: Sequence[StageOutput], decode: Callable[[int], np.ndarray], *, closer: bool = True
    ) -> CascadeOutput:
        """Merge the outputs of the networks that were sure, and take a second look at photos that the main one
        answered.
        """
        found = self._merge(stages)
        if self.second_look is None:
            return found
        access = PhotoAccess(decode, self.squares, self._run_main)
        by_main = found.stage == len(self.engines) - 1
        return found._replace(**self.second_look(found.output, access, rows=by_main, closer=closer)._asdict())

    def judge(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Species probabilities of N parts of photos, each RGB uint8 [H, W, 3], by the main network: float64 [N, S].

        Each part is assumed to show a known species.
        """
        output = self._run_main([self.squares(part) for part in parts])
        return species_probabilities(self._manifest.calibration.joint(output.outputs), self._manifest.taxonomy)

    def _run_main(self, photos: Sequence[Squares]) -> RawOutput:
        main = len(self.engines) - 1
        output = self.engines[main](seen_by(main, photos))
        _check_finite(output)
        return output

    def _merge(self, stages: Sequence[StageOutput]) -> CascadeOutput:
        outputs = [self._sure_output(number, stage) for number, stage in enumerate(stages)]
        if len(outputs) == 1:
            return CascadeOutput(outputs[0], np.zeros(len(stages[0].rows), np.int64), {}, {})
        rows = [stage.rows[stage.sure] for stage in stages]
        answered_by = np.repeat(np.arange(len(stages)), [len(own) for own in rows])
        order = np.argsort(np.concatenate(rows))
        output = RawOutput(*(np.concatenate(arrays)[order] for arrays in zip(*outputs, strict=True)))
        return CascadeOutput(output, answered_by[order], {}, {})

    def certainty(self, stage: int, output: RawOutput) -> np.ndarray:
        """Certainty of an early network about each photo, float64 [B], to be compared with its threshold."""
        m = self._manifest
        calibration = m.calibration.with_temperatures(m.early[stage].temperatures)
        return calibration.certainty(output.outputs, self._learned)

    def _sure(self, stage: int, output: RawOutput) -> np.ndarray:
        """Which photos a network is sure of, bool [B]; the main one is sure of all."""
        early = self._manifest.early
        if stage == len(early):
            return np.ones(len(output.species), dtype=bool)
        return self.certainty(stage, output) > early[stage].threshold

    def _sure_output(self, number: int, stage: StageOutput) -> RawOutput:
        """The output for the photos that a network is sure of, on the scale of the main network."""
        m = self._manifest
        if not m.early:
            return stage.output
        output = RawOutput(*(array[stage.sure] for array in stage.output))
        if number < len(m.early):
            own = m.early[number].temperatures
            species, leaf = on_main_scale(output.species, output.leaf, m.taxonomy, own=own, main=m.temperatures)
            no_features = np.zeros((len(species), m.backbone.feature_dim), np.float32)
            output = RawOutput(no_features, species, leaf, output.scores)
        return output


def seen_by(stage: int, photos: Sequence[Squares]) -> np.ndarray:
    """The input batch of the network at a stage, RGB uint8 [B, size, size, 3]."""
    return np.stack([squares[stage] for squares in photos])


def _check_finite(output: RawOutput) -> None:
    """:raises BundleError: it holds NaN or infinity."""
    if not all(np.isfinite(array).all() for array in output):
        raise BundleError("the network gives NaN or infinity: the bundle is damaged, or --precision too low for it")
