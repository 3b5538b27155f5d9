"""A digest of everything that recommendations depend on: two runs with the same digest recommend the same."""

from __future__ import annotations

import hashlib
import json

from hierpets.errors import ConfigError, reason_of
from hierpets.recommend.loading import catalog_paths
from hierpets.registry.loading import Registry

__all__ = ["rules_digest"]


def rules_digest(registry: Registry) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the shampoo rules, in their order and with their options, of
    their files and those of the catalog.

    :raises ConfigError: one of these files cannot be read.
    """
    rules = registry.of_kind("shampoo_rule")
    named = [(rule.name, rule.function, rule.options) for rule in rules]
    digest = hashlib.sha256(json.dumps(named, default=str).encode())
    try:
        for file in (*(rule.file for rule in rules), *catalog_paths(registry.path)):
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be read: {reason_of(error)}") from error
    return digest.hexdigest()[:16]
