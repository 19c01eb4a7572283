"""A claim as data, and the comparisons among measured cases that test it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal, NamedTuple

from ipcbench.case import Case
from ipcbench.workloads import (
    OF_CLIENTS,
    Workload,
    clients_of,
    name_of,
    place_of,
    settings_of,
)

Asserted = Literal["faster", "slower", "alike", "which"]
"""A claim's statement on the subject's time against the other's; `which` asks which is faster."""

ALIKE = (0.8, 1.25)
"""The band of time ratios that count as "do not differ much": less than a quarter either way.

It is the band that regulators call equivalent (80 to 125 %: FDA 2001, "Statistical approaches to
establishing bioequivalence"); nothing narrower would survive this kind of machine's noise.
"""


class Itself(NamedTuple):
    """A transport in one workload, to be compared with itself in another."""

    transport: str
    workload: str
    """The term of the workload that the claim is about."""
    beside: str
    """The term of the workload that it is compared with."""


class Comparison(NamedTuple):
    """Two cases that differ only in their transport, or only in their workload."""

    subject: Case
    other: Case
    congestion: str = ""
    """The other's congestion control in force; empty where no claim asks, or where it isn't known.

    Two of them, with a comma between, where its ends or launches had different ones.
    """
    is_pair: bool = False
    """Whether the claim has this other for this subject alone."""

    @property
    def cases(self) -> tuple[Case, Case]:
        """The subject and the other."""
        return self.subject, self.other

    @property
    def is_with_itself(self) -> bool:
        """Whether both cases are of one transport, in two workloads."""
        return self.subject.workload != self.other.workload


@dataclass(frozen=True, slots=True)
class Claim:
    """One common claim, and which comparisons test it."""

    name: str
    quote: str
    asserts: Asserted
    caveat: str
    """A sentence on what measured times can and can't show about the claim."""
    subjects: Sequence[str] = ()
    """Transports that the claim is about."""
    others: Sequence[str] = ()
    """Transports that each subject is compared with."""
    workloads: Sequence[str] = ()
    """Terms of the workloads in which transports are compared."""
    tells_buffers: bool = False
    """Whether buffer sizes are shown beside the caveat."""
    variants: Mapping[Workload, Sequence[str]] = field(default_factory=dict)
    """By workload, the others once more, each with another congestion control."""
    pairs: Sequence[tuple[str, str]] = ()
    """More subjects, each with the one other that it is compared with."""
    among: Sequence[str] = ()
    """Transports that are compared with each other, every two of them once."""
    with_itself: Sequence[Itself] = ()
    """Transports that are each compared with themselves in another workload."""
    subjects_are: str = "the kind of socket"
    """What an answer depends on that isn't the same for all subjects."""
    band: tuple[float, float] = ALIKE
    """The ratios of times that a claim of `alike` is about, both bounds excluded."""
    titles: tuple[str, str] = ("socket", "other")
    """The columns of both times, where there are several subjects or others."""
    needs: str = ""
    """The command that installs what the transports need, for those that need anything."""
    crowd: str = ""
    """The term of a workload with many clients, by which the claim is judged at saturation.

    It is judged with other numbers of clients, too, where those were measured; and with any only
    where the server of both transports ran out of its CPU.
    """
    crowd_pairs: Sequence[tuple[str, str]] = ()
    """More pairs, which are measured with one client and with many, at the last placement."""
    also: Sequence[tuple[str, str]] = ()
    """More pairs, judged where they were measured, as the ladder does."""

    @property
    def tells_congestion(self) -> bool:
        """Whether the answer says which congestion control it rests on."""
        return bool(self.variants)

    @property
    def all_workloads(self) -> tuple[str, ...]:
        """Terms of all workloads that the claim is judged by, each once."""
        of_itself = (name for one in self.with_itself for name in (one.workload, one.beside))
        of_crowd = (self.crowd,) if self.crowd else ()
        return tuple(dict.fromkeys((*self.workloads, *of_itself, *of_crowd)))

    def is_crowd(self, workload: str) -> bool:
        """Whether it is one of the claim's workloads, with many clients."""
        if not self.crowd or clients_of(workload).number == 1:
            return False
        settings = settings_of(workload).keys()
        return settings <= OF_CLIENTS and name_of(workload) in self.workloads

    def beside(self, workload: str) -> tuple[str, ...]:
        """Transports that each subject is compared with in this workload."""
        if workload not in self.workloads:
            return ()
        return (*self.others, *self.variants.get(name_of(workload), ()))

    def needed(self, workload: str) -> tuple[str, ...]:
        """Transports that the claim is judged by in this workload."""
        names = [
            one.transport for one in self.with_itself if workload in (one.workload, one.beside)
        ]
        if workload in self.workloads:
            names += [*self.subjects, *self.beside(workload), *self.among]
            names += [name for two in self.pairs for name in two]
        if workload == self.crowd or workload in self.workloads:
            names += [name for two in self.crowd_pairs for name in two]
        return tuple(dict.fromkeys(names))

    def comparisons(self, cases: Sequence[Case]) -> Iterator[Comparison]:
        """Yields the claim's comparisons among these cases, in the order of the page."""
        there, ordered = set(cases), sorted(cases, key=_order)
        for comparison in (*self._of_pairs(ordered), *self._of_each(ordered)):
            if comparison.other in there:
                yield comparison

    def _of_pairs(self, ordered: Sequence[Case]) -> Iterator[Comparison]:
        """Yields comparisons of subjects that have one other each, whether it is there or not."""
        for subject, other in (*self.pairs, *self.crowd_pairs, *self.also):
            for case in self._cases_of(subject, ordered):
                yield Comparison(case, case._replace(transport=other), is_pair=True)
        for one in self.with_itself:
            for case in ordered:
                if (case.transport, case.workload) == (one.transport, one.workload):
                    yield Comparison(case, case._replace(workload=one.beside), is_pair=True)

    def _of_each(self, ordered: Sequence[Case]) -> Iterator[Comparison]:
        """Yields comparisons of subjects with all others, whether they are there or not."""
        for subject, other in combinations(self.among, 2):
            for case in self._cases_of(subject, ordered):
                yield Comparison(case, case._replace(transport=other))
        others = dict.fromkeys(name for one in self.workloads for name in self.beside(one))
        for other in others:
            for subject in self.subjects:
                for case in self._cases_of(subject, ordered):
                    if other in self.beside(case.workload):
                        yield Comparison(case, case._replace(transport=other))

    def _cases_of(self, transport: str, ordered: Sequence[Case]) -> list[Case]:
        """The cases of a transport in the workloads in which transports are compared."""
        return [
            case
            for case in ordered
            if case.transport == transport
            and (case.workload in self.workloads or self.is_crowd(case.workload))
        ]


def _order(case: Case) -> tuple[object, ...]:
    place = place_of(case.workload)
    return place, case.message_size_bytes, case.placement, case.loop, case.interpreter
