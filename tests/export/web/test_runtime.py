"""The runtime of the page: one version, from a file, the cache or npm."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from hierpets.errors import ConfigError
from hierpets.export.web import runtime
from hierpets.export.web.runtime import FILES, RUNTIME, TARBALL, read_runtime


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HIERPETS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def packed(monkeypatch):
    """A tarball with the files that are looked for, taken for the real one."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as package:
        for name in (*FILES, "package/other.js"):
            entry = tarfile.TarInfo(name)
            entry.size = len(name)
            package.addfile(entry, io.BytesIO(name.encode()))
    content = file.getvalue()
    monkeypatch.setattr(runtime, "SHA512", hashlib.sha512(content).hexdigest())
    return content


def stand_in_for_npm(folder, monkeypatch, script):
    if os.name != "posix":
        pytest.skip("system: needs a shell")
    folder.mkdir()
    npm = folder / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def expected():
    return {place: name.encode() for name, place in FILES.items()}


def test_runtime_is_read_from_a_file(tmp_path, packed):
    (tmp_path / "mine.tgz").write_bytes(packed)
    assert read_runtime(tmp_path / "mine.tgz") == expected()


def test_runtime_is_downloaded_once(tmp_path, cache, packed, monkeypatch):
    (tmp_path / "source.tgz").write_bytes(packed)
    log = tmp_path / "log"
    script = f'echo "$@" >> {log}\nfor last; do :; done\ncp {tmp_path}/source.tgz "$last/{TARBALL}"'
    stand_in_for_npm(tmp_path / "bin", monkeypatch, script)
    assert read_runtime() == read_runtime() == expected()
    (line,) = log.read_text(encoding="utf-8").splitlines()
    assert line.startswith(f"pack {RUNTIME} ")
    assert (cache / TARBALL).read_bytes() == packed


@pytest.mark.parametrize("content", [b"", b"not a tarball"])
def test_runtime_of_another_digest_is_refused(tmp_path, content):
    (tmp_path / "other.tgz").write_bytes(content)
    with pytest.raises(ConfigError, match=rf"other\.tgz: not the package {RUNTIME}.*npm pack"):
        read_runtime(tmp_path / "other.tgz")


def test_runtime_that_npm_cannot_download_is_one_line(tmp_path, cache, monkeypatch):
    stand_in_for_npm(tmp_path / "bin", monkeypatch, "echo 'npm error code ENOTFOUND' >&2; exit 1")
    with pytest.raises(ConfigError, match=r"npm cannot download \(npm error code ENOTFOUND\).*--runtime") as caught:
        read_runtime()
    assert "\n" not in str(caught.value) and not cache.exists()


def test_runtime_without_npm_says_what_to_do(cache, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match=rf"no npm here.*npm pack {RUNTIME}.*--runtime {TARBALL}"):
        read_runtime()


def test_runtime_is_the_version_that_its_digest_is_of(onnxruntime_web):
    files = read_runtime(Path(onnxruntime_web))
    assert f"ONNX Runtime Web v{RUNTIME.split('@')[1]}".encode() in files["ort.js"]
