"""Other interpreters to measure with: asked about themselves before the first launch.

Each is a Python with an ipcbench of its own, so that two of anything can be compared in one run:
Pythons, libraries, or versions of ipcbench. See `about` for what they must have in common.
"""

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ipcbench import __version__
from ipcbench.case import DEFAULT_PLACEMENT, Case
from ipcbench.errors import UsageError, explain_start
from ipcbench.measure.tether import PROTOCOL
from ipcbench.results.migration import FORMAT
from ipcbench.results.rules import FLAG, TEXT, ValueRule, checked, optional
from ipcbench.results.store import Metadata
from ipcbench.run.pythons import Named
from ipcbench.system.machine import python_name
from ipcbench.system.signals import signals_held_back

ABOUT = "ipcbench.run.about"
ANSWER_LIMIT_S = 20.0
"""An answer takes 0.2 s; a cold disk or a busy machine may make ten times of it."""
_EXIT_LIMIT_S = 1.0
_MOST_BYTES = 4 * 1024**2
"""Most bytes of an answer; that on the cases of a full matrix has 1 MB."""
_SHOWN = 100
"""Most characters of what an interpreter said, in a message."""
_OF_ONE_INSTALLATION = ("PYTHONPATH", "PYTHONHOME")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An interpreter that answered: how to start it, and what it said of itself."""

    label: str
    program: Path
    facts: Metadata
    """Metadata of its launches, in the place of that of the driver's own installation."""
    native: str | None
    """The reason why it has no loop in C; None if it has."""
    cases: Mapping[str, str | None]
    """Reasons why it can't measure cases, by their ids without placement; None where it can."""

    def rejects(self, case: Case) -> str | None:
        """The reason why it can't measure a case; None if it can."""
        if case.loop == "native" and self.native is not None:
            return f"{self.label} has no native loop: {self.native}"
        reason = self.cases.get(_question(case))
        return None if reason is None else f"{self.label}: {reason}"


def asked(pythons: Iterable[str], cases: Iterable[Case]) -> dict[str, Interpreter]:
    """Asks each interpreter about itself and these cases; the answers by label, in their order.

    Raises UsageError for the first that can't be used, with what to do about it.
    """
    questions = list(dict.fromkeys(map(_question, cases)))
    named = list(map(Named.parse, pythons))
    programs = [one.program for one in named]  # all must be there before one is asked
    return {
        one.label: _asked(one, program, questions)
        for one, program in zip(named, programs, strict=True)
    }


def shared_out(
    cases: Iterable[Case], interpreters: Mapping[str, Interpreter]
) -> tuple[list[Case], list[tuple[Case, str]]]:
    """The cases of each interpreter, and those that it can't measure, with the reasons."""
    possible, impossible = [], []
    for case in cases:
        for label, interpreter in interpreters.items():
            own = case._replace(interpreter=label)
            reason = interpreter.rejects(case)
            if reason is None:
                possible.append(own)
            else:
                impossible.append((own, reason))
    return possible, impossible


def environment() -> dict[str, str]:
    """The environment of another interpreter: this process's, without what is of its installation.

    Other packages than its own would be found first there, ipcbench among them.
    """
    return {name: value for name, value in os.environ.items() if name not in _OF_ONE_INSTALLATION}


def _question(case: Case) -> str:
    """The case's id as an interpreter is asked about it: placement is no matter of an installation.

    Without the label, too, which is the driver's word for it.
    """
    plain = case._replace(placement=DEFAULT_PLACEMENT, interpreter="")
    return plain.id.removesuffix(f"/{DEFAULT_PLACEMENT}")


def _asked(named: Named, program: Path, questions: Sequence[str]) -> Interpreter:
    code, answer, said = _answer(named, [str(program), "-P", "-m", ABOUT, *questions])
    if code:
        raise UsageError(_refusal(named, code, said))
    try:
        data = json.loads(answer.splitlines()[-1] if answer.strip() else "")
        if not isinstance(data, dict):
            raise ValueError("no object")
    except (ValueError, RecursionError) as error:
        shown = " ".join(answer.split())[:_SHOWN] or "nothing"
        raise UsageError(
            f"{named}: it is no Python that can be asked about its ipcbench: it answered {shown!r};"
            " name an interpreter, /path/bin/python"
        ) from error
    _check_versions(named, data)
    try:
        read = {name: checked(data.get(name), rule) for name, rule in _RULES.items()}
    except ValueError as error:
        raise UsageError(f"{named}: its ipcbench answers what can't be read: {error}") from error
    python = python_name(read["implementation"], read["python"], read["free_threaded"])
    facts: Metadata = {
        "python": python,
        "ipcbench_version": read["ipcbench"],
        "code_version": read["code_version"],
        "versions": read["versions"],
    }
    return Interpreter(named.label, program, facts, read["native"], read["cases"])


def _check_versions(named: Named, data: Mapping[str, Any]) -> None:
    """Raises UsageError unless the driver's numbers are those of the answer."""
    for key, what, ours in (
        ("worker_protocol", "protocol of workers", PROTOCOL),
        ("format", "format of files", FORMAT),
    ):
        if data.get(key) != ours:
            theirs = str(data.get(key))[:_SHOWN]
            version = str(data.get("ipcbench"))[:_SHOWN]
            raise UsageError(
                f"{named}: its ipcbench {version} has {what} {theirs}, this one ({__version__})"
                f" has {ours}; {_install(named)}"
            )


def _install(named: Named) -> str:
    return f"install this version there: {named.path} -m pip install --upgrade ipcbench"


def _refusal(named: Named, code: int, said: str) -> str:
    """The message for an interpreter that ended with an exit code."""
    lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
    last = lines[-1][:_SHOWN] if lines else f"exit code {code}"
    flat = " ".join(said.split()).replace("'", "")
    if "unknown option" in flat.lower():
        return f"{named}: it isn't Python 3.11 or later, which ipcbench needs: {lines[0][:_SHOWN]}"
    if "No module named ipcbench." in flat:
        return f"{named}: its ipcbench is of another version than this; {_install(named)}"
    if "No module named ipcbench" in flat:
        return (
            f"{named}: it has no ipcbench; install it there: {named.path} -m pip install ipcbench"
        )
    if "No module named" in flat or "ImportError" in flat:
        advice = f"install it anew there: {named.path} -m pip install --force-reinstall ipcbench"
        return f"{named}: its ipcbench can't be loaded: {last}; {advice}"
    return (
        f"{named}: it is no Python that can be asked about its ipcbench: it said {last!r};"
        " name an interpreter, /path/bin/python"
    )


def _answer(named: Named, command: Sequence[str]) -> tuple[int, str, str]:
    """Runs a command; its exit code, stdout and stderr. Raises UsageError if it takes too long.

    Whatever it started in its group is ended with it: a wrapper may leave its Python behind.
    """
    with ExitStack() as started:
        try:
            with signals_held_back():
                process = started.enter_context(
                    subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        env=environment(),
                        start_new_session=True,
                    )
                )
                # It runs before the process is reaped, while the group's id can't be another's.
                started.callback(_end_group, process.pid)
        except OSError as error:
            raise UsageError(
                f"{named}: it can't be started: {explain_start(error)};"
                " name an interpreter, /path/bin/python"
            ) from error
        texts = _read(process)
        if texts is not None:
            _wait_for_end(process.pid)
    if texts is None:
        raise UsageError(
            f"{named}: it doesn't answer within {ANSWER_LIMIT_S:g} s what its ipcbench is;"
            f" try it by hand: {named.path} -m {ABOUT}"
        )
    return process.returncode, *texts


def _read(process: "subprocess.Popen[bytes]") -> tuple[str, str] | None:
    """What a process writes to stdout and stderr; None if it takes too long, or writes too much."""
    streams = [stream for stream in (process.stdout, process.stderr) if stream is not None]
    parts: dict[int, bytearray] = {stream.fileno(): bytearray() for stream in streams}
    deadline_s = time.monotonic() + ANSWER_LIMIT_S
    with selectors.PollSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline_s - time.monotonic()))
            if not ready:
                return None
            for key, _ in ready:
                part = os.read(key.fd, 65536)
                parts[key.fd] += part
                if not part:
                    selector.unregister(key.fileobj)
                if len(parts[key.fd]) > _MOST_BYTES or time.monotonic() > deadline_s:
                    return None
    out, err = (bytes(found).decode("utf-8", "replace") for found in parts.values())
    return out, err


def _wait_for_end(pid: int) -> None:
    """Waits for the end of a process that has said all, but not for long; it isn't reaped."""
    deadline_s = time.monotonic() + _EXIT_LIMIT_S
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > deadline_s:
            break
        time.sleep(0.001)


def _end_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _is_reasons(value: object) -> bool:
    return isinstance(value, dict) and all(map(optional(TEXT).fits, value.values()))


_RULES: Mapping[str, ValueRule] = {
    "ipcbench": TEXT,
    "code_version": TEXT,
    "python": TEXT,
    "implementation": TEXT,
    "free_threaded": FLAG,
    "versions": TEXT,
    "native": optional(TEXT),
    "cases": ValueRule("an object of reasons by case", _is_reasons),
}
"""The requirement on each part of an answer that is read."""
