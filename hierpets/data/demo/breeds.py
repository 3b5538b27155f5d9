"""The demo set's species and breeds: how each looks, and how many photos there are of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hierpets.data.demo.canvas import Color

__all__ = ["BREEDS", "Look"]

WHITE, CREAM, BLACK, BROWN = (240.0, 236.0, 230.0), (228.0, 212.0, 186.0), (46.0, 43.0, 46.0), (84.0, 58.0, 44.0)
ORANGE, RUST, TAN = (222.0, 138.0, 62.0), (184.0, 96.0, 36.0), (184.0, 120.0, 66.0)
GOLD, BLOND, FAWN = (208.0, 160.0, 96.0), (222.0, 184.0, 128.0), (214.0, 178.0, 136.0)
APRICOT, PEACH, HARE = (226.0, 190.0, 160.0), (206.0, 164.0, 130.0), (186.0, 160.0, 136.0)
GRAY, SLATE = (126.0, 130.0, 138.0), (78.0, 78.0, 84.0)
AMBER, GREEN, BLUE, DARK = (206.0, 160.0, 40.0), (128.0, 168.0, 84.0), (96.0, 160.0, 220.0), (52.0, 34.0, 24.0)


@dataclass(frozen=True)
class Look:
    """Colors from most to least, the pattern they make, and the shape of the head; 1 is the usual measure.

    ``fur`` is how far tufts stand out; ``feet`` their color where it is not the coat's.
    """

    photos: int
    coat: tuple[Color, ...]
    pattern: Literal[
        "plain", "smooth", "patches", "stripes", "points", "bib", "spots", "mask", "wolf", "saddle", "curls"
    ]
    eyes: Color
    ears: Literal["upright", "hanging", "button", "long", "curly"]
    width: float = 1.0
    muzzle: float = 1.0
    fur: float = 1.0
    feet: Color | None = None


# Some look alike on purpose: birman and siamese, golden and labrador. The counts differ on purpose, between the
# species and within each: that is what users have. A breed of None has no name: a cat of no stated breed, and a
# species that is not divided into breeds.
BREEDS: dict[tuple[str, str | None], Look] = {
    ("cat", "birman"): Look(14, (CREAM, BROWN), "points", BLUE, "upright", fur=1.8, feet=WHITE),
    ("cat", "calico"): Look(20, (WHITE, ORANGE, BLACK), "patches", GREEN, "upright"),
    ("cat", "ginger"): Look(28, (ORANGE, RUST), "stripes", AMBER, "upright"),
    ("cat", "siamese"): Look(18, (CREAM, BROWN), "points", BLUE, "upright", width=0.92, fur=0.3, feet=BROWN),
    ("cat", "tuxedo"): Look(22, (BLACK, WHITE), "bib", AMBER, "upright", feet=WHITE),
    ("cat", None): Look(10, (GRAY, SLATE), "stripes", GREEN, "upright"),
    ("dog", "beagle"): Look(20, (WHITE, TAN, BLACK), "saddle", DARK, "hanging", feet=WHITE),
    ("dog", "dalmatian"): Look(34, (WHITE, BLACK), "spots", DARK, "hanging", width=0.95),
    ("dog", "golden"): Look(46, (GOLD, BLOND), "plain", DARK, "hanging", fur=1.3, muzzle=1.06),
    ("dog", "husky"): Look(24, (GRAY, WHITE), "wolf", BLUE, "upright", fur=1.4, feet=WHITE),
    ("dog", "labrador"): Look(30, (BLOND, GOLD), "smooth", DARK, "hanging", muzzle=1.06),
    ("dog", "poodle"): Look(16, (APRICOT, PEACH), "curls", DARK, "curly", width=0.85, muzzle=0.85, fur=1.4),
    ("dog", "pug"): Look(28, (FAWN, BLACK), "mask", DARK, "button", width=1.18, muzzle=0.8),
    ("rabbit", None): Look(20, (HARE, WHITE), "plain", DARK, "long", fur=0.4),
}
