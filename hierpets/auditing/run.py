"""An audit from end to end: list the photos, examine them, and write the result."""

from __future__ import annotations

import json
import os
from pathlib import Path

from hierpets.auditing.findings import AUDIT_FILE, PAGE_FILE, Audit
from hierpets.auditing.settings import AuditSettings
from hierpets.data.labeled.index import check_apart, read_index
from hierpets.files import check_output, write_all
from hierpets.inference.engines.base import Device, choose_device
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import Registry, load_registry
from hierpets.validation.arguments import checked

__all__ = ["BACKBONE", "audit"]

BACKBONE = "efficientnet_lite0"  # the fastest of the embedded ones


@checked
def audit(
    data: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    backbone: str = BACKBONE,
    device: Device = "auto",
    registry: Registry | str | os.PathLike[str] | None = None,
    settings: AuditSettings | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Audit:
    """Find problems in labeled photos: a folder ``SPECIES/BREED/photo.jpg``, a CSV, ``demo``, or a source of one of the
    readers.

    With ``out``, ``audit.json`` and ``audit.html`` are written to that folder; ``overwrite`` replaces older ones.
    ``backbone`` is the plugin whose features are compared. Image statistics and features are cached as they are
    computed, so that an interrupted audit continues where it stopped. Memory holds a few photos at a time, and one
    feature vector per photo.

    :raises ConfigError: ``out`` already contains an audit, is inside the data, or cannot be written.
    :raises DataError: there are no labeled photos, or labels contradict each other.
    :raises RegistryError, PluginError: the registry is invalid, or the backbone plugin does not exist or fails.
    :raises DeviceError: the device is not available.
    """
    if out is not None:
        check_output(Path(out) / AUDIT_FILE, overwrite=overwrite)
        check_apart(out, data)
    plugins = load_registry(registry)
    chosen = choose_device(device)
    index = read_index(os.fspath(data), registry=plugins)
    # Importing torch takes seconds, so it is done only once photos have been found.
    from hierpets.auditing.examination import examine_photos

    result = examine_photos(os.fspath(data), index, backbone, chosen, plugins, settings or AuditSettings(), progress)
    if out is not None:
        from hierpets.auditing.page import render_page

        document = json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n"
        write_all(Path(out), {AUDIT_FILE: document, PAGE_FILE: render_page(result)})
    return result
