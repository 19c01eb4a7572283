"""How to reproduce a run: the facts common to its launches, and its command."""

import re
import shlex
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pandas as pd

from ipcbench.case import Case
from ipcbench.text import counted
from ipcbench.units import display_percent, display_size

_OF_LAUNCHES = frozenset(
    (
        *Case._fields,
        *("case", "name", "role", "round", "loops", "unit", "duration", "date", "evidence"),
        *("time_s", "batches_s", "values_count", "messages_count", "messages_checked", "timed_s"),
        *("last_to_first_ratio", "run_elapsed_s", "round_trip_histogram_ns"),
        *("cpu_client", "cpu_server", "cpus_seen_client", "cpus_seen_server"),
        *("load_avg_1min", "mem_max_rss", "runnable_threads", "python_version"),
        *("cpu_affinity", "cpu_model_name", "python_implementation", "ipcbench_format"),
    )
)
"""Columns that are never a fact of the run, even if equal in all launches: they belong to a launch,
or are shown in another way."""
_COUNTED = ("_per_message", "_count", "_ns")
_TITLES = {
    "run_id": "run",
    "command": "command",
    "seed": "seed",
    "baseline": "baseline",
    "target_ratio": "precision asked for",
    "ipcbench_version": "ipcbench",
    "code_version": "code",
    "versions": "libraries",
    "perf_version": "pyperf",
    "python": "Python",
    "python_compiler": "Python's compiler",
    "machine": "machine",
    "cpu_model": "CPU",
    "cpu_count": "CPUs",
    "virtualisation": "virtualisation",
    "governor": "CPU governor",
    "cpu_freq": "CPU frequency",
    "cpu_config": "CPU settings",
    "cache_l1d_bytes": "L1d cache",
    "cache_l2_bytes": "L2 cache",
    "cache_l3_bytes": "L3 cache",
    "kernel": "kernel",
    "platform": "platform",
    "aslr": "address layout",
    "timer": "clock",
    "cpu_busy_before_run_ratio": "CPUs busy before the run",
    "noise_floor_ratio": "noise floor of the machine",
}
"""Titles of facts, in the order shown; other facts follow under their own names."""


_PLACES = frozenset(
    (
        *("-o", "--output", "--resume", "--save", "--against", "--events"),
        *("--csv", "--json", "--markdown", "--html", "--svg", "--png"),
    )
)
"""Options whose value names an input or an output."""
_SHORT_OUTPUT = re.compile("-o.")
_WATCHING = frozenset(("--force", "--no-lock", "--quiet"))


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
        known = [(title, _text(key, facts[key])) for key, title in _TITLES.items() if key in facts]
        others = [(key, _text(key, facts[key])) for key in sorted(facts.keys() - _TITLES.keys())]
        command, seed = facts.get("command"), facts.get("seed")
        again = None if command is None or seed is None else run_again(str(command), str(seed))
        yield Provenance([*_times(group), *known, *_pinned(group), *others], again)


def run_again(command: str, seed: str) -> str:
    """The command that repeats a run, as typed in a checkout, with the seed it chose.

    Options of outputs and of watching are left out, since the files of that run exist by now.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        words = [command]
    words = list(_measuring(words))
    if words and words[0].endswith(".py"):
        words = ["python", *words]
    if not any(word == "--seed" or word.startswith("--seed=") for word in words):
        words += ["--seed", seed]
    return shlex.join(words)


def _measuring(words: Iterable[str]) -> Iterator[str]:
    """Yields the words of a command without options of outputs and of watching."""
    rest = iter(words)
    for word in rest:
        name, is_joined, _ = word.partition("=")
        if name in _PLACES:
            if not is_joined:
                next(rest, None)  # its value
        elif word not in _WATCHING and not _SHORT_OUTPUT.match(word):
            yield word


def _facts(group: pd.DataFrame) -> dict[str, Any]:
    """The metadata that is equal in all launches of a run."""
    found = {}
    for key in group.columns:
        if key in _OF_LAUNCHES or key.endswith(_COUNTED):
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
