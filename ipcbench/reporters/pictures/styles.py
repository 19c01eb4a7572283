"""Styles of series: colours that any eye can distinguish, each with a dash and a shape.

The hues are Okabe & Ito's ("Color Universal Design", 2008), orange and sky blue darkened until they
stand out from white. Each colour has a counterpart for a dark ground; a page's style sheet swaps
them, so that one drawing serves both.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Style(NamedTuple):
    """The colour, dash and marker shape of a series."""

    colour: str
    dash: tuple[int, ...]
    shape: str


INK, QUIET, GRID, GROUND = "#1f2328", "#59636e", "#d8dee4", "#ffffff"
FIRST, SECOND = "#0072b2", "#d55e00"

DARK = {
    INK: "#e6edf3",
    QUIET: "#9aa4b0",
    GRID: "#30363d",
    FIRST: "#4fa8e8",
    SECOND: "#f0833a",
    "#009e73": "#2fc49a",
    "#cc79a7": "#e79bc5",
    "#b87a00": "#f0b429",
    "#3a95cc": "#8ecff5",
    "#8c5a2b": "#c9955f",
}
"""The counterpart of each colour on a dark ground."""

STYLES = (
    Style(FIRST, (1, 0), "circle"),
    Style(SECOND, (6, 3), "square"),
    Style("#009e73", (2, 2), "triangle-up"),
    Style("#cc79a7", (8, 2, 2, 2), "diamond"),
    Style("#b87a00", (4, 2), "cross"),
    Style("#3a95cc", (10, 3), "triangle-down"),
    Style(INK, (1, 2), "triangle-right"),
    Style("#8c5a2b", (6, 2, 1, 2), "triangle-left"),
)
"""The styles of series; a picture distinguishes at most as many."""


def highlighted(names: Sequence[str], first: Sequence[str]) -> dict[str, Style]:
    """The style of each series drawn in colour: all, or as many as there are styles.

    Both sequences are sorted by importance; names in `first` come before the rest of `names`.
    """
    there = [name for name in first if name in names]
    chosen = list(dict.fromkeys([*there, *names]))[: len(STYLES)]
    return dict(zip(chosen, STYLES, strict=False))
