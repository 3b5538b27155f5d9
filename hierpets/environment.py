"""Environment variables for libraries, set before threads are started.

While one thread adds a variable, another thread that reads any variable may access freed memory, and glibc before 2.41
crashes. OpenVINO reads variables while it compiles, in a thread parallel to imports. Changing an existing variable is
safe.
"""

from __future__ import annotations

import os

__all__ = ["MAX_PIXELS", "prepare_environment"]

MAX_PIXELS = 200_000_000

VARIABLES = {
    "LD_LIBRARY_PATH": "",  # cv2 prepends a folder of its own when it is imported; an empty value changes nothing
    "NO_ALBUMENTATIONS_UPDATE": "1",  # otherwise, importing it looks for a newer version online
    # OpenCV, which reads this when it is loaded, refuses large images that pass our check of the header.
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(MAX_PIXELS),
}


def prepare_environment() -> None:
    """Set the variables that are not set yet. Call it before cv2 or albumentations are imported and threads started."""
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
