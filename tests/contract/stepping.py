"""Ends a server at one step after another of what its client does, and prints what is told of it.

`python -m tests.contract.stepping kill unix FOLDER`, for each of `ENDS`. It is a process of its own
because it forks hundreds of pairs: one that has all tests loaded takes twice as long for each.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from ipcbench.case import Case
from ipcbench.errors import CheckFailed, LaunchFailed
from ipcbench.measure import control, pair, peer, server
from ipcbench.measure.pair import Pair
from ipcbench.testing.deaths import server_pid
from ipcbench.transports.base import Workspace

STEPPED = {module.__file__ for module in (pair, peer, control)}
"""The files whose lines are the steps."""
MOST_STEPS = 1000


class Held:
    """SIGCHLD, held back until a step of this process is reached, and its sender has ended.

    It is held back at its handler. A blocked signal goes to another thread, where there is one.
    """

    def __init__(self, pid: int, step: int) -> None:
        self._handler = signal.getsignal(signal.SIGCHLD)
        self._is_open = False
        signal.signal(signal.SIGCHLD, self._gate)
        self._pid = pid
        self._left = step
        self.is_in = False
        """Whether it was let in at its step."""

    def trace(self, frame: FrameType, event: str, _argument: object) -> Any:
        """A trace function that counts the steps; the handler raises in it."""
        if frame.f_code.co_filename not in STEPPED:
            return None
        if event in ("call", "line") and not self.is_in:
            self._left -= 1
            if self._left < 0 and _has_ended(self._pid):
                self.is_in = True
                self.let_in()
        return self.trace

    def let_in(self) -> None:
        """Sends the signal to the handler that was there before, or that was set since."""
        self._is_open = True
        signal.raise_signal(signal.SIGCHLD)

    def _gate(self, number: int, frame: FrameType | None) -> None:
        if self._is_open and callable(self._handler):
            self._handler(number, frame)


def _has_ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False  # it was waited for: nothing more is sent


@contextmanager
def tracing(held: Held) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(held.trace)
    try:
        yield
    finally:
        sys.settrace(before)


def _kill(pair: Pair, pid: int) -> None:
    """Has the server killed as the batch begins: the next thing met is the broken connection."""
    client, _ = pair._ends()
    batch = client.batch

    def broken_batch(*given: Any) -> float:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return batch(*given)

    vars(client)["batch"] = broken_batch


def _kill_after_a_failed_check(pair: Pair, pid: int) -> None:
    def check(_messages: int) -> NoReturn:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        raise CheckFailed("a message came back changed")

    vars(pair._ends()[1])["verify_batch"] = check


def _report(_pair: Pair, _pid: int) -> None:
    """Nothing: the server fails by itself, see `_fail`."""


def _fail(*_: object) -> NoReturn:
    raise RuntimeError("no such luck")


ENDS: Mapping[str, Callable[[Pair, int], None]] = {
    "kill": _kill,
    "report": _report,
    "failed check": _kill_after_a_failed_check,
}
"""What is done to a pair before its batch, by what is the server's end."""


def _told(name: str, directory: Path, end: str, step: int) -> tuple[str, bool]:
    """What is told of an end of the server, and whether the signal was let in at this step."""
    case = Case("latency", name, 64, "python", "free")
    with Pair(case, None, Workspace(directory)) as pair:
        pid = server_pid(pair)
        ENDS[end](pair, pid)
        held = Held(pid, step)
        try:
            with tracing(held):
                pair.run(3)
        except LaunchFailed as failure:
            return str(failure), held.is_in
    raise AssertionError(f"nothing was told of the end at step {step}")


def all_told(name: str, directory: Path, end: str) -> dict[str, list[int]]:
    """The sentences that are told, with the steps at which the signal came; the last is none."""
    if end == "report":
        setattr(server.Server, "_run", _fail)  # noqa: B010  (mypy knows no rigging)
    sentences: dict[str, list[int]] = {}
    for step in range(MOST_STEPS):
        told, is_in = _told(name, directory, end, step)
        sentences.setdefault(told, []).append(step)
        if not is_in:
            return sentences
    raise AssertionError("it never ends")


if __name__ == "__main__":
    print(json.dumps(all_told(sys.argv[2], Path(sys.argv[3]), sys.argv[1])))
