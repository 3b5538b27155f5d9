"""Networks asked in turn: a photo is answered by the first that is sure of it, and costs no more than that.

What a network says of a photo, and whether that is sure, depends on the photo alone, never on its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from hierpets.bundle.manifest import Manifest
from hierpets.data.decoding.damage import Warn, told_before
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
    "LookAgain",
    "Reconsider",
    "Reconsidered",
    "Squares",
    "Turn",
    "seen_by",
]

Squares = tuple[np.ndarray, ...]
"""One photo as each network will see it: RGB uint8 [size, size, 3]. They take less memory than the photo, whatever size
that has."""


DETAIL = 2  # times the side that a photo is decoded at as a whole: what is cut out of it is smaller


class LookAgain(NamedTuple):
    """How photos are looked at again: ``read`` gives one by its number in the batch, RGB uint8 [H, W, 3], decoded in
    more detail than at first; ``see`` what networks see of a part of it, and ``ask`` what the main one says of that.
    """

    read: Callable[[int], np.ndarray]
    see: Callable[[np.ndarray], Squares]
    ask: Callable[[Sequence[Squares]], RawOutput]


class Reconsidered(NamedTuple):
    """The ``output`` for photos after a second look; by their numbers, which ``parts`` of them were seen, and the
    ``objections`` to their showing a pet: by how much their pet scores were lowered.
    """

    output: RawOutput
    parts: Mapping[int, Box]
    objections: Mapping[int, float]


class Reconsider(Protocol):
    """What becomes of the output for a batch of B photos at a second look; without ``closer``, no part of them is seen.
    ``rows`` bool [B]: which may be looked at again.
    """

    def __call__(self, output: RawOutput, again: LookAgain, *, rows: np.ndarray, closer: bool) -> Reconsidered: ...


class Turn(NamedTuple):
    """A network's ``output`` for the ``rows`` int [W] that waited for it, and of which it is ``sure``, bool [W]."""

    rows: np.ndarray
    output: RawOutput
    sure: np.ndarray


class CascadeOutput(NamedTuple):
    """What networks asked in turn give for B photos, and the ``stage`` of the one that was sure of each, int [B]: 0 for
    the first one asked.

    Where there are several networks, each has its own features: ``output`` has those of the main one, and zeros for
    photos that another was sure of. ``parts`` and ``objections`` are those of :class:`Reconsidered`.
    """

    output: RawOutput
    stage: np.ndarray
    parts: Mapping[int, Box]
    objections: Mapping[int, float]


class Cascade:
    """The engines of a bundle's networks, in the order of ``manifest.networks``: the main one is the last.

    Photos that leave doubt get a ``second_look``, if the model has one.
    """

    def __init__(self, manifest: Manifest, engines: Sequence[Engine], second_look: Reconsider | None = None):
        self.engines = tuple(engines)
        self.second_look = second_look
        self._manifest = manifest
        self._learned = manifest.learned
        self._decoded_side = manifest.decoded_side
        self._preprocesses = tuple(network.preprocess for network in manifest.networks)

    def decode(
        self, photo: Photo, limits: Limits = DEFAULT_LIMITS, *, detail: int = 1, warn: Warn | None = None
    ) -> np.ndarray:
        """RGB uint8 [H, W, 3], large enough for every network, or ``detail`` times as large.

        :raises ImageError: it cannot be read.
        """
        return read_photo(photo, shorter_side=detail * self._decoded_side, limits=limits, warn=warn)

    def decode_again(self, photo: Photo, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
        """The same photo in more detail than at first, for parts of it to be cut out.

        :raises ImageError: it cannot be read.
        """
        return self.decode(photo, limits, detail=DETAIL, warn=told_before)

    def decode_closest(self, photo: Photo, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
        """The same, or, where it is too large for that, in as much detail as at first.

        :raises ImageError: it cannot be read.
        """
        try:
            return self.decode_again(photo, limits)
        except ImageError:
            return self.decode(photo, limits, warn=told_before)

    def squares(self, pixels: np.ndarray) -> Squares:
        """What each network will see of a decoded photo."""
        return tuple(to_square(preprocess, pixels) for preprocess in self._preprocesses)

    def __call__(
        self, photos: Sequence[Squares], read: Callable[[int], np.ndarray], *, closer: bool = True
    ) -> CascadeOutput:
        """The output for photos, in their order; ``read`` as in :class:`LookAgain`, ``closer`` as
        :class:`Reconsider` takes it.

        :raises BundleError: the output of a network holds NaN or infinity, of which no probability can be made.
        """
        turns = []
        for turn in self.turns(photos):
            _check_finite(turn.output)
            turns.append(turn)
        return self.finish(turns, read, closer=closer)

    def turns(self, photos: Sequence[Squares]) -> Iterator[Turn]:
        """Ask each network about the photos that those before it are not sure of."""
        waiting = np.arange(len(photos))
        for stage, engine in enumerate(self.engines):
            output = engine(seen_by(stage, [photos[row] for row in waiting.tolist()]))
            turn = Turn(waiting, output, self._sure(stage, output))
            yield turn
            waiting = waiting[~turn.sure]
            if not len(waiting):
                return

    def finish(self, turns: Sequence[Turn], read: Callable[[int], np.ndarray], *, closer: bool = True) -> CascadeOutput:
        """For each photo the output of the network that was sure, and what a second look makes of the main one's."""
        found = self._in_order(turns)
        if self.second_look is None:
            return found
        again = LookAgain(read, self.squares, self._ask_main)
        by_main = found.stage == len(self.engines) - 1
        return found._replace(**self.second_look(found.output, again, rows=by_main, closer=closer)._asdict())

    def judge(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """How probable each species is in parts of photos, each RGB uint8 [H, W, 3], to the main network, taken that
        each shows one of them: float64 [N, S].
        """
        output = self._ask_main([self.squares(part) for part in parts])
        return species_probabilities(self._manifest.calibration.joint(output.outputs), self._manifest.taxonomy)

    def _ask_main(self, photos: Sequence[Squares]) -> RawOutput:
        main = len(self.engines) - 1
        output = self.engines[main](seen_by(main, photos))
        _check_finite(output)
        return output

    def _in_order(self, turns: Sequence[Turn]) -> CascadeOutput:
        parts = [self._sure_output(stage, turn) for stage, turn in enumerate(turns)]
        if len(parts) == 1:
            return CascadeOutput(parts[0], np.zeros(len(turns[0].rows), np.int64), {}, {})
        rows = [turn.rows[turn.sure] for turn in turns]
        stages = np.repeat(np.arange(len(turns)), [len(own) for own in rows])
        order = np.argsort(np.concatenate(rows))
        output = RawOutput(*(np.concatenate(arrays)[order] for arrays in zip(*parts, strict=True)))
        return CascadeOutput(output, stages[order], {}, {})

    def certainty(self, stage: int, output: RawOutput) -> np.ndarray:
        """How certain an early network is of each photo, float64 [B]: what its threshold is for."""
        m = self._manifest
        calibration = m.calibration.with_temperatures(m.early[stage].temperatures)
        return calibration.certainty(output.outputs, self._learned)

    def _sure(self, stage: int, output: RawOutput) -> np.ndarray:
        """bool [B]: which photos a network is sure of; the main one of all."""
        early = self._manifest.early
        if stage == len(early):
            return np.ones(len(output.species), dtype=bool)
        return self.certainty(stage, output) > early[stage].threshold

    def _sure_output(self, stage: int, turn: Turn) -> RawOutput:
        """The output for the photos that a network is sure of, on the scale of the main one."""
        m = self._manifest
        if not m.early:
            return turn.output
        output = RawOutput(*(array[turn.sure] for array in turn.output))
        if stage < len(m.early):
            own = m.early[stage].temperatures
            species, leaf = on_main_scale(output.species, output.leaf, m.taxonomy, own=own, main=m.temperatures)
            nothing = np.zeros((len(species), m.backbone.feature_dim), np.float32)
            output = RawOutput(nothing, species, leaf, output.scores)
        return output


def seen_by(stage: int, photos: Sequence[Squares]) -> np.ndarray:
    """What one of the networks sees of a batch, RGB uint8 [B, size, size, 3]."""
    return np.stack([squares[stage] for squares in photos])


def _check_finite(output: RawOutput) -> None:
    """:raises BundleError: it holds NaN or infinity."""
    if not all(np.isfinite(array).all() for array in output):
        raise BundleError("the network gives NaN or infinity: the bundle is damaged, or --precision too low for it")
