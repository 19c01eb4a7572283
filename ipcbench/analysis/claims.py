"""Common claims about inter-process communication, as data to be tested. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ipcbench.case import Case
from ipcbench.workloads import WORKLOADS, Workload

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

    def needs(self, case: Case) -> bool:
        """Whether the claim compares this case with another."""
        return case.workload in self.workloads and case.transport in (*self.subjects, *self.others)

    def comparisons(self, cases: Sequence[Case]) -> Iterator[Comparison]:
        """Yields the claim's comparisons among these cases, in the order of the page."""
        there, ordered = set(cases), sorted(cases, key=_order)
        for other in self.others:
            for subject in self.subjects:
                for case in ordered:
                    beside = case._replace(transport=other)
                    if case.transport == subject and self.needs(case) and beside in there:
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

TRANSPORTS_NEEDED = tuple(
    dict.fromkeys(name for claim in CLAIMS for name in (*claim.subjects, *claim.others))
)
"""Every transport that a claim compares."""


NEEDED: Mapping[str, tuple[str, ...]] = {
    workload: tuple(
        dict.fromkeys(
            name
            for claim in CLAIMS
            if workload in claim.workloads
            for name in (*claim.subjects, *claim.others)
        )
    )
    for workload in WORKLOADS
}
"""By workload, the transports that some claim is judged by."""


def _order(case: Case) -> tuple[int, int, str, str, str]:
    place = WORKLOADS.index(case.workload)
    return place, case.message_size_bytes, case.placement, case.loop, case.interpreter
