"""Renders charts as SVG and PNG, without a browser. Loads vl-convert."""

from html import escape

import altair
import vl_convert

from ipcbench.reporters.pictures.charts import Drawn
from ipcbench.reporters.pictures.styles import GRID, GROUND, INK, QUIET

_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
"""Fonts of all texts; vl-convert bundles the first, so texts are as wide on every machine."""
_PNG_SCALE = 2
_AXIS = {
    "domainColor": QUIET,
    "gridColor": GRID,
    "labelColor": INK,
    "labelFontSize": 13,
    "tickColor": QUIET,
    "titleColor": INK,
    "titleFontSize": 13,
    "titleFontWeight": "normal",
    "titlePadding": 8,
}
_THEME = {
    "aria": False,  # a picture has one text alternative, not one a mark
    "axis": _AXIS,
    "background": GROUND,
    "font": _FONT,
    "legend": {"labelColor": INK, "labelFontSize": 13, "labelLimit": 200, "rowPadding": 5},
    "line": {"strokeWidth": 2},
    "padding": 4,
    "text": {"fontSize": 12},
    "view": {"stroke": None},
}


def svg_of(chart: Drawn) -> str:
    """The chart as an SVG document on a white ground; equal charts give equal texts."""
    version = ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    return vl_convert.vegalite_to_svg(chart.to_dict(), vl_version=version, config=_THEME)


def with_words(svg: str, title: str, says: str) -> str:
    """Adds a title and a description to an SVG document, for screen readers and tooltips."""
    start, end, rest = svg.partition(">")
    return f"{start}{end}<title>{escape(title)}</title><desc>{escape(says)}</desc>{rest}"


def png_of(svg: str) -> bytes:
    """The SVG document as PNG, at twice its nominal size."""
    return vl_convert.svg_to_png(svg, scale=_PNG_SCALE)
