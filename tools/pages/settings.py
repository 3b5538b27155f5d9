"""``docs/settings.md``: every setting of training, from the models that validate them."""

from __future__ import annotations

from hierpets.config import TrainConfig
from hierpets.validation.reference import field_table

__all__ = ["settings_page"]

HEAD = """# Settings of training

Generated from the code by `python tools/reference.py settings`.

`hierpets train --config FILE` reads them as YAML, `--set KEY=VALUE` sets one, and
`hierpets.train(data, KEY=VALUE)` does so in Python; a key with dots is a key inside a group. Every run writes all of
them to `RUN/config.yaml`.

"""


def settings_page() -> str:
    """Return the whole page."""
    return HEAD + field_table(TrainConfig, defaults=True)
