"""Rows of numbers in an anonymous temporary file, for more of them than fit into memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from hierpets.files import naming

__all__ = ["StoredRows"]


class StoredRows:
    """Rows float32 [N, D] to append to, and to read by slices, ``rows[a:b]``, or whole, ``np.asarray(rows)``.

    Not a memory map: every page that was read would count as memory of the process.
    """

    def __init__(self, width: int):
        self._width, self._count = width, 0
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the rows are held

    def __len__(self) -> int:
        return self._count

    def append(self, rows: np.ndarray) -> None:
        """Add rows [M, D]."""
        with naming(Path(tempfile.gettempdir())):
            self._file.seek(0, 2)
            self._file.write(np.ascontiguousarray(rows, np.float32).tobytes())
            self._file.flush()
        self._count += len(rows)

    def __getitem__(self, at: slice) -> np.ndarray:
        start, stop, _ = at.indices(self._count)
        self._file.seek(4 * self._width * start)
        content = self._file.read(4 * self._width * max(0, stop - start))
        return np.frombuffer(content, np.float32).reshape(-1, self._width)

    def __array__(self, dtype: np.typing.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)
