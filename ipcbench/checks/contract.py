"""The contract's rules tried on a transport, for `ipcbench check`. Prints nothing."""

from collections.abc import Iterator
from textwrap import wrap

from ipcbench.testing.check import Verdict, chosen_rules, verdicts
from ipcbench.text import counted
from ipcbench.transports.base import Transport

_COLUMNS = 80
_MARGIN = 27
_WORDS = {"passed": "kept", "skipped": "not tried", "broken": "BROKEN", "hung": "BROKEN"}

__all__ = ["chosen_rules", "counted_up", "described", "title", "verdicts"]


def title(transport: Transport) -> str:
    """The line above a transport's rules."""
    package = "" if transport.origin is None else f" (of {transport.origin})"
    return f"{transport.name}: {transport.summary}{package}"


def described(verdict: Verdict) -> Iterator[str]:
    """Lines on one rule: its outcome, the promise, and in what it is broken or why not tried."""
    rule = verdict.rule
    yield f"  {rule.name:19}{_WORDS[verdict.kind]:11}{rule.promise}"
    if verdict.sentence:
        yield from wrap(
            verdict.sentence,
            _COLUMNS,
            initial_indent=" " * (_MARGIN + 5),
            subsequent_indent=" " * (_MARGIN + 7),
        )


def counted_up(transports: int, broken: int) -> str:
    """The line at the end."""
    of_them = counted(transports, "transport")
    return f"{counted(broken, 'rule') if broken else 'no rule'} broken, of {of_them}"
