"""Common claims about inter-process communication, as data to be tested. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
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

    def beside(self, workload: Workload) -> tuple[str, ...]:
        """Transports that each subject is compared with in this workload."""
        if workload not in self.workloads:
            return ()
        return (*self.others, *self.variants.get(workload, ()))

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


_STACK = "pip install 'ipcbench[stack]'"
_GRPC = "pip install 'ipcbench[grpc]'"

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
    Claim(
        "frameworks-on-tcp",
        "frameworks listen on TCP because sockets of the other family are no faster there",
        "alike",
        subjects=(),
        others=(),
        pairs=[
            (f"{rung}-unix", f"{rung}-inet")
            for rung in ("asyncio-streams", "http-std", "http-uvicorn", "rpc-grpc")
        ],
        titles=("AF_UNIX", "AF_INET"),
        workloads=("latency",),
        caveat="Times can't show reasons that have no time: names, URLs, browsers, proxies, other"
        " hosts, Windows. 'No faster' is a ratio of times surely between 0.80 and 1.25.",
        needs=_STACK,
    ),
    Claim(
        "uvloop-2-to-4",
        "uvloop makes asyncio 2 to 4 times faster",
        "alike",
        subjects=(),
        others=(),
        pairs=[(f"uvloop-{kind}-unix", f"asyncio-{kind}-unix") for kind in ("protocol", "streams")],
        band=(1 / 4, 1 / 2),
        titles=("uvloop", "asyncio"),
        workloads=("latency",),
        caveat="One client that waits for each answer, and 64 B. uvloop's own figures are of ten"
        " clients that keep its server busy.",
        needs=_STACK,
    ),
    Claim(
        "grpc-unix-twice",
        "gRPC over UNIX sockets is twice as fast as over TCP",
        "alike",
        subjects=(),
        others=(),
        pairs=[("rpc-grpc-unix", "rpc-grpc-inet")],
        band=(ALIKE[0] / 2, ALIKE[1] / 2),
        titles=("AF_UNIX", "AF_INET"),
        workloads=("latency",),
        caveat="Unary calls of Python's grpcio, whose own work is most of the time; in C++ the"
        " socket is a larger part. 'Twice' is a ratio of times surely between 0.40 and 0.63.",
        needs=_GRPC,
    ),
    Claim(
        "http-40-ms",
        "HTTP on localhost costs 40 ms a request",
        "alike",
        subjects=(),
        others=(),
        pairs=[
            ("http-std-default-inet", "http-std-inet"),
            ("http-std-default-unix", "http-std-unix"),
            ("http-uvicorn-inet", "http-std-inet"),
        ],
        band=(20.0, inf),
        titles=("request", "http-std"),
        workloads=("latency",),
        caveat="Held to be so where a request surely takes 20 times as long as over http-std, which"
        " sets TCP_NODELAY: the 40 ms are the timer of delayed acknowledgements, for which Nagle's"
        " algorithm waits between the two writes of http.server as it comes.",
    ),
)
"""All claims, in the order of the page."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    workload: tuple(
        dict.fromkeys(
            name
            for claim in CLAIMS
            if workload in claim.workloads
            for name in claim.needed(workload)
        )
    )
    for workload in WORKLOADS
}
"""By workload, the transports that some claim is judged by."""

NEEDED_ONCE = tuple(dict.fromkeys(name for one in CLAIMS for two in one.pairs for name in two))
"""Transports of whole stacks, measured with one size and placement: more takes too much time."""

TRANSPORTS_NEEDED = tuple(dict.fromkeys(name for names in NEEDED.values() for name in names))
"""Every transport that a claim compares."""


def _order(case: Case) -> tuple[int, int, str, str, str]:
    place = WORKLOADS.index(case.workload)
    return place, case.message_size_bytes, case.placement, case.loop, case.interpreter
