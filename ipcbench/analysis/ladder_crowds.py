"""Rungs of the ladder with many clients: messages a second, fairness, and who ran out. Pure."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from ipcbench.analysis.bounds import FULL, Bound
from ipcbench.analysis.crowds import JAIN_KEY, LEAST_KEY, MODEL_KEY, MOST_KEY, rates
from ipcbench.analysis.frame import MEASURED
from ipcbench.analysis.ladder import of_ladder
from ipcbench.analysis.launch_frame import MACHINE
from ipcbench.analysis.stats import Estimate, Verdict, estimated
from ipcbench.analysis.sweeps import Sweep, rate_to_first, sweeps
from ipcbench.rungs import Family
from ipcbench.workloads import clients_of, without_clients

_Row = Mapping[Hashable, Any]


class Serving(NamedTuple):
    """A rung's server with a number of clients. What wasn't recorded is None."""

    case: str
    """Its id."""
    clients: int
    status: str
    """`measured`, or why there is no number: `n/a`, `failed`."""
    rate: Estimate | None = None
    """Messages a second of all clients together."""
    to_first: Estimate | None = None
    """Those over the rate with the least number of clients; None at that one."""
    verdict: Verdict | None = None
    """The verdict on `to_first`."""
    p50_s: float | None = None
    """The median round trip of all clients."""
    p99_s: float | None = None
    jain: float | None = None
    """Jain's index of the messages of each client; None of one client."""
    least: float | None = None
    """The messages of the client that had the least, over the mean of all."""
    most: float | None = None
    server_busy: float | None = None
    """CPU time of the server over the time of the batches: its share of a CPU."""
    ran_out: Bound | None = None

    @property
    def is_saturated(self) -> bool:
        """Whether the server itself ran out of its CPU."""
        return self.server_busy is not None and self.server_busy >= FULL


class CrowdRung(NamedTuple):
    """A row of a table: a rung, with each number of clients that was measured."""

    name: str
    """The rung, and the knobs that are set."""
    transport: str
    server_model: str | None
    """How it serves many clients."""
    servings: tuple[Serving, ...]

    def at(self, clients: int) -> Serving | None:
        """The serving of so many clients; None if it isn't in the results."""
        return next((one for one in self.servings if one.clients == clients), None)


class CrowdLadder(NamedTuple):
    """The rungs over one family, at one message size and placement, in the ladder's order."""

    family: Family
    workload: str
    """The term without its clients."""
    message_size_bytes: int
    placement: str
    loop: str
    interpreter: str
    rungs: tuple[CrowdRung, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """All numbers of clients, the least first."""
        return tuple(sorted({one.clients for rung in self.rungs for one in rung.servings}))

    def measured(self, clients: int) -> list[tuple[CrowdRung, Serving]]:
        """The rungs that have a number with so many clients."""
        found = ((rung, rung.at(clients)) for rung in self.rungs)
        return [(rung, one) for rung, one in found if one is not None and one.status == MEASURED]


def crowd_ladders(cases: pd.DataFrame, launches: pd.DataFrame) -> list[CrowdLadder]:
    """The ladders in a frame of cases in which a server has many clients.

    In the order of the rows; none where all have one client. The verdicts are those of `sweeps`.
    """
    rungs = of_ladder(cases)
    if launches.empty or not any(_clients(row) > 1 for row in rungs.to_dict("records")):
        return []
    machines = rungs[MACHINE].dropna().unique()
    if len(machines) == 1:  # a case without a number has none
        rungs = rungs.assign(**{MACHINE: machines[0]})
    by_place: dict[_Place, list[_Row]] = {}
    for row in rungs.to_dict("records"):
        by_place.setdefault(_place(row), []).append(row)
    found = sweeps(rungs, launches)
    rates_of = _Rates(_of_cases(launches), dict(_to_first(found)))
    return [
        CrowdLadder(*place[:-1], tuple(_rungs(own, rates_of)))
        for place, own in by_place.items()
        if any(_clients(row) > 1 for row in own)
    ]


class _Rates(NamedTuple):
    """Messages a second, by machine and case."""

    of_case: Mapping[tuple[str, str], Estimate]
    to_first: Mapping[tuple[str, str], tuple[Estimate | None, Verdict | None]]
    """Over the rate of the least number of clients, with the verdict."""


def _of_cases(launches: pd.DataFrame) -> dict[tuple[str, str], Estimate]:
    counted = launches[launches["is_counted"]]
    return {
        (str(machine), str(case)): estimated([1 / rate for rate in rates(own)]).into(1.0)
        for (machine, case), own in counted.groupby([MACHINE, "case"])
    }


def _rungs(rows: Sequence[_Row], rates_of: _Rates) -> Iterator[CrowdRung]:
    """Yields the rungs of these rows, which are in the ladder's order."""
    by_rung: dict[str, list[_Row]] = {}
    for row in rows:
        by_rung.setdefault(str(row["rung"]), []).append(row)
    for name, own in by_rung.items():
        own.sort(key=_clients)
        models = [model for row in own if (model := _known(row, MODEL_KEY)) is not None]
        servings = (_serving(row, rates_of) for row in own)
        yield CrowdRung(name, str(own[0]["transport"]), next(iter(models), None), tuple(servings))


def _serving(row: _Row, rates_of: _Rates) -> Serving:
    case, status = str(row["case"]), str(row["status"])
    if status != MEASURED:
        return Serving(case, _clients(row), status)
    key = str(row[MACHINE]), case
    to_first, verdict = rates_of.to_first.get(key, (None, None))
    names = ("round_trip_p50_s", "round_trip_p99_s", JAIN_KEY, LEAST_KEY, MOST_KEY)
    return Serving(
        case,
        _clients(row),
        status,
        rates_of.of_case[key],
        to_first,
        verdict,
        *(_known(row, name) for name in (*names, "cpu_busy_server_ratio", "ran_out")),
    )


def _to_first(
    found: Sequence[Sweep],
) -> Iterator[tuple[tuple[str, str], tuple[Estimate | None, Verdict | None]]]:
    """Yields each case's rate over that of the least number of clients, with the verdict."""
    for sweep in (one for one in found if one.knob == "clients"):
        for line in sweep.lines:
            for point in line.points:
                yield (sweep.place.machine, point.case), (rate_to_first(point), point.verdict)


def _clients(row: _Row) -> int:
    return clients_of(str(row["workload"])).number


class _Place(NamedTuple):
    """The fields that all rows of a table have in common: those of CrowdLadder, and the machine."""

    family: Family
    workload: str
    message_size_bytes: int
    placement: str
    loop: str
    interpreter: str
    machine: str


def _place(row: _Row) -> _Place:
    return _Place(
        row["family"],
        without_clients(str(row["workload"])),
        int(row["message_size_bytes"]),
        str(row["placement"]),
        str(row["loop"]),
        str(row["interpreter"]),
        str(row[MACHINE]),
    )


def _known(row: _Row, key: str) -> Any:
    value = row.get(key)
    return None if bool(pd.isna(value)) else value
