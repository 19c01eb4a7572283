"""Common claims about inter-process communication, as data to be tested. Pure."""

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


CONGESTION_CONTROLS = ("bbr", "cubic", "reno")
"""TCP's congestion controls that a claim is judged under, where the machine offers them.

cubic is Linux's own default, bbr what many set instead of it, and reno is in every kernel. The
machine's default is judged whichever it is.
"""


class Comparison(NamedTuple):
    """Two cases that differ only in their transport."""

    subject: Case
    other: Case
    congestion: str = ""
    """The other's congestion control in force; empty where no claim asks, or where it isn't known.

    Two of them, with a comma between, where its ends or launches had different ones.
    """

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

    def comparisons(self, cases: Sequence[Case]) -> Iterator[Comparison]:
        """Yields the claim's comparisons among these cases, in the order of the page."""
        there, ordered = set(cases), sorted(cases, key=_order)
        others = dict.fromkeys(name for one in WORKLOADS for name in self.beside(one))
        for other in others:
            for subject in self.subjects:
                for case in ordered:
                    beside = case._replace(transport=other)
                    is_compared = case.transport == subject and other in self.beside(case.workload)
                    if is_compared and beside in there:
                        yield Comparison(case, beside)


CLAIMS = (
    Claim(
        "unix-beats-inet",
        "AF_UNIX is faster than AF_INET, because it needs no TCP",
        "faster",
        subjects=("unix",),
        others=("inet",),
        workloads=WORKLOADS,
        caveat="Times show whether, not why. Without TCP there are no segments, acknowledgements or"
        " loopback device, but buffers and the way the reader is woken are other ones too.",
        tells_buffers=True,
        # Streams alone: a congestion control has nothing to decide for one message on its way.
        variants={"throughput": [f"inet:congestion={name}" for name in CONGESTION_CONTROLS]},
    ),
    Claim(
        "sockets-like-sysv",
        "on one machine sockets do not differ much from System V IPC",
        "alike",
        subjects=("unix", "inet"),
        others=("sysv-msg", "sysv-shm", "sysv-shm-spin"),
        workloads=("latency", "throughput"),
        caveat="How the reader waits counts beside the mechanism: sysv-shm sleeps on a semaphore,"
        " sysv-shm-spin keeps both CPUs busy for its speed, the others sleep in the kernel.",
    ),
    Claim(
        "inet6-costs-more",
        "IPv6 costs more than IPv4 on loopback",
        "slower",
        subjects=("inet6",),
        others=("inet",),
        workloads=WORKLOADS,
        caveat="Both are the same TCP over the same loopback device; only addresses and headers"
        " differ.",
    ),
    Claim(
        "pipe-or-unix",
        "pipes are the old method, UNIX sockets the new one: which is faster",
        "which",
        subjects=("pipe",),
        others=("unix",),
        workloads=("latency", "throughput"),
        caveat="A pipe goes one way, so a pair of them stands beside one socket; how much each"
        " holds before its writer sleeps differs too.",
        tells_buffers=True,
    ),
)
"""All claims, in the order of the page."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    workload: tuple(
        dict.fromkeys(
            name
            for claim in CLAIMS
            if workload in claim.workloads
            for name in (*claim.subjects, *claim.beside(workload))
        )
    )
    for workload in WORKLOADS
}
"""By workload, the transports that some claim is judged by."""

TRANSPORTS_NEEDED = tuple(dict.fromkeys(name for names in NEEDED.values() for name in names))
"""Every transport that a claim compares."""


def _order(case: Case) -> tuple[object, ...]:
    place = place_of(case.workload)
    return place, case.message_size_bytes, case.placement, case.loop, case.interpreter
