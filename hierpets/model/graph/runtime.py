"""OpenVINO, imported without its model converter, which prediction does not need.

``import openvino`` also imports the converter and its telemetry, which take as long as all the rest. Here they are
imported when the converter is first called.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

__all__ = ["openvino", "without_telemetry"]

CONVERTER, TELEMETRY = "openvino.tools.ovc", "openvino_telemetry"


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Make imports of a module fail inside the context, even if it is loaded already."""
    loaded = sys.modules.get(module)
    sys.modules[module] = None  # type: ignore[assignment]  # Python's own mark of a module that cannot be imported
    try:
        yield
    finally:
        if loaded is None:
            del sys.modules[module]
        else:
            sys.modules[module] = loaded


def without_telemetry() -> AbstractContextManager[None]:
    """Let what is imported inside the context find no telemetry: it uses a stub for good.

    Nothing is sent, and no process is forked that holds our locks.
    """
    return _hidden(TELEMETRY)


def _convert_model(*args: Any, **options: Any) -> Any:
    with without_telemetry():
        converter = importlib.import_module(CONVERTER)
    with _same_logging():
        return converter.convert_model(*args, **options)


@contextmanager
def _same_logging() -> Iterator[None]:
    """Restore the root logger on exit: the converter sets every handler of the process to errors only."""
    root = logging.getLogger()
    level, filters, handlers = root.level, root.filters[:], {handler: handler.level for handler in root.handlers}
    try:
        yield
    finally:
        root.setLevel(level)
        root.filters, root.handlers = filters, list(handlers)
        for handler, own in handlers.items():
            handler.setLevel(own)


if "openvino" not in sys.modules:
    with _hidden(CONVERTER):
        import openvino
else:
    import openvino
openvino.convert_model = _convert_model
