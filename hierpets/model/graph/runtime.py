"""OpenVINO without its model converter, which no prediction needs and which is imported when first called.

``import openvino`` brings the converter and its telemetry along, which take as long as all the rest.
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
    """Let Python find no such module, unless it is there already."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # so Python notes that a module is not to be found
    try:
        yield
    finally:
        del sys.modules[module]


def _convert_model(*args: Any, **options: Any) -> Any:
    # Without its telemetry the converter takes a stub: nothing is sent, and no process is forked that holds our locks.
    with _hidden(TELEMETRY):
        converter = importlib.import_module(CONVERTER)
    with _same_logging():
        return converter.convert_model(*args, **options)


@contextmanager
def _same_logging() -> Iterator[None]:
    """The converter lets every handler of the process hear errors alone, and leaves it so."""
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
