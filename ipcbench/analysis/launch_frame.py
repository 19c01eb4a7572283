"""The frame of launches, one row each, and what several launches have together."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from ipcbench.analysis.floors import within_run
from ipcbench.case import Case
from ipcbench.results import metadata
from ipcbench.results.collection import Collection
from ipcbench.results.histogram import HISTOGRAM_KEY, Histogram
from ipcbench.results.launches import Launch
from ipcbench.results.load import OFFERED_RATE_KEY
from ipcbench.results.store import Results
from ipcbench.terms import parse_settings

MACHINE = "machine_key"
"""The column of all frames with the key of the machine; no number is ever of two machines.

The column `machine` is the name of a kind of machine, which two machines may share.
"""

Measurements = Results | Collection
"""The results to be analysed: those of one file or of several."""


def launches(results: Measurements) -> pd.DataFrame:
    """One row a launch: the case's fields, `case`, MACHINE, times, counts, and all metadata.

    `batches_s` holds the launch's values: seconds a round trip (latency), a message (throughput)
    or a connection (connect). `time_s` is their median. `timed_s` is how long the clock ran for
    them in all. `is_counted` tells whether the launch's case has a number in its file.
    """
    return pd.DataFrame([_launch_row(launch) for launch in results.launches()])


def _launch_row(launch: Launch) -> dict[str, Any]:
    values_s = launch.values_s
    return {
        **launch.facts,
        **launch.case._asdict(),
        "case": launch.case.id,
        MACHINE: launch.machine,
        "is_counted": launch.is_counted,
        "time_s": launch.time_s,
        "batches_s": values_s,
        "values_count": len(values_s),
        "messages_count": len(values_s) * launch.messages * _links(launch.case),
        "timed_s": _timed_s(launch),
        "last_to_first_ratio": values_s[-1] / values_s[0],
    }


def _timed_s(launch: Launch) -> float:
    """Seconds for which the clock ran in all batches of a launch."""
    messages = len(launch.values_s) * launch.messages * _links(launch.case)
    offered_per_s = launch.facts.get(OFFERED_RATE_KEY)
    if isinstance(offered_per_s, int | float):  # a response time tells nothing of the time between
        return messages / offered_per_s
    case = launch.case
    # Of a window each value is as long as the whole of it. Of clients that stream or connect it is
    # the time of one message of all of them, and of round trips it is as long as a client's own.
    together = 1 if case.definition.quantity == "round_trip" else _links(case)
    return sum(launch.values_s) * launch.messages * together / case.flow.window


def _links(case: Case) -> int:
    """Links that carry messages of their own: each reader of one writer gets the same ones."""
    return 1 if case.clients.are_readers else case.clients.number


def noise_floor_of(launches: pd.DataFrame) -> float:
    """The noise floor within a run of one machine, known when it was made; 0 if unknown."""
    return within_run(launches).ratio


def interpreters_of(launches: pd.DataFrame) -> list[str]:
    """The labels of interpreters, the one that others are compared with first; empty for none."""
    if launches.empty:
        return []
    named = launches.get(metadata.INTERPRETERS_KEY, pd.Series(dtype="object")).dropna()
    asked = str(named.iloc[-1]).split(",") if len(named) else []
    found = set(launches["interpreter"]) - {""}
    return [*dict.fromkeys(label for label in asked if label in found), *sorted(found - {*asked})]


class Confirmed(NamedTuple):
    """Launches whose transport was confirmed in the kernel's tables, and the evidence of others."""

    confirmed_count: int
    others: pd.Series
    """The evidence texts of the launches that were not confirmed."""


def confirmed(launches: pd.DataFrame) -> Confirmed:
    """Counts the launches confirmed in the kernel's tables, of a frame that has any evidence."""
    nothing = pd.Series(None, launches.index, dtype="object")
    is_confirmed = launches.get(metadata.OUTCOME_KEY, nothing).eq(metadata.CONFIRMED)
    others = launches.loc[~is_confirmed, metadata.EVIDENCE_KEY]
    return Confirmed(int(is_confirmed.sum()), others.fillna("no record"))


def settings_of(group: pd.DataFrame, key: str) -> dict[str, set[str]]:
    """The different values of each knob that these launches have in a column of settings."""
    found: dict[str, set[str]] = {}
    for text in set(group[key].dropna()) if key in group else ():
        for knob, value in parse_settings(str(text)).items():
            found.setdefault(knob, set()).add(value)
    return found


def congestion_of(group: pd.DataFrame) -> list[str]:
    """TCP's congestion controls that were in force at either end; empty if none was recorded."""
    found: set[str] = set()
    for key in (metadata.CLIENT_KNOBS_KEY, metadata.SERVER_KNOBS_KEY):
        found |= settings_of(group, key).get("congestion", set())
    return sorted(found)


def by_round(group: pd.DataFrame) -> dict[object, Sequence[float]]:
    """The batches of each launch, by run and round."""
    rounds = zip(group["run_id"], group["round"], strict=True)
    return dict(zip(rounds, group["batches_s"], strict=True))


def histogram_of(group: pd.DataFrame) -> Histogram | None:
    """All single messages of these launches together; None if none were timed."""
    return pooled(group, HISTOGRAM_KEY)


def pooled(group: pd.DataFrame, key: str) -> Histogram | None:
    """The histograms that these launches have under a key as one; None without any."""
    if key not in group:
        return None
    merged: Histogram | None = None
    for text in group[key].dropna():
        one = Histogram.parse(text)
        merged = one if merged is None else merged.merged(one)
    return merged
