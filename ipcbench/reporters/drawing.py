"""Charts as SVG and PNG, without a browser. Loads vl-convert."""

from html import escape

import altair
import vl_convert

from ipcbench.reporters.charts import Drawn
from ipcbench.reporters.styles import GRID, GROUND, INK, QUIET

_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
"""Named, so that texts are as wide on every machine: vl-convert carries the first."""
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
    """The chart as a document of its own, on a white ground; equal charts give equal texts."""
    version = ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    return vl_convert.vegalite_to_svg(chart.to_dict(), vl_version=version, config=_THEME)


def with_words(svg: str, title: str, says: str) -> str:
    """The picture as a file that says what it shows, to whoever reads it aloud or points at it."""
    start, end, rest = svg.partition(">")
    return f"{start}{end}<title>{escape(title)}</title><desc>{escape(says)}</desc>{rest}"


def png_of(svg: str) -> bytes:
    """The same picture in pixels, twice as many as its size says."""
    return vl_convert.svg_to_png(svg, scale=_PNG_SCALE)
