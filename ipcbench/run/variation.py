"""What `--vary` adds to a run: terms that differ in the values of a knob, and the one without.

A term is that of a transport or of a workload. `unix:rcvbuf=1m:sndbuf=4k,64k` varies `sndbuf` of
`unix:rcvbuf=1m`: a knob with a list of values is varied, and so is the last one where none has a
list.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import NamedTuple

from ipcbench.case import parse_workload
from ipcbench.errors import UsageError
from ipcbench.terms import Term, magnitude
from ipcbench.transports.registry import canonical
from ipcbench.workloads import NEEDS, WORKLOADS

_MOST_COMBINATIONS = 10_000
"""Most terms of a grid: that many take a day to measure, and a second to spell."""


class Variation(NamedTuple):
    """One `--vary`, or all of one transport or workload together."""

    base: Term
    """The transport or workload, with the knobs that stay as they are."""
    lists: tuple[tuple[str, tuple[str, ...]], ...]
    """The knobs to vary, each with its values as they were written."""

    @classmethod
    def parse(cls, text: str) -> "Variation":
        """The variation that is written so. Raises UsageError; knows no knobs."""
        name, *parts = text.split(":")
        if "," in name:
            raise UsageError(
                f"--vary {text!r} names several; write --vary once for each of them, with its knobs"
            )
        if not parts:
            raise UsageError(
                f"--vary {text!r} gives no values to compare; write --vary {name}:KNOB=VALUE,VALUE"
            )
        # A list is no value of a term: the first ones alone show whether the rest is well-formed.
        firsts = Term.parse(":".join(part.partition(",")[0] for part in text.split(":")))
        written = {
            knob: tuple(part.partition("=")[2].split(","))
            for (knob, _), part in zip(firsts.settings, parts, strict=True)
        }
        for knob, values in written.items():
            for value in values:
                if not value:
                    raise UsageError(
                        f"--vary {text!r} has an empty value of {knob!r}; write {knob}=VALUE,VALUE"
                    )
                Term.parse(f"{name}:{knob}={value}")
        varied = [knob for knob, values in written.items() if len(values) > 1]
        varied = varied or [firsts.settings[-1][0]]
        kept = tuple((knob, value) for knob, value in firsts.settings if knob not in varied)
        return cls(Term(name, kept), tuple((knob, written[knob]) for knob in varied))

    def terms(self, *, grid: bool) -> Iterator[str]:
        """The base, then one term a value; of a grid, one for each combination of the values.

        They are in canonical spelling, and some may be equal: a value may be the default. Raises
        UsageError for an unknown name, knob or value, and for a value that is given twice.
        """
        yield _canonical(str(self.base))
        for knob, values in self.lists:
            beside = self._needed(knob, grid=grid)
            told: dict[str, str] = {}
            for value in values:
                term = _canonical(str(self._with((*beside, (knob, value)))))
                if term in told:
                    raise UsageError(_given_twice(knob, told[term], value))
                told[term] = value
            if not grid:
                yield from told
        if grid:
            count = prod(len(values) for _, values in self.lists)
            if count > _MOST_COMBINATIONS:
                raise UsageError(
                    f"--grid of {self.base} has {count:,} combinations, more than the"
                    f" {_MOST_COMBINATIONS:,} that can be planned; give it fewer values"
                )
            each = ([(knob, value) for value in values] for knob, values in self.lists)
            for settings in product(*each):
                yield _canonical(str(self._with(settings)))

    def _needed(self, knob: str, *, grid: bool) -> tuple[tuple[str, str], ...]:
        """A setting without which the knob says nothing, if the base lacks it.

        Raises UsageError if no term of the variation has it.
        """
        needed = NEEDS.get(knob) if _is_workload(self.base.name) else None
        if needed is None or needed in dict(self.base.settings):
            return ()
        values = dict(self.lists).get(needed) if grid else None
        if values is None:
            raise UsageError(
                f"--vary {self.base.name}:{knob} says nothing without {needed}; give that one value"
                " in front, or combine the values of both with --grid"
            )
        return ((needed, max(values, key=magnitude)),)

    def _with(self, settings: Sequence[tuple[str, str]]) -> Term:
        return Term(self.base.name, (*self.base.settings, *settings))


class Varied(NamedTuple):
    """What all `--vary` of a request mean, in canonical spelling, each term once."""

    transports: list[str]
    """The first is the base of the first `--vary`: what its values are compared with."""
    workloads: list[str]


def varied(asked: Sequence[str], *, grid: bool) -> Varied:
    """The transports and the workloads that these `--vary` mean.

    Raises UsageError for whatever can't be varied.
    """
    if grid and not asked:
        raise UsageError(
            "--grid combines the values of --vary; write for example:"
            " compare --vary unix:sndbuf=4k,64k:rcvbuf=4k,64k --grid"
        )
    variations = [Variation.parse(text) for text in asked]
    if grid:
        variations = _joined(variations)
    terms = dict.fromkeys(term for one in variations for term in one.terms(grid=grid))
    workloads = [term for term in terms if _is_workload(term)]
    return Varied([term for term in terms if not _is_workload(term)], workloads)


def _is_workload(term: str) -> bool:
    """Whether a term is of a workload. No transport has the name of one."""
    return term.partition(":")[0] in WORKLOADS


def _canonical(text: str) -> str:
    """The one spelling of a term, whichever it is of."""
    return parse_workload(text) if _is_workload(text) else canonical(text)


def _joined(variations: Sequence[Variation]) -> list[Variation]:
    """One variation a name, with the knobs of all of it. Raises UsageError if they clash."""
    joined: dict[str, Variation] = {}
    for one in variations:
        before = joined.get(one.base.name, Variation(Term(one.base.name), ()))
        settings, lists = dict(before.base.settings), dict(before.lists)
        for knob, value in one.base.settings:
            if settings.setdefault(knob, value) != value:
                raise UsageError(_has_two_bases(one.base.name, knob))
        for knob, values in one.lists:
            lists[knob] = (*lists.get(knob, ()), *values)
        for knob in settings.keys() & lists.keys():
            raise UsageError(_has_two_bases(one.base.name, knob))
        joined[one.base.name] = Variation(
            Term(one.base.name, tuple(settings.items())), tuple(lists.items())
        )
    return list(joined.values())


def _has_two_bases(name: str, knob: str) -> str:
    return (
        f"--grid can't combine what --vary says of {knob} of {name}: give it one value in all of"
        " them, or one list"
    )


def _given_twice(knob: str, before: str, again: str) -> str:
    if before == again:
        return f"--vary gives {knob!r} the value {again} twice; give it once"
    return f"--vary: {before} and {again} are the same value of {knob!r}; give it once"
