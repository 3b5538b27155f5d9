"""Grad-CAM for the page, in a process of its own: torch with its imports takes up to a gigabyte, which a process gives
back only when it ends. This one starts on first use and ends after a while without requests.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from hierpets.bundle.manifest import read_manifest
from hierpets.children import child_command, child_environment
from hierpets.errors import HierpetsError, InternalError
from hierpets.inference.options import PredictOptions
from hierpets.libraries import is_installed
from hierpets.registry.loading import Registry

__all__ = ["IDLE_SECONDS", "ExplainerProcess", "lazy_explainer"]

IDLE_SECONDS = 60.0
EXPLAIN_SECONDS = 60.0
"""Time limit for one photo. The first one includes importing torch, which takes half of it on a slow disk."""


def lazy_explainer(bundle: Path, registry: Registry) -> ExplainerProcess | None:
    """Return a function that maps a photo and the options of its prediction to a PNG of where the model looked.

    Return None if torch is not installed or the bundle's backbone is not registered.
    """
    if not is_installed("torch"):
        return None
    try:
        registry.get("backbone", read_manifest(bundle).backbone.name)
    except HierpetsError:
        return None
    return ExplainerProcess(bundle, registry.path)


class ExplainerProcess:
    """Explains one photo at a time in a process of ``hierpets.serve.explaining_process``."""

    def __init__(
        self,
        bundle: Path,
        registry: Path,
        *,
        idle_seconds: float = IDLE_SECONDS,
        explain_seconds: float = EXPLAIN_SECONDS,
    ):
        self._command = child_command("hierpets.serve.explaining_process", str(bundle), str(registry))
        self._idle_seconds, self._explain_seconds = idle_seconds, explain_seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._timer: threading.Timer | None = None

    @property
    def running(self) -> bool:
        """Whether the process is running, and so takes memory."""
        return self._process is not None and self._process.poll() is None

    def __call__(self, photo: np.ndarray, options: PredictOptions) -> bytes:
        """Return a PNG of where the model looked in a photo, RGB uint8 [H, W, 3], to predict it with these options.

        :raises HierpetsError: the backbone cannot be explained, or the process has ended.
        :raises TimeoutError: it took too long, and the process was killed.
        """
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            start = time.monotonic()
            try:
                process = self._running_process()
                with _killed_after(self._explain_seconds, process):
                    return self._ask(process, photo, options)
            except (OSError, ValueError) as error:  # a broken pipe, or half a response
                self._end()
                if time.monotonic() - start >= self._explain_seconds:
                    raise TimeoutError(f"no explanation within {self._explain_seconds:g} s") from error
                raise InternalError("the process that explains photos has ended; try again") from error
            finally:
                self._timer = threading.Timer(self._idle_seconds, self.close)
                self._timer.daemon = True
                self._timer.start()

    def close(self) -> None:
        """End the process; the next photo starts another."""
        with self._lock:
            self._end()

    def stop(self) -> None:
        """Kill the process, even while it explains a photo: nobody waits for the result any more."""
        if (process := self._process) is not None:
            process.kill()

    def _running_process(self) -> subprocess.Popen[bytes]:
        if self._process is None or not self.running:
            self._end()
            # In a session of its own, so that Ctrl-C stops only the server; the process ends when its input is closed.
            self._process = subprocess.Popen(  # noqa: S603
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=child_environment(),
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same on Windows
            )
        return self._process

    def _ask(self, process: subprocess.Popen[bytes], photo: np.ndarray, options: PredictOptions) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        head = {"shape": photo.shape, "options": options.model_dump(mode="json")}
        process.stdin.write(json.dumps(head).encode() + b"\n" + photo.tobytes())
        process.stdin.flush()
        response = json.loads(process.stdout.readline())
        if response["error"] is not None:
            raise HierpetsError(response["error"])
        picture = process.stdout.read(response["size"])
        if len(picture) < response["size"]:
            raise ValueError("half a response")
        return picture

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._process = None


@contextmanager
def _killed_after(seconds: float, process: subprocess.Popen[bytes]) -> Iterator[None]:
    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
