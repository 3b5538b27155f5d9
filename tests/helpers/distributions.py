"""Tiny installed packages: folders with a ``.dist-info``, as pip leaves them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["install", "install_editable"]

RAN = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\n"
"""Leaves a mark where it is run."""


def install(
    site: Path,
    name: str,
    files: dict[str, str],
    *,
    entry_point: str | None = None,
    version: str = "1.2",
) -> Path:
    """Put the distribution ``name`` into a folder of ``sys.path``; its package leaves a mark when it is imported."""
    package = name.replace("-", "_")
    _write(site, {f"{package}/{file}": text for file, text in {"__init__.py": RAN, **files}.items()})
    _write_metadata(site, name, version, entry_point or package)
    return site / package


def install_editable(site: Path, source: Path, name: str, files: dict[str, str]) -> Path:
    """The same with its files outside of the site, in a folder that is on ``sys.path`` as well."""
    package = name.replace("-", "_")
    _write(source, {f"{package}/{file}": text for file, text in {"__init__.py": RAN, **files}.items()})
    _write_metadata(site, name, "0.1", package)
    return source / package


def _write_metadata(site: Path, name: str, version: str, entry_point: str) -> None:
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    entry_points = f"[hierpets.plugins]\n{name} = {entry_point}\n"
    _write(site, {f"{info}/METADATA": metadata, f"{info}/entry_points.txt": entry_points})


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
