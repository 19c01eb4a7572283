"""Differences between two runs that can change times, other than the code: from the one table.

Facts of a run are compared over all its launches, facts of a launch case by case.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ipcbench.case import Case
from ipcbench.errors import UsageError
from ipcbench.results.keys import Key
from ipcbench.results.launches import Launch, by_case, mechanisms
from ipcbench.results.metadata import (
    ASKED_KEY,
    CAUTIONED,
    CLIENT_KNOBS_KEY,
    KEYS,
    SERVER_KNOBS_KEY,
    displayed,
)
from ipcbench.results.store import Results
from ipcbench.terms import parse_settings
from ipcbench.text import counted

_SIDES = {CLIENT_KNOBS_KEY: "client", SERVER_KNOBS_KEY: "server"}
_TOLD_BY = {(key.name.partition("_")[0], key.knob): key.name for key in KEYS if key.knob}
"""Facts that tell a knob's value in force, by side and knob."""
_UNSTEADY = ("quickack",)
"""Knobs whose value in force the kernel changes as it likes while a connection is used."""
_OF_TCP, _TUNED_BY_TCP = "congestion", ("sndbuf", "rcvbuf")
"""The knob that only TCP has, and those that it tunes while a connection is used."""
_PARTED = "; "
"""Separator of the entries of a fact that is a list, such as that of mitigations."""


_Pair = tuple[Case | None, Sequence[Launch], Sequence[Launch]]
"""The launches of OLD and of NEW to compare: of one case, or of all."""


class _Fact(NamedTuple):
    """A fact in words, and its values in the launches of one run."""

    words: str
    name: str
    values: frozenset[Any]


def cautions(old: Results, new: Results) -> list[str]:
    """A sentence for each recorded fact that differs, and one for all that one run lacks."""
    before, after = by_case(old.launches()), by_case(new.launches())
    both = [case for case in before if case in after]
    found: list[str] = []
    missed: dict[str, list[str]] = {"OLD": [], "NEW": []}
    whole: list[_Pair] = [(None, [*_all(before)], [*_all(after)])]
    by_common_case: list[_Pair] = [(case, before[case], after[case]) for case in both]
    for key in CAUTIONED:
        pairs = whole if key.scope == "run" else by_common_case
        found += _differences(key, pairs)
        lacks = _lacks(key, pairs)
        if key.is_missed and lacks is not None:
            missed[lacks].append(key.words)
    found += [
        f"not recorded in {name}: {', '.join(facts)}; a difference there can't be seen"
        for name, facts in missed.items()
        if facts
    ]
    placements = [{case.placement for case in mechanisms(run.counted())} for run in (old, new)]
    if placements[0] != placements[1]:
        found.append("the placements differ: cases are compared only where they are the same")
    return found


def _all(launches: Mapping[Case, Sequence[Launch]]) -> Iterator[Launch]:
    for of_one in launches.values():
        yield from of_one


def _differences(key: Key, pairs: Iterable[_Pair]) -> Iterator[str]:
    """A sentence for each fact of a row that differs, with the cases in which it does."""
    told: dict[str, tuple[str, list[Case]]] = {}
    for case, old, new in pairs:
        ours, theirs = _facts(key, old), _facts(key, new)
        for words, before in ours.items():
            after = theirs.get(words)
            if after is None or not _differ(key, before, after):
                continue
            _, cases = told.setdefault(words, (_told(before, after), []))
            cases += [case] if case is not None else []
    for words, (values, cases) in told.items():
        verb = "differ" if words.partition(" of ")[0].endswith("s") else "differs"
        yield f"{words} {verb}: {values}{_where(cases)}"


def _differ(key: Key, before: _Fact, after: _Fact) -> bool:
    """Whether a fact differs: where launches of one run differ, it is so only if none agree."""
    if key.scope == "launch":
        return before.values.isdisjoint(after.values)
    return before.values != after.values


def _facts(key: Key, launches: Sequence[Launch]) -> dict[str, _Fact]:
    """The facts of a row in these launches by their words: knobs are a fact each."""
    values: dict[tuple[str, str], set[Any]] = {}
    for launch in launches:
        if key.name not in launch.facts:
            continue
        value = launch.facts[key.name]
        side = _SIDES.get(key.name)
        if side is None:
            values.setdefault((key.words, key.name), set()).add(value)
            continue
        for knob, one in _steady(_knobs(str(value)), launch).items():
            if _TOLD_BY.get((side, knob)) not in launch.facts:
                values.setdefault((f"{knob} at the {side}", knob), set()).add(one)
    return {words: _Fact(words, name, frozenset(of)) for (words, name), of in values.items()}


def _steady(knobs: Mapping[str, str], launch: Launch) -> Mapping[str, str]:
    """The knobs without those that the kernel changes, as TCP tunes buffers not set (tcp(7))."""
    asked = _knobs(str(launch.facts.get(ASKED_KEY, "")))
    moving = _UNSTEADY + _TUNED_BY_TCP * (_OF_TCP in knobs)
    return {knob: value for knob, value in knobs.items() if knob in asked or knob not in moving}


def _knobs(text: str) -> Mapping[str, str]:
    try:
        return parse_settings(text)
    except UsageError:
        return {}


def _told(before: _Fact, after: _Fact) -> str:
    """Both values for people; of two lists that share entries only the others."""
    old, new = _texts(before), _texts(after)
    if len(old) == len(new) == 1 and _PARTED in old[0] + new[0]:
        parts = [text.split(_PARTED) for text in (old[0], new[0])]
        own = [[one for one in parts[i] if one not in parts[1 - i]] for i in (0, 1)]
        old, new = ([_PARTED.join(entries) or "nothing"] for entries in own)
    return f"{', '.join(old)} and {', '.join(new)}"


def _texts(fact: _Fact) -> list[str]:
    return sorted(displayed(fact.name, value) for value in fact.values)


def _where(cases: Sequence[Case]) -> str:
    if not cases:
        return ""
    more = f" and {counted(len(cases) - 1, 'more case')}" if len(cases) > 1 else ""
    return f" ({cases[0].id}{more})"


def _lacks(key: Key, pairs: Iterable[_Pair]) -> str | None:
    """Which run has a fact nowhere, where the other has it; None if neither or both have it."""
    in_old = any(key.name in launch.facts for _, old, _ in pairs for launch in old)
    in_new = any(key.name in launch.facts for _, _, new in pairs for launch in new)
    if in_old == in_new:
        return None
    return "NEW" if in_old else "OLD"
