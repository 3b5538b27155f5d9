"""Environment variables of libraries, set before there are threads.

Where one thread adds a variable, another that reads any may read memory that is freed: glibc before 2.41 ends the
process then. OpenVINO reads some as it compiles, in a thread beside the imports. To change one that is there is safe.
"""

from __future__ import annotations

import os

__all__ = ["MAX_PIXELS", "prepare_environment"]

MAX_PIXELS = 200_000_000

VARIABLES = {
    "LD_LIBRARY_PATH": "",  # cv2 puts a folder of its own before it as it is imported; empty, it changes nothing
    "NO_ALBUMENTATIONS_UPDATE": "1",  # or its import asks the network for a newer version
    # OpenCV reads it once, when it is loaded: what is hidden from our check of the header, it refuses itself.
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(MAX_PIXELS),
}


def prepare_environment() -> None:
    """Set what is not set yet: before cv2 or albumentations are imported, and before threads are started."""
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
