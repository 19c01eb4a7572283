"""What the rules are made of: the transport they are tried on, its links, and their outcomes."""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple, TypeVar, assert_never

from ipcbench.case import Case, Loop
from ipcbench.measure import drivers
from ipcbench.measure.drivers.native import NativeEndpoint
from ipcbench.measure.pair import refused
from ipcbench.transports.base import Endpoint, Traffic, Transport, Workspace
from ipcbench.workloads import name_of

_T = TypeVar("_T")

PATIENCE_S = 20.0
"""Seconds to wait for what takes milliseconds, before it is said to hang."""
_SWITCH_S = 1e-4
"""Seconds for which a thread may keep the interpreter where both ends are threads of a process.

One that polls shared memory would keep it for 5 ms, Python's default, with each message.
"""


class Broken(Exception):
    """A rule that doesn't hold; the message is a sentence that says in what."""


class NotTried(Exception):
    """A rule that says nothing about this transport here; the message is the reason."""


class NotWitnessed(NotTried):
    """A claim that the kernel's tables can't confirm, or that isn't made."""


class Subject(NamedTuple):
    """A transport on trial, which the registry must know by its name."""

    transport: Transport
    directory: Path
    """An empty directory for this trial alone."""
    patience_s: float = PATIENCE_S

    @property
    def mechanism(self) -> Transport:
        """The transport, for a rule about messages. Raises NotTried for a control."""
        if self.transport.is_control:
            raise NotTried(f"{self.transport.name} is a control: no message arrives anywhere")
        return self.transport

    def case(self, workload: str, loop: Loop = "python") -> Case:
        """A case with small messages, of a term. Raises NotTried where it can't run."""
        size = self.transport.size_of(name_of(workload), 64)
        return self.runnable(Case(workload, self.transport.name, size, loop, "free"))

    def runnable(self, case: Case) -> Case:
        """The case, if it can run here. Raises NotTried with the reason if it can't."""
        reason = refused(case) or self.transport.unavailable() or drivers.unavailable(case.loop)
        if reason is not None:
            raise NotTried(reason)
        return case

    def workspace(self) -> Workspace:
        """The trial's directory, as a launch's."""
        return Workspace(self.directory)


Check = Callable[[Subject], None]
"""Tries a rule once. Raises Broken or NotTried; any other exception breaks the rule, too."""


class Trial(NamedTuple):
    """One of the settings that a rule is tried in."""

    setting: str
    """Its values, joined by hyphens; empty where there is but one."""
    check: Check


class Rule(NamedTuple):
    """A sentence of the contract that a transport keeps or breaks."""

    name: str
    promise: str
    trials: tuple[Trial, ...]


def once(check: Check) -> tuple[Trial, ...]:
    """The trial of a rule that has no settings."""
    return (Trial("", check),)


def over(check: Callable[..., None], **axes: Sequence[object]) -> tuple[Trial, ...]:
    """A trial of the check for each combination of these arguments."""
    return tuple(
        Trial("-".join(map(str, values)), partial(check, **dict(zip(axes, values, strict=True))))
        for values in product(*axes.values())
    )


def require(condition: object, sentence: str) -> None:
    """Raises Broken with the sentence unless the condition holds."""
    if not condition:
        raise Broken(sentence)


def driven_by(loop: Loop, endpoint: Endpoint) -> Endpoint:
    """The endpoint, with the calls of this loop."""
    match loop:
        case "python":
            return endpoint
        case "native":
            return NativeEndpoint(endpoint)
        case _:
            assert_never(loop)


@contextmanager
def joined(
    subject: Subject, size: int, workload: str, loop: Loop = "python", folder: str = ""
) -> Iterator[tuple[Endpoint, Endpoint]]:
    """Client and server endpoints of one link for a workload's term, both in this process."""
    transport = subject.transport
    if size == 0 and transport.carries_payload:
        raise NotTried("0 bytes are for what only signals")
    if size and not transport.carries_payload:
        raise NotTried(f"{transport.name} carries no payload")
    case = subject.runnable(Case(workload, transport.name, size, loop))
    directory = subject.directory / folder
    directory.mkdir(exist_ok=True)
    link = transport.link(Traffic.of(case), Workspace(directory))
    usual_s = sys.getswitchinterval()
    try:
        sys.setswitchinterval(_SWITCH_S)
        accepting = beside(link.server)
        client = driven_by(loop, link.client())
        server = driven_by(loop, within(subject, accepting, "the server's side to open"))
        try:
            yield client, server
        except NotTried:  # nothing runs with them
            client.close()
            server.close()
            raise
        client.close()
        server.close()
    finally:
        sys.setswitchinterval(usual_s)
        link.close()


def beside(work: Callable[[], _T]) -> "Future[_T]":
    """Runs the work beside the trial, in a thread that can't keep the process alive."""
    done: Future[_T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done


def within(subject: Subject, work: "Future[_T]", what: str) -> _T:
    """The result of work that is done beside. Raises Broken if it doesn't come."""
    try:
        return work.result(subject.patience_s)
    except TimeoutError:
        if work.done():
            raise
        raise Broken(f"waited {subject.patience_s:g} s in vain for {what}") from None


def differences(expected: Sequence[bytes], got: Sequence[bytes]) -> str:
    """What is wrong with the messages that came, in a few words."""
    if sorted(expected) == sorted(got):
        return "they came in another order"
    if len(set(got)) < len(got) and set(got) <= set(expected):
        return "one came twice, and another not at all"
    wrong = sum(one != other for one, other in zip(expected, got, strict=False))
    return f"{wrong} of {len(expected)} came changed"
