"""Many photos: a core for each of several takes less time than all cores for one after the other."""

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
"""Photos from which a model is loaded for many, where their number is known before anything is loaded."""
FEW = 64
"""Photos of a call that a model loaded for few predicts before it is loaded once more, for many, where their number is
not known: to load it takes about what it saves in 150 photos, once."""

_log = logging.getLogger(__name__)


class ModelForMany:
    """A model that is loaded for few photos, loaded for many at the first call that has as many; for any number of
    threads.
    """

    def __init__(self, load: Callable[[], Predictor]):
        self._load = load
        self._loading = threading.Lock()
        self._loaded: Predictor | None = None

    def instead_of(self, few: Predictor) -> Predictor:
        """The same model as that for ``few``, or that itself where the bundle is no longer what it was."""
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
