"""Everything that `compare` and `report` show of results, in order. Prints nothing."""

from collections.abc import Iterator

from rich.console import RenderableType

from ipcbench.analysis.frame import Told, noise_floor_of
from ipcbench.analysis.judging import judged
from ipcbench.analysis.warnings import summarised
from ipcbench.reporters import matrix, table
from ipcbench.reporters.claims_page import claim_parts
from ipcbench.reporters.overview import overviews


def summary(
    told: Told,
    *,
    percentiles: bool = False,
    details: bool = False,
    overview: bool = False,
    claims: bool = False,
    tables: bool = True,
) -> Iterator[RenderableType]:
    """Tables, then claims, then reasons, then what the numbers rest on, then warnings.

    Without `tables` there are none but those of claims, and nothing is said of their signs.
    """
    cases, launches = told.cases, told.launches
    shown = cases if tables else cases.iloc[:0]
    apart = shown[~matrix.is_part(shown)]
    if overview:
        yield from overviews(apart)
    yield from table.tables(apart)
    yield from table.tax_tables(shown)
    yield from matrix.matrices(shown)
    if percentiles:
        yield from table.percentile_tables(shown)
    if details:
        yield from table.cost_tables(shown)
    if claims:
        yield from claim_parts(judged(told), noise_floor_of(launches))
    yield from table.reasons(cases)
    yield from table.footer(launches, shown)
    yield from table.warnings(summarised(told.objections))
