"""A trial in processes of its own: a limit on its time, and an eye on what it leaves behind.

A guard, forked from the caller, forks the trial and adopts whatever that leaves running
(PR_SET_CHILD_SUBREAPER). However the trial ends, by an answer, a crash, the limit or the end of the
caller, the guard kills what is left, and says so.
"""

import ctypes
import json
import os
import select
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn

from ipcbench.errors import IpcbenchError, explain_with_type
from ipcbench.system import process
from ipcbench.system.signals import accept_signals, signals_held_back
from ipcbench.testing.subject import Broken, NotTried

_PR_SET_CHILD_SUBREAPER = 36
_GRACE_S = 2.0
"""Seconds for processes that are about to end anyway."""
_POLL_S = 0.002
_MOST_SENTENCE = 2000
_MOST_BYTES = 64 * 1024
"""More than such a sentence takes, however it is escaped, and no more than a pipe has room for."""

Kind = Literal["passed", "skipped", "broken", "hung"]


class Outcome(NamedTuple):
    """The end of a trial; the sentence of one that passed is empty."""

    kind: Kind
    sentence: str = ""


def isolated(work: Callable[[], object], directory: Path, limit_s: float) -> Outcome:
    """Does the work in a process of its own, which has `limit_s`; nothing that it starts stays.

    `directory` is what the work takes for the folder of temporary files.
    """
    told, tell = os.pipe()
    waits, held = os.pipe()
    with warnings.catch_warnings():
        # A test runner may have threads. The child uses none of what they may hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        # A signal's handler would raise in the child too, and have it go on as the caller.
        with signals_held_back():
            guard = os.fork()
            if guard == 0:
                _guard(work, directory, limit_s, tell, waits, frozenset((told, held)))
    os.close(tell)
    os.close(waits)
    try:
        answer = _read_all(told)
    finally:
        os.close(held)  # if it is still at work, this ends it
        with suppress(ChildProcessError):  # the caller ignores SIGCHLD, or waits for all
            os.waitpid(guard, 0)
        os.close(told)
    try:
        kind, sentence = json.loads(answer)
    except ValueError:
        return Outcome("broken", "it ended the process that guards the trial")
    return Outcome(kind, sentence)


def _read_all(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, _MOST_BYTES):
        parts.append(part)
    return b"".join(parts)


def _guard(
    work: Callable[[], object],
    directory: Path,
    limit_s: float,
    tell: int,
    waits: int,
    unwanted: frozenset[int],
) -> NoReturn:
    """Runs the guard, in the child right after the fork; never returns."""
    outcome = Outcome("broken", "the trial could not be started")
    try:
        process.close_quietly(unwanted)
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the end of the caller's pipe tells of its end
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _adopt()
        told, answers = os.pipe()
        trial = os.fork()
        if trial == 0:
            process.close_quietly(frozenset((tell, waits, told)))
            _trial(work, directory, answers)
        os.close(answers)
        outcome = _awaited(trial, told, waits, limit_s)
    except OSError as error:
        outcome = Outcome("broken", f"the trial could not be started: {error}")
    finally:
        try:
            left = _end_all()
            if left and outcome.kind in {"passed", "skipped"}:
                outcome = Outcome("broken", f"it leaves processes running: {', '.join(left)}")
            os.write(tell, json.dumps(outcome).encode())
        finally:
            os._exit(0)


def _trial(work: Callable[[], object], directory: Path, answers: int) -> NoReturn:
    """Does the work, in the guard's child; never returns."""
    outcome = Outcome("passed")
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        accept_signals()  # they are held back since the fork
        process.die_with_parent(os.getppid())
        process.silence_standard_streams()  # a trial may print what it likes
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
        tempfile.tempdir = str(directory)
        os.environ["TMPDIR"] = str(directory)
        work()
    except NotTried as reason:
        outcome = Outcome("skipped", str(reason))
    except (Broken, IpcbenchError) as error:
        outcome = Outcome("broken", str(error))
    except BaseException as error:
        outcome = Outcome("broken", explain_with_type(error))
    finally:
        try:
            short = outcome._replace(sentence=outcome.sentence[:_MOST_SENTENCE])
            os.write(answers, json.dumps(short).encode())
        finally:
            os._exit(0)


def _awaited(trial: int, told: int, waits: int, limit_s: float) -> Outcome:
    """The outcome of the trial, once its process has ended or its time is up."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        ended, status = os.waitpid(trial, os.WNOHANG)
        if ended:
            return _answer(told, os.waitstatus_to_exitcode(status))
        if select.select([waits], [], [], _POLL_S)[0]:
            return Outcome("broken", "nobody waits for the outcome any more")
    return Outcome("hung", f"not done after {limit_s:g} s: it hangs, and was killed")


def _answer(told: int, code: int) -> Outcome:
    os.set_blocking(told, False)
    try:
        answer = os.read(told, _MOST_BYTES)
    except BlockingIOError:
        answer = b""  # a process that is left holds the other end
    if not answer:
        return Outcome("broken", f"it ends the process that uses it, which {_how(code)}")
    kind, sentence = json.loads(answer)
    return Outcome(kind, sentence)


def _how(code: int) -> str:
    return process.describe_exit(code)


def _adopt() -> None:
    """Makes this process the parent of all descendants whose own parent ends. prctl(2)."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except AttributeError:
        pass  # not Linux: only children can be ended, not theirs


def _end_all() -> list[str]:
    """Gives all children a moment, kills the others, and describes those."""
    deadline = time.monotonic() + _GRACE_S
    killed: dict[int, str] = {}
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return list(killed.values())
        living = process.children(os.getpid())
        if time.monotonic() >= deadline:
            for pid in living:
                killed.setdefault(pid, f"process {pid}")
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass  # it ended just now
        time.sleep(_POLL_S)
