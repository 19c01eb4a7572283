"""The output of `compare` and `report` for results, in order. Pure."""

from collections.abc import Iterator

from ipcbench.analysis.floors import within_run
from ipcbench.analysis.frame import Analysis
from ipcbench.analysis.judging import judged
from ipcbench.analysis.load import is_part
from ipcbench.analysis.load_lines import loads
from ipcbench.analysis.sweeps import sweeps
from ipcbench.analysis.warnings import summarised
from ipcbench.reporters.model import Part
from ipcbench.reporters.tables import cases as case_tables
from ipcbench.reporters.tables import matrix
from ipcbench.reporters.tables.claims import claim_parts
from ipcbench.reporters.tables.knobs import knob_parts
from ipcbench.reporters.tables.ladder_crowds import crowd_claims, whole_ladder
from ipcbench.reporters.tables.loads import load_parts
from ipcbench.reporters.tables.overview import overviews
from ipcbench.reporters.tables.sweeps import sweep_parts


def summary(
    analysis: Analysis,
    *,
    percentiles: bool = False,
    details: bool = False,
    overview: bool = False,
    claims: bool = False,
    ladder: bool = False,
    load: bool = False,
    tables: bool = True,
) -> Iterator[Part]:
    """Yields tables, then knobs, claims, reasons, the footer and warnings, in this order.

    Without `tables`, only claims, the ladder and, with `load`, the open loop have tables, and the
    footer doesn't explain the signs in tables. The ladder comes first.
    """
    cases, launches = analysis.cases, analysis.launches
    shown = cases if tables else cases.iloc[:0]
    apart = case_tables.ordinary(shown)
    if ladder:
        yield from whole_ladder(analysis)
        if not claims:
            yield from crowd_claims(analysis)
    if overview:
        yield from overviews(apart)
    yield from case_tables.tables(apart)
    yield from sweep_parts(sweeps(apart, launches))
    if tables or load:
        yield from load_parts(
            loads(cases, analysis.objective, analysis.searches), analysis.objective
        )
    yield from case_tables.interpreter_tables(shown)
    yield from case_tables.tax_tables(shown)
    yield from matrix.matrices(shown)
    if percentiles:
        yield from case_tables.percentile_tables(shown)
    if details:
        yield from case_tables.cost_tables(shown[~is_part(shown)])
    if tables:
        yield from knob_parts(launches)
    if claims:
        yield from claim_parts(judged(analysis), within_run(launches))
    yield from case_tables.reasons(cases)
    yield from case_tables.footer(launches, shown)
    yield from case_tables.warnings(summarised(analysis.objections))
