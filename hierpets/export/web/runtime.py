"""ONNX Runtime Web, which runs the networks in the browser: a fixed version from npm, verified by its digest."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from hierpets.errors import ConfigError, reason_of
from hierpets.files import cache_dir, write_file

__all__ = ["RUNTIME", "TARBALL", "read_runtime"]

RUNTIME = "onnxruntime-web@1.30.0"
TARBALL = RUNTIME.replace("@", "-") + ".tgz"
SHA512 = (
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
FILES = {
    # The smallest build: WebAssembly alone, without WebGPU, its loader in the same script.
    "package/dist/ort.wasm.bundle.min.mjs": "ort.js",
    "package/dist/ort-wasm-simd-threaded.wasm": "ort.wasm",
}
ADVICE = f"run `npm pack {RUNTIME}` where there is npm and a network, then export with --runtime {TARBALL}"


def read_runtime(file: Path | None = None) -> dict[str, bytes]:
    """Read the files of the runtime, by their names in an exported page, from an npm tarball: ``file``, the cached one,
    or one that npm downloads once.

    :raises ConfigError: the file does not exist or is another version, or npm cannot download it.
    """
    tarball = file if file is not None else cache_dir() / TARBALL
    if file is None and not tarball.is_file():
        _download(tarball)
    try:
        content = tarball.read_bytes()
    except OSError as error:
        raise ConfigError(f"{tarball}: cannot be read: {reason_of(error)}; {ADVICE}") from error
    if hashlib.sha512(content).hexdigest() != SHA512:
        raise ConfigError(f"{tarball}: not the package {RUNTIME}, or damaged; remove it and {ADVICE}")
    return _unpack(tarball)


def _unpack(tarball: Path) -> dict[str, bytes]:
    """Extract the files that the page needs from a verified tarball."""
    found = {}
    with tarfile.open(tarball, "r|gz") as package:  # as a stream: seeking back would decompress from the start again
        for member in package:
            if member.name in FILES and (content := package.extractfile(member)) is not None:
                found[FILES[member.name]] = content.read()
    return found


def _download(into: Path) -> None:
    """Download the tarball with npm itself, so that its settings apply, such as a mirror."""
    npm = shutil.which("npm")
    if npm is None:
        raise ConfigError(f"--format web needs {RUNTIME}, and there is no npm here to download it with; {ADVICE}")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", RUNTIME, "--silent", "--pack-destination", folder]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)  # noqa: S603
        packed = Path(folder) / TARBALL
        if done.returncode or not packed.is_file():
            errors = done.stderr.strip().splitlines()
            why = f" ({errors[0]})" if errors else ""
            raise ConfigError(f"--format web needs {RUNTIME}, which npm cannot download{why}; {ADVICE}")
        write_file(into, packed.read_bytes())
