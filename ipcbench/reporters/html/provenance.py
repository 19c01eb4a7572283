"""How to reproduce a run: the facts common to its launches, and its command."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd

from ipcbench.reporters.tables.cases import interpreter_facts
from ipcbench.results.metadata import AGAIN_KEY, NOT_SHOWN, TITLES
from ipcbench.text import counted
from ipcbench.units import display_percent, display_size

_COMPUTED = frozenset(
    (
        *("case", "machine_key", "is_counted", "time_s", "batches_s", "values_count"),
        *("messages_count", "timed_s", "last_to_first_ratio"),
    )
)
"""Columns of the frame of launches that are no metadata."""
_COUNTED = ("_per_message", "_count", "_ns")


class Provenance(NamedTuple):
    """The facts of one run, and the command to repeat it."""

    facts: list[tuple[str, str]]
    """Pairs of title and text."""
    again: str | None
    """The command that measures the same cases in the same order; None if it wasn't recorded."""


def provenances(launches: pd.DataFrame) -> Iterator[Provenance]:
    """Yields the provenance of each run, in the order of the launches."""
    for _, group in launches.groupby("run_id", sort=False) if len(launches) else ():
        facts = _facts(group)
        known = [(title, _text(key, facts[key])) for key, title in TITLES.items() if key in facts]
        others = [(key, _text(key, facts[key])) for key in sorted(facts.keys() - TITLES.keys())]
        whom = [(f"interpreter {label}", said) for label, said in interpreter_facts(group)]
        yield Provenance([*_times(group), *known, *whom, *_pinned(group), *others], _again(group))


def _again(group: pd.DataFrame) -> str | None:
    """The command that repeats a run; None where its launches don't have one."""
    if AGAIN_KEY not in group:
        return None
    recorded = group[AGAIN_KEY].dropna()
    return None if recorded.empty else str(recorded.iloc[0])


def _facts(group: pd.DataFrame) -> dict[str, Any]:
    """The metadata that is equal in all launches of a run."""
    found = {}
    for key in group.columns:
        if key in NOT_SHOWN or key in _COMPUTED or key.endswith(_COUNTED):
            continue
        values = group[key]
        if values.notna().all() and values.nunique() == 1:
            found[str(key)] = values.iloc[0]
    return found


def _times(group: pd.DataFrame) -> list[tuple[str, str]]:
    dates = group["date"].dropna() if "date" in group else ()  # a file needn't have it everywhere
    started = [("first launch", str(min(dates)))] if len(dates) else []
    rounds = counted(int(group["round"].max()), "round")
    launches = counted(len(group), "launch", "launches")
    cases = counted(group["case"].nunique(), "case")
    wall_s = group["run_elapsed_s"].max()
    effort = f"{launches} of {cases} in {rounds}; timed {group['timed_s'].sum():.1f} s"
    return [*started, ("measured", f"{effort} of {wall_s:.1f} s")]


def _pinned(group: pd.DataFrame) -> list[tuple[str, str]]:
    """The CPUs of both ends, by placement."""
    keys = ["placement", "cpu_client", "cpu_server"]
    if not set(keys) <= set(group.columns):
        return []
    pairs = group[keys].dropna().drop_duplicates().sort_values("placement")
    return [
        (f"CPUs, {placement}", f"client on {client:.0f}, server on {server:.0f}")
        for placement, client, server in pairs.itertuples(index=False)
    ]


def _text(key: str, value: Any) -> str:
    if key.endswith("_bytes"):
        return display_size(float(value))
    return display_percent(float(value)) if key.endswith("_ratio") else str(value)
