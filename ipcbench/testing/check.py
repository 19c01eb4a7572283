"""`check_transport`: tries every rule of the contract on a transport."""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ipcbench.errors import unknown_name
from ipcbench.system.objects import objects, remove
from ipcbench.system.scratch import Scratch, outstanding, scratch, sweep
from ipcbench.testing import deaths, kernel, making, messages, readiness
from ipcbench.testing.isolation import Kind, Outcome, isolated
from ipcbench.testing.subject import PATIENCE_S, Rule, Subject, Trial
from ipcbench.transports.base import LEDGER, Transport
from ipcbench.transports.plugins import fault_of
from ipcbench.transports.registry import standing_in

RULES: tuple[Rule, ...] = (
    *making.RULES,
    *messages.RULES,
    *readiness.RULES,
    *kernel.RULES,
    *deaths.RULES,
)
"""Every rule, in the order in which they are tried: the cheap ones first."""

_MORE_S = 2.0
"""Seconds that a trial has beyond the patience of what it waits for, to say so itself."""
_GRACE_S = 2.0
"""Seconds until what disappears with its processes has done so."""
_SWEEP_S = 10.0
_MOST_HUNG = 2
"""After so many rules that hung, the others aren't tried: the time is bounded."""


class BrokenRule(AssertionError):
    """A rule of the contract that a transport doesn't keep; the message says which, and in what."""


class Verdict(NamedTuple):
    """The outcome of one rule over all its trials."""

    rule: Rule
    kind: Kind
    sentence: str
    """In what it is broken, or why it was skipped; empty if it is kept."""
    tried: int
    """Number of trials that were made, and not skipped."""

    @property
    def is_broken(self) -> bool:
        """Whether the rule isn't kept."""
        return self.kind in {"broken", "hung"}


def check_transport(transport: Transport | type[Transport], patience_s: float = PATIENCE_S) -> None:
    """Checks that the transport keeps every rule that can be tried here. Raises BrokenRule.

    `patience_s` is the time in which whatever takes milliseconds must be done: what takes longer
    hangs. A transport that can't run here (`unavailable`) breaks no rule about links.
    """
    made = instance(transport)
    for verdict in verdicts(made, patience_s=patience_s):
        if verdict.is_broken:
            raise BrokenRule(f"{made.name}: {verdict.rule.name}: {verdict.sentence}")


def instance(transport: Transport | type[Transport]) -> Transport:
    """The transport, made if it is given as a class. Raises BrokenRule if it is none."""
    try:
        made = transport() if isinstance(transport, type) else transport
    except Exception as error:
        raise BrokenRule(f"{transport!r} can't be made: {error}") from error
    if not isinstance(made, Transport):
        raise BrokenRule(f"{transport!r} is no ipcbench.transports.base.Transport")
    made.settle()
    fault = fault_of(made)
    if fault is not None:
        raise BrokenRule(f"{type(made).__name__}: described: {fault}")
    return made


def chosen_rules(names: Sequence[str]) -> tuple[Rule, ...]:
    """The rules of these names; all, if there are none. Raises UsageError."""
    known = [rule.name for rule in RULES]
    for name in names:
        if name not in known:
            raise unknown_name("rule", name, known)
    return tuple(rule for rule in RULES if not names or rule.name in names)


def verdicts(
    transport: Transport, rules: Sequence[Rule] = RULES, patience_s: float = PATIENCE_S
) -> Iterator[Verdict]:
    """The verdict on each rule, as soon as it is known."""
    with standing_in(transport), scratch() as private:
        hung = 0
        for rule in rules:
            if hung >= _MOST_HUNG:
                yield Verdict(rule, "skipped", f"{hung} rules hung before", 0)
                continue
            verdict = _tried(transport, rule, private, patience_s)
            hung += verdict.kind == "hung"
            yield verdict


def _tried(transport: Transport, rule: Rule, private: Scratch, patience_s: float) -> Verdict:
    """Tries a rule in one setting after the other, until one breaks it."""
    reasons: dict[str, None] = {}
    kept = 0
    for trial in rule.trials:
        outcome = _watched(transport, trial, private, patience_s)
        if outcome.kind == "skipped":
            reasons[outcome.sentence] = None
        elif outcome.kind == "passed":
            kept += 1
        else:
            where = f" ({trial.setting})" if trial.setting else ""
            one_line = " ".join(outcome.sentence.split())
            return Verdict(rule, outcome.kind, f"{one_line}{where}", kept + 1)
    if kept:
        return Verdict(rule, "passed", "", kept)
    return Verdict(rule, "skipped", "; ".join(reasons), 0)


def _watched(transport: Transport, trial: Trial, private: Scratch, patience_s: float) -> Outcome:
    """The outcome of a trial; objects that it leaves behind break the rule, and are removed.

    The kernel's tables don't name who made an object. What is left is the trial's if there is more
    after a second one, too.
    """
    outcome, left = _once(transport, trial, private, patience_s)
    if not left:
        return outcome
    _, more = _once(transport, trial, private, patience_s)
    if not more:
        return outcome
    remove(left | more)
    if outcome.kind in {"broken", "hung"}:
        return outcome
    return Outcome("broken", f"it leaves behind what it didn't note: {', '.join(sorted(left))}")


def _once(
    transport: Transport, trial: Trial, private: Scratch, patience_s: float
) -> tuple[Outcome, frozenset[str]]:
    """The outcome of a trial, and the objects that it leaves."""
    with private.launch() as directory:
        temporary, own = directory / "t", directory / "w"
        temporary.mkdir(mode=0o700)
        own.mkdir(mode=0o700)
        before = objects()
        subject = Subject(transport, own, patience_s)
        outcome = isolated(partial(trial.check, subject), temporary, patience_s + _MORE_S)
        outcome = _swept(outcome, transport, own, temporary)
        files = [path.name for path in temporary.iterdir()]
        if files and outcome.kind in {"passed", "skipped"}:
            outcome = Outcome("broken", f"it leaves files in TMPDIR: {', '.join(files)}")
        deadline = time.monotonic() + _GRACE_S
        while (left := objects() - before) and time.monotonic() < deadline:
            time.sleep(0.01)
        return outcome, left


def _swept(outcome: Outcome, transport: Transport, directory: Path, temporary: Path) -> Outcome:
    """The outcome, once what the trial noted and didn't remove is removed as `leftovers` says.

    That is foreign code as well, so it runs in a process of its own.
    """
    ledger = directory / LEDGER
    if not ledger.exists() or not outstanding(ledger.read_text(encoding="ascii")):
        return outcome
    removed = isolated(partial(sweep, directory, transport.leftovers), temporary, _SWEEP_S)
    if removed.kind == "passed" or outcome.kind in {"broken", "hung"}:
        return outcome
    return Outcome("broken", f"`leftovers` doesn't remove what is left: {removed.sentence}")
