"""Surveys what mechanisms do when nobody reads, in rounds of launches, for `ipcbench full`.

Each launch runs in a process of its own with a limit on its time; what it leaves running is killed,
and what it leaves in the kernel is removed by its folder's ledger. Prints nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ipcbench.analysis.overload import ends_of, fill_of
from ipcbench.checks.answers import answer_of
from ipcbench.errors import LaunchFailed
from ipcbench.measure.full.launch import MOST_BYTES, Facts, measured, traffic_of
from ipcbench.results.overload import Ends, Fill, Overload
from ipcbench.system import machine
from ipcbench.system.cpus import Cpus
from ipcbench.system.limits import too_large
from ipcbench.system.scratch import Scratch
from ipcbench.transports.base import Transport
from ipcbench.transports.registry import get_transport

_LIMIT_S = 60.0
"""Seconds for a launch: for what none of the limits of its steps catches."""


class Asked(NamedTuple):
    """What is to be surveyed."""

    transports: Sequence[str]
    sizes_bytes: tuple[int, ...]
    launches: int
    most_messages: int
    cpus: Cpus | None


@dataclass(slots=True)
class _Seen:
    """A transport's launches so far."""

    transport: Transport
    sizes: list[int]
    refused: dict[int, str]
    """Sizes that can't exist, each with its reason."""
    lacking: str | None
    """Why the transport can't run here at all."""
    fills: list[list[Facts]] = field(default_factory=list)
    ends: list[Facts] = field(default_factory=list)
    failure: str | None = None
    """Why a launch failed twice; there is no other one then."""


class Survey:
    """A survey that goes on launch by launch, and can be told of at any time."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._seen = [_expected(get_transport(name), asked) for name in asked.transports]

    def launches(self, private: Scratch) -> Iterator[tuple[int, str]]:
        """Does all launches; yields the round, from 1, and the transport before each of them."""
        for number in range(1, self._asked.launches + 1):
            for seen in self._seen:
                if seen.lacking is None and seen.sizes and seen.failure is None:
                    yield number, seen.transport.name
                    self._launch(seen, private)

    def found(self) -> Overload:
        """All that was seen so far, launches folded into facts."""
        return Overload(
            kernel=machine.this_machine().kernel,
            launches_count=max((len(one.ends) for one in self._seen), default=0),
            sizes_bytes=self._asked.sizes_bytes,
            most_messages_count=self._asked.most_messages,
            most_bytes=MOST_BYTES,
            fills=tuple(row for one in self._seen for row in _fills(one, self._asked)),
            ends=tuple(row for one in self._seen for row in _ends(one)),
        )

    def _launch(self, seen: _Seen, private: Scratch) -> None:
        """Does one launch, once more if it fails, as a driver does."""
        reasons = []
        for _ in range(2):
            try:
                answer = _answer_of(seen, self._asked, private)
            except LaunchFailed as error:
                reasons.append(str(error))
                continue
            seen.fills.append(answer["fills"])
            seen.ends.append(answer["ends"])
            return
        first, last = reasons
        seen.failure = first if first == last else f"{first}; once more: {last}"


def _expected(transport: Transport, asked: Asked) -> _Seen:
    lacking = transport.unavailable()
    if transport.is_control:
        lacking = "a control: nobody reads, and nothing fills"
    sizes: list[int] = []
    refused: dict[int, str] = {}
    for size in asked.sizes_bytes:
        traffic = traffic_of(transport, size)
        reason = transport.rejects(traffic) or too_large(
            traffic.message_size_bytes, transport.memory_bytes(traffic)
        )
        if reason is not None:
            refused[size] = reason
        elif traffic.message_size_bytes not in sizes:
            sizes.append(traffic.message_size_bytes)
    return _Seen(transport, sizes, refused, lacking)


def _answer_of(seen: _Seen, asked: Asked, private: Scratch) -> dict[str, Any]:
    """The facts of one launch. Raises LaunchFailed."""

    def work(directory: Path) -> dict[str, Any]:
        launch = measured(seen.transport, seen.sizes, directory, asked.cpus, asked.most_messages)
        return launch._asdict()

    answer: dict[str, Any] = answer_of(work, private, _LIMIT_S)
    return answer


def _fills(seen: _Seen, asked: Asked) -> Iterator[Fill]:
    name = seen.transport.name
    if seen.lacking is not None:
        yield Fill(name, asked.sizes_bytes[0], "n/a", seen.lacking)
        return
    for place, size in enumerate(seen.sizes):
        launches = [fills[place] for fills in seen.fills]
        if seen.failure is not None:
            yield Fill(name, size, "failed", seen.failure, len(launches))
        elif launches:  # else it wasn't its turn before an interruption
            yield fill_of(name, seen.transport.mediums, launches)
    for size, reason in seen.refused.items() if seen.ends or not seen.sizes else ():
        yield Fill(name, size, "n/a", reason)


def _ends(seen: _Seen) -> Iterator[Ends]:
    name = seen.transport.name
    if seen.lacking is not None or not seen.sizes:
        yield Ends(name, "n/a", seen.lacking or next(iter(seen.refused.values()), ""))
    elif seen.failure is not None:
        yield Ends(name, "failed", seen.failure, len(seen.ends))
    elif seen.ends:
        yield ends_of(name, seen.ends)
