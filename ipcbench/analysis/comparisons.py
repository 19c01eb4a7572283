"""A claim as data, and the comparisons among measured cases that test it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ipcbench.case import Case
from ipcbench.workloads import WORKLOADS, Workload, name_of, place_of

Asserted = Literal["faster", "slower", "alike", "which"]
"""A claim's statement on the subject's time against the other's; `which` asks which is faster."""

ALIKE = (0.8, 1.25)
"""The band of time ratios that count as "do not differ much": less than a quarter either way.

It is the band that regulators call equivalent (80 to 125 %: FDA 2001, "Statistical approaches to
establishing bioequivalence"); nothing narrower would survive this kind of machine's noise.
"""


class Comparison(NamedTuple):
    """Two cases that differ only in their transport."""

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


@dataclass(frozen=True, slots=True)
class Claim:
    """One common claim, and which comparisons test it."""

    name: str
    quote: str
    asserts: Asserted
    subjects: Sequence[str]
    """Transports that the claim is about."""
    others: Sequence[str]
    """Transports that each subject is compared with."""
    workloads: Sequence[Workload]
    caveat: str
    """A sentence on what measured times can and can't show about the claim."""
    tells_buffers: bool = False
    """Whether buffer sizes are shown beside the caveat."""
    variants: Mapping[Workload, Sequence[str]] = field(default_factory=dict)
    """By workload, the others once more, each with another congestion control."""
    pairs: Sequence[tuple[str, str]] = ()
    """More subjects, each with the one other that it is compared with."""
    band: tuple[float, float] = ALIKE
    """The ratios of times that a claim of `alike` is about, both bounds excluded."""
    titles: tuple[str, str] = ("socket", "other")
    """The columns of both times, where there are several subjects or others."""
    needs: str = ""
    """The command that installs what the transports need, for those that need anything."""

    @property
    def tells_congestion(self) -> bool:
        """Whether the answer says which congestion control it rests on."""
        return bool(self.variants)

    def beside(self, workload: str) -> tuple[str, ...]:
        """Transports that each subject is compared with in this workload.

        None where the workload has knobs: no claim is about those.
        """
        if workload not in self.workloads:
            return ()
        return (*self.others, *self.variants.get(name_of(workload), ()))

    def needed(self, workload: Workload) -> tuple[str, ...]:
        """Transports that the claim is judged by in this workload."""
        return (
            *self.subjects,
            *self.beside(workload),
            *(name for two in self.pairs for name in two),
        )

    def comparisons(self, cases: Sequence[Case]) -> Iterator[Comparison]:
        """Yields the claim's comparisons among these cases, in the order of the page."""
        there, ordered = set(cases), sorted(cases, key=_order)
        for subject, other in self.pairs:
            for case in ordered:
                beside = case._replace(transport=other)
                is_compared = case.transport == subject and case.workload in self.workloads
                if is_compared and beside in there:
                    yield Comparison(case, beside, is_pair=True)
        others = dict.fromkeys(name for one in WORKLOADS for name in self.beside(one))
        for other in others:
            for subject in self.subjects:
                for case in ordered:
                    beside = case._replace(transport=other)
                    is_compared = case.transport == subject and other in self.beside(case.workload)
                    if is_compared and beside in there:
                        yield Comparison(case, beside)


def _order(case: Case) -> tuple[object, ...]:
    place = place_of(case.workload)
    return place, case.message_size_bytes, case.placement, case.loop, case.interpreter
