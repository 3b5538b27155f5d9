"""The kinds of findings, the most serious first: their titles, and what to do about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["BLOCKING", "KINDS", "SERIOUS", "Kind", "KindText"]

Kind = Literal[
    "unreadable",
    "truncated",
    "leak",
    "label_conflict",
    "misspelled",
    "label_error",
    "outlier",
    "near_black",
    "near_white",
    "uniform",
    "duplicate",
    "wrong_type",
    "tiny",
    "huge",
    "gray",
]


@dataclass(frozen=True)
class KindText:
    """The title of a kind of finding, and what to do about it."""

    title: str
    advice: str


KINDS: dict[Kind, KindText] = {
    "unreadable": KindText(
        "Unreadable files", "Download them again or remove them; training leaves them out, or stops with --strict."
    ),
    "truncated": KindText("Truncated files", "Download them again: they still decode, but parts may be filled in."),
    "leak": KindText("Same photo in two splits", "Keep it in one split: a photo seen in training is no test."),
    "label_conflict": KindText(
        "Same photo under two labels", "One of the labels is wrong, or the photo shows two animals."
    ),
    "misspelled": KindText(
        "Classes that may be misspelled",
        "Rename those that are meant to be one with another: each is learned by itself.",
    ),
    "label_error": KindText(
        "Suspected label errors", "Review each, best first: some labels are wrong, some photos are hard."
    ),
    "outlier": KindText("Outliers", "Unlike any other photo in this data set; look before you remove them."),
    "near_black": KindText("Nearly black", "Nothing can be learned from them."),
    "near_white": KindText("Nearly white", "Nothing can be learned from them."),
    "uniform": KindText("Uniform image", "They show almost nothing."),
    "duplicate": KindText("Duplicates", "Keep one of each: a random split would put copies on both sides."),
    "wrong_type": KindText(
        "Extension does not match content", "Rename them: hierpets goes by the content, other tools may not."
    ),
    "tiny": KindText("Tiny", "They are enlarged for the network, which blurs them."),
    "huge": KindText("Huge", "They are slow to decode for no gain; resize them."),
    "gray": KindText("Grayscale", "Many breeds are recognized by coat color."),
}

BLOCKING: tuple[Kind, ...] = ("unreadable", "leak")
"""The kinds for which ``--strict`` fails."""

SERIOUS: dict[Kind, tuple[str, str]] = {
    "unreadable": ("unreadable file", "unreadable files"),
    "leak": ("photo in two splits", "photos in two splits"),
    "label_conflict": ("photo under two labels", "photos under two labels"),
    "misspelled": ("class that may be misspelled", "classes that may be misspelled"),
    "label_error": ("suspected label error", "suspected label errors"),
    "outlier": ("outlier", "outliers"),
}
