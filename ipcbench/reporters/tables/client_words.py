"""Sentences on many clients of one server: the knee, waits for a CPU, and memory."""

from collections.abc import Callable, Iterator, Sequence

from ipcbench import units
from ipcbench.analysis.crowds import Beyond, Knee, times_by_errno
from ipcbench.analysis.served import Served
from ipcbench.analysis.stats import Estimate
from ipcbench.analysis.sweeps import Point, Sweep, SweepLine, rate_to_first
from ipcbench.reporters.tables.words import MOST_NAMED, listed, range_text, times_text, told
from ipcbench.text import counted
from ipcbench.workloads import definition_of

_WAITS = 0.05
"""Share of the time from which to wait for a CPU is worth a sentence."""


def counted_words(sweep: Sweep) -> str:
    """The word for what the clients of a sweep do a second: `messages`, or `connections`."""
    is_of_connections = definition_of(sweep.place.workload).connects
    return "connections" if is_of_connections else "messages"


def client_sentences(sweep: Sweep) -> Iterator[str]:
    """Yields the knee of each mechanism, and what a client waits and takes in memory."""
    known = [(line, line.knee) for line in sweep.mechanisms if line.knee is not None]
    if len(known) <= MOST_NAMED:
        yield from (_on_knee(sweep, line, knee) for line, knee in known)
    else:
        yield from _on_many(sweep, known)
    last = max(sweep.values)
    waits = _numbers(sweep, lambda line: _waited(line.at(last)))
    if waits and max(waits.values()) >= _WAITS:
        where = "a CPU" if sweep.place.placement == "free" else "the CPU that all of them share"
        yield (
            f"With {last:.0f} clients, one of them waits {_ends(waits, units.display_percent)} of"
            f" the time for {where}: the scheduler is measured, too."
        )
    yield from _on_memory(sweep)
    yield from _on_failures(sweep)


def _on_memory(sweep: Sweep) -> Iterator[str]:
    """Yields what a client more takes at its server, and its link in the kernel."""
    if counted_words(sweep) == "connections":
        return  # none of them is there when the memory is read
    private = _numbers(sweep, lambda line: _growth(line, lambda one: one.server_private_bytes))
    growths = private or _numbers(
        sweep, lambda line: _growth(line, lambda one: one.server_memory_bytes)
    )
    if growths:
        own = "more of its own in memory" if private else "more in memory"
        amounts = _ends(growths, units.display_amount)
        yield f"With each client more the server has {amounts} {own}."
    last = max(sweep.values)
    idle = _numbers(sweep, lambda line: _of_link(line.at(last), lambda one: one.link_idle_bytes))
    most = _numbers(sweep, lambda line: _of_link(line.at(last), lambda one: one.link_limit_bytes))
    if idle and most:
        yield (
            f"The link of a client takes {_ends(idle, units.display_amount)} of the kernel's memory"
            f" while it is idle, and with full buffers up to {_ends(most, units.display_amount)}."
        )


def _on_knee(sweep: Sweep, line: SweepLine, knee: Knee) -> str:
    """The knee of a mechanism, with the number that it has there, and those beyond it."""
    name, first, at = sweep.label(line), line.first.value, line.at(knee.clients)
    gain = None if at is None else rate_to_first(at)
    if at is None or gain is None:  # the knee is the first number
        return f"{name}: in {counted_words(sweep)} a second, {_no_more(knee)}."
    if at.verdict == "faster":
        said = (
            f"give {told(gain, times_text)} as many {counted_words(sweep)} a second as {first:.0f}"
        )
    else:
        spread = range_text(*gain.bounds)
        said = f"can't be told from {first:.0f} in {counted_words(sweep)} a second ({spread} times)"
    more = _no_more(knee) if knee.beyond else "whether more would give more wasn't measured"
    return f"{name}: {counted(round(knee.clients), 'client')} {said}; {more}."


def _no_more(knee: Knee) -> str:
    """The numbers of clients beyond a knee, against it: `4 and 8 give no more than 2 (...)`."""
    said = []
    for verdict, words in (("~", "no more"), ("slower", "fewer")):
        those = [one for one in knee.beyond if one.verdict == verdict]
        if those:
            numbers = listed([f"{one.clients:.0f}" for one in those])
            said.append(f"{numbers} give {words} than {knee.clients:.0f} ({_spread(those)} times)")
    return ", ".join(said)


def _spread(those: Sequence[Beyond]) -> str:
    """The range of the intervals of the messages a second beyond a knee, over those at it."""
    costs = (Estimate(one.cost.estimate, one.cost.interval).into(1.0) for one in those)
    bounds = [cost.bounds for cost in costs]
    return range_text(min(low for low, _ in bounds), max(high for _, high in bounds))


def _on_many(sweep: Sweep, known: list[tuple[SweepLine, Knee]]) -> Iterator[str]:
    """Yields the knees of many mechanisms, those with the same number of clients together."""
    by_knee: dict[tuple[float, bool], list[str]] = {}
    for line, knee in known:
        by_knee.setdefault((knee.clients, bool(knee.beyond)), []).append(sweep.label(line))
    for (clients, has_more), names in sorted(by_knee.items()):
        over = listed(names)
        if has_more:
            what = counted_words(sweep)
            yield f"More clients than {clients:.0f} give no more {what} a second over {over}."
        else:
            yield f"{clients:.0f} clients, the most measured, give the most of them over {over}."


def _numbers(sweep: Sweep, of: Callable[[SweepLine], float | None]) -> dict[str, float]:
    """A number of each mechanism that has it, by its name."""
    found = ((sweep.label(line), of(line)) for line in sweep.mechanisms)
    return {name: number for name, number in found if number is not None}


def _ends(numbers: dict[str, float], text: Callable[[float], str]) -> str:
    """The least and the greatest number, each with the mechanism that it is of."""
    ends = dict.fromkeys(pick(numbers, key=lambda name: numbers[name]) for pick in (min, max))
    return " to ".join(f"{text(numbers[name])} ({name})" for name in ends)


def _waited(point: Point | None) -> float | None:
    return None if point is None or point.served is None else point.served.waited


def _on_failures(sweep: Sweep) -> Iterator[str]:
    """Yields the connections that failed or were dropped, with the most clients."""
    last = max(sweep.values)
    for line in sweep.mechanisms:
        point = line.at(last)
        if point is None or point.served is None or point.served.failures is None:
            continue
        failures, overflows = point.served.failures, point.served.overflows
        said = [] if failures == "none" else [f"connect(2) failed {times_by_errno(failures)}"]
        if overflows:
            said.append(f"a full queue dropped {counted(round(overflows), 'connection')}")
        if said:
            yield f"{sweep.label(line)}: with {last:.0f} clients {listed(said)}."


def _of_link(point: Point | None, of: Callable[[Served], float | None]) -> float | None:
    return None if point is None or point.served is None else of(point.served)


def _growth(line: SweepLine, of: Callable[[Served], float | None]) -> float | None:
    """Bytes that the server has more for each client, from the least number of them to the most.

    What it takes without any client cancels out.
    """
    each = [(point.value, _of_link(point, of)) for point in line.points]
    known = [(clients, amount) for clients, amount in each if amount is not None]
    if len(known) < 2:
        return None
    (fewest, least), (most, greatest) = known[0], known[-1]
    return max(0.0, greatest - least) / (most - fewest)
