"""OpenVINO, imported without its model converter, which prediction does not need.

``import openvino`` also imports the converter and its telemetry, which take as long as all the rest. Here they are
imported when the converter is first called.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["openvino"]

CONVERTER, TELEMETRY = "openvino.tools.ovc", "openvino_telemetry"


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Make imports of a module fail inside the context, unless it has been imported already."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # Python's own mark of a module that cannot be imported
    try:
        yield
    finally:
        del sys.modules[module]


def _convert_model(*args: Any, **options: Any) -> Any:
    # Without its telemetry the converter uses a stub: nothing is sent, and no forked process holds our locks.
    with _hidden(TELEMETRY):
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
