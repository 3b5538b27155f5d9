"""Load a model once more for many photos: a core for each photo takes less time than all cores for one at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from hierpets.errors import HierpetsError

if TYPE_CHECKING:  # the command line imports this module before anything is predicted
    from hierpets.inference.predictor import Predictor

__all__ = ["FEW", "MANY", "ModelForMany"]

MANY = 32
"""Number of photos from which on a model is loaded for many, if the number is known beforehand."""
FEW = 64
"""Number of photos of a call that a model loaded for few predicts before it is loaded once more for many. Loading takes
about as much time as it saves on 150 photos."""

_log = logging.getLogger(__name__)


class ModelForMany:
    """Loads a model for many photos at the first call that has so many; any number of threads may share it."""

    def __init__(self, load: Callable[[], Predictor]):
        self._load = load
        self._loading = threading.Lock()
        self._loaded: Predictor | None = None

    def instead_of(self, few: Predictor) -> Predictor:
        """The predictor for many photos; ``few`` itself if the bundle has changed since, or cannot be loaded."""
        with self._loading:
            self._loaded = self._loaded or self._load_same(few)
        return self._loaded

    def _load_same(self, few: Predictor) -> Predictor:
        try:
            loaded = self._load()
        except HierpetsError as error:
            _log.warning("many photos will take longer: the model cannot be loaded again: %s", error)
            return few
        same = loaded.model == few.model and loaded.engine.precision == few.engine.precision
        return loaded if same else few
