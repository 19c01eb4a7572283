"""Everything that `compare` and `report` show of results, in order. Prints nothing."""

from collections.abc import Iterator

from rich.console import RenderableType

from ipcbench.analysis import frame
from ipcbench.analysis.store import Results
from ipcbench.analysis.warnings import objections, summarised
from ipcbench.reporters import matrix, table
from ipcbench.reporters.overview import overviews


def summary(
    results: Results,
    baseline: str | None = None,
    *,
    percentiles: bool = False,
    details: bool = False,
    overview: bool = False,
) -> Iterator[RenderableType]:
    """Tables, then reasons, then what the numbers rest on, then warnings."""
    cases, launches = frame.cases(results, baseline), frame.launches(results)
    if overview:
        yield from overviews(cases)
    yield from table.tables(cases[~matrix.is_part(cases)])
    yield from table.tax_tables(cases)
    yield from matrix.matrices(cases)
    if percentiles:
        yield from table.percentile_tables(cases)
    if details:
        yield from table.cost_tables(cases)
    yield from table.reasons(cases)
    yield from table.footer(launches, cases)
    yield from table.warnings(summarised(objections(results, launches)))
