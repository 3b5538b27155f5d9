"""The kinds of plugin, and the arguments that hierpets passes to each before its options."""

from __future__ import annotations

from typing import Any, Literal, get_args

from hierpets.errors import did_you_mean

__all__ = ["KINDS", "LEADING_ARGUMENTS", "Kind", "check_kind"]

Kind = Literal["backbone", "sampler", "shampoo_rule", "reader", "tracker"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LEADING_ARGUMENTS: dict[Kind, tuple[str, ...]] = {
    "backbone": (),
    "sampler": ("labels",),
    "shampoo_rule": ("case",),
    "reader": ("source",),
    "tracker": ("run",),
}


def check_kind(kind: Any) -> Any:
    """Return ``kind`` if it is one.

    :raises ValueError: there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}{did_you_mean(kind, KINDS)}; known: {', '.join(KINDS)}")
    return kind
