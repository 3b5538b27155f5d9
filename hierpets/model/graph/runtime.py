"""OpenVINO without its model converter, which no prediction needs and which is imported when first called.

``import openvino`` brings the converter and its telemetry along, which take as long as all the rest.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

__all__ = ["openvino"]

CONVERTER = "openvino.tools.ovc"


def _convert_model(*args: Any, **options: Any) -> Any:
    return importlib.import_module(CONVERTER).convert_model(*args, **options)


if "openvino" not in sys.modules:
    sys.modules[CONVERTER] = None  # type: ignore[assignment]  # so Python notes that a module is not to be found
    try:
        import openvino
    finally:
        del sys.modules[CONVERTER]
    openvino.convert_model = _convert_model
else:
    import openvino
