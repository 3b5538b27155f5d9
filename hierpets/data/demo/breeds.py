"""The demo set's species and breeds: how each looks, and how many photos there are of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hierpets.data.demo.canvas import Colour

__all__ = ["BREEDS", "Look"]

WHITE, CREAM, BLACK, BROWN = (240.0, 236.0, 230.0), (228.0, 212.0, 186.0), (46.0, 43.0, 46.0), (84.0, 58.0, 44.0)
ORANGE, GOLD, FAWN, GREY, TAN = (
    (222.0, 138.0, 62.0),
    (212.0, 164.0, 96.0),
    (214.0, 178.0, 136.0),
    (126.0, 130.0, 138.0),
    (184.0, 120.0, 66.0),
)
AMBER, GREEN, BLUE, DARK = (206.0, 160.0, 40.0), (128.0, 168.0, 84.0), (96.0, 160.0, 220.0), (52.0, 34.0, 24.0)


@dataclass(frozen=True)
class Look:
    """Colours from most to least, the pattern they make, and the shape of the head (1 is the species' own)."""

    photos: int
    coat: tuple[Colour, ...]
    pattern: Literal["plain", "patches", "stripes", "points", "bib", "spots", "mask", "wolf", "saddle", "curls"]
    eyes: Colour
    ears: Literal["upright", "hanging", "button", "long", "curly"]
    width: float = 1.0
    muzzle: float = 1.0


# The counts differ on purpose, between the species and within each: that is what users have.
# A breed of None has no name: a cat of no stated breed, and a species that is not divided into breeds.
BREEDS: dict[tuple[str, str | None], Look] = {
    ("cat", "calico"): Look(26, (WHITE, ORANGE, BLACK), "patches", GREEN, "upright"),
    ("cat", "ginger"): Look(38, (ORANGE, (184.0, 96.0, 36.0)), "stripes", AMBER, "upright"),
    ("cat", "siamese"): Look(18, (CREAM, BROWN), "points", BLUE, "upright", 0.92),
    ("cat", "tuxedo"): Look(30, (BLACK, WHITE), "bib", AMBER, "upright"),
    ("cat", None): Look(10, (GREY, (78.0, 78.0, 84.0)), "stripes", GREEN, "upright"),
    ("dog", "beagle"): Look(24, (WHITE, TAN, BLACK), "saddle", DARK, "hanging"),
    ("dog", "dalmatian"): Look(44, (WHITE, BLACK), "spots", DARK, "hanging", 0.95),
    ("dog", "golden"): Look(60, (GOLD, (232.0, 200.0, 150.0)), "plain", DARK, "hanging", 1.0, 1.08),
    ("dog", "husky"): Look(32, (GREY, WHITE), "wolf", BLUE, "upright"),
    ("dog", "poodle"): Look(18, ((226.0, 190.0, 160.0), (206.0, 164.0, 130.0)), "curls", DARK, "curly", 0.85, 0.85),
    ("dog", "pug"): Look(36, (FAWN, BLACK), "mask", DARK, "button", 1.18, 0.8),
    ("rabbit", None): Look(24, ((186.0, 160.0, 136.0), WHITE), "plain", DARK, "long"),
}
