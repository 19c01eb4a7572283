"""Common claims about inter-process communication, as data to be tested. Pure."""

from collections.abc import Mapping
from math import inf

from ipcbench.analysis.comparisons import ALIKE, Claim, Itself
from ipcbench.rungs import BARE, CLIENT, FAMILIES, LEAN, Family
from ipcbench.workloads import DEFINITIONS, WORKLOADS, place_of

CONGESTION_CONTROLS = ("bbr", "cubic", "reno")
"""TCP's congestion controls that a claim is judged under, where the machine offers them.

cubic is Linux's own default, bbr what many set instead of it, and reno is in every kernel. The
machine's default is judged whichever it is.
"""

IDLE_WORKLOAD = "latency:gap=10ms"
"""Round trips after the longest gap of the sweep that the claim is about; both ends sleep in it."""
IDLE_SPINNING_WORKLOAD = f"{IDLE_WORKLOAD}:gap-by=spin"
"""Round trips after the same gap, which the client spends with a busy CPU."""
WORK_WORKLOAD = "latency:work=1ms"
WINDOW_WORKLOAD = "latency:window=16"
_CLOSED_LOOPS = tuple(name for name in WORKLOADS if DEFINITIONS[name].quantity != "response")
"""Workloads whose times are the mechanism's own, and not those of a rate that was chosen."""
_IRRELEVANT = 0.05
"""Share of a request that nobody chooses a mechanism for."""

CROWD_WORKLOAD = "latency:clients=8"
"""Round trips of as many clients as keep the CPU of a server busy, if the client is lean."""
_INTERFACES = ("protocol", "streams")


def _plain_loops(family: Family) -> list[tuple[str, str]]:
    """The rungs of uvloop, each beside the same of asyncio."""
    return [(f"uvloop-{one}-{family}", f"asyncio-{one}-{family}") for one in _INTERFACES]


def _lean_loops(family: Family) -> list[tuple[str, str]]:
    """The same rungs with clients that leave the CPU to the server."""
    lean = f":{CLIENT}={LEAN}"
    return [(f"{one}{lean}", f"{two}{lean}") for one, two in _plain_loops(family)]


def _uvicorns(family: Family) -> list[tuple[str, str]]:
    """Uvicorn on uvloop beside itself on asyncio's own loop, with either client."""
    rung = f"http-uvicorn-{family}"
    return [
        (f"{rung}{client}", f"{rung}{client}:loop=asyncio") for client in ("", f":{CLIENT}={BARE}")
    ]


_STACK = "pip install 'ipcbench[stack]'"
_GRPC = "pip install 'ipcbench[grpc]'"

CLAIMS = (
    Claim(
        "unix-beats-inet",
        "AF_UNIX is faster than AF_INET, because it needs no TCP",
        "faster",
        subjects=("unix",),
        others=("inet",),
        workloads=_CLOSED_LOOPS,
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
        workloads=_CLOSED_LOOPS,
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
        "latency-at-low-rates",
        "a ping-pong's latency holds at low rates",
        "alike",
        with_itself=[
            *(Itself(name, IDLE_WORKLOAD, "latency") for name in ("unix", "inet", "pipe")),
            Itself("sysv-shm-spin", IDLE_SPINNING_WORKLOAD, "latency"),
        ],
        band=(0.0, ALIKE[1]),
        titles=("idle", "busy"),
        subjects_are="the transport",
        caveat="Held to be so where a round trip after 10 ms of idleness surely takes less than"
        " 1.25 times as long. Times can't tell a CPU's idle state from cold caches; sysv-shm-spin,"
        " whose ends never sleep, has the caches alone.",
    ),
    Claim(
        "irrelevant-with-work",
        "the choice of IPC is irrelevant with 1 ms of work",
        "alike",
        among=("unix", "inet", "pipe", "sysv-shm", "sysv-shm-spin"),
        workloads=(WORK_WORKLOAD,),
        band=(1 - _IRRELEVANT, 1 / (1 - _IRRELEVANT)),
        titles=("first", "second"),
        subjects_are="the transport",
        caveat="Held to be so where the faster request surely takes at least 95 % of the slower"
        " one's time. The work only computes; work that needs the caches makes a request longer by"
        " more than its own time.",
    ),
    Claim(
        "pipelining-is-free",
        "pipelining is free throughput",
        "alike",
        with_itself=[Itself(name, WINDOW_WORKLOAD, "latency") for name in ("unix", "inet")],
        band=(0.0, ALIKE[1]),
        titles=("16 deep", "1 deep"),
        subjects_are="the transport",
        caveat="Held to be so where a message with 16 in flight surely takes less than 1.25 times"
        " as long, from its sending to its reply, as one alone. A sender that doesn't look at"
        " single messages pays nothing for what they wait.",
    ),
    Claim(
        "frameworks-on-tcp",
        "frameworks listen on TCP because sockets of the other family are no faster there",
        "alike",
        pairs=[
            (f"{rung}-unix", f"{rung}-inet")
            for rung in ("asyncio-streams", "http-std", "http-uvicorn", "rpc-grpc")
        ],
        titles=("AF_UNIX", "AF_INET"),
        workloads=("latency",),
        caveat="Times can't show reasons that have no time: names, URLs, browsers, proxies, other"
        " hosts, Windows. 'No faster' is a ratio of times surely between 0.80 and 1.25.",
        subjects_are="the rung",
        needs=_STACK,
    ),
    Claim(
        "uvloop-2-to-4",
        "uvloop makes asyncio 2 to 4 times faster",
        "alike",
        pairs=_plain_loops("unix"),
        crowd=CROWD_WORKLOAD,
        crowd_pairs=_lean_loops("unix"),
        also=[
            *_lean_loops("inet"),
            *_lean_loops("inet6"),
            *_plain_loops("inet"),
            *(pair for family in FAMILIES for pair in _uvicorns(family)),
        ],
        band=(1 / 4, 1 / 2),
        titles=("uvloop", "asyncio"),
        workloads=("latency",),
        caveat="uvloop's own figures are of ten clients that keep its server busy. With many it is"
        " judged where the server of both loops needs all of its CPU: one that waits for its"
        " clients shows no more than those can send. client=lean has no event loop.",
        subjects_are="the rung",
        needs=_STACK,
    ),
    Claim(
        "grpc-unix-twice",
        "gRPC over UNIX sockets is twice as fast as over TCP",
        "alike",
        pairs=[("rpc-grpc-unix", "rpc-grpc-inet")],
        band=(ALIKE[0] / 2, ALIKE[1] / 2),
        titles=("AF_UNIX", "AF_INET"),
        workloads=("latency",),
        caveat="Unary calls of Python's grpcio, whose own work is most of the time; in C++ the"
        " socket is a larger part. 'Twice' is a ratio of times surely between 0.40 and 0.63.",
        subjects_are="the rung",
        needs=_GRPC,
    ),
    Claim(
        "http-40-ms",
        "HTTP on localhost costs 40 ms a request",
        "alike",
        pairs=[
            ("http-std-default-inet", "http-std-inet"),
            ("http-std-default-unix", "http-std-unix"),
            ("http-uvicorn-inet", "http-std-inet"),
        ],
        band=(20.0, inf),
        titles=("request", "http-std"),
        subjects_are="the rung",
        workloads=("latency",),
        caveat="Held to be so where a request surely takes 20 times as long as over http-std, which"
        " sets TCP_NODELAY: the 40 ms are the timer of delayed acknowledgements, for which Nagle's"
        " algorithm waits between the two writes of http.server as it comes.",
    ),
)
"""All claims, in the order of the page."""

WORKLOADS_NEEDED = tuple(
    sorted({name for claim in CLAIMS for name in claim.all_workloads}, key=place_of)
)
"""Every term of a workload that a claim is judged by, in the order of every table."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    workload: tuple(dict.fromkeys(name for claim in CLAIMS for name in claim.needed(workload)))
    for workload in WORKLOADS_NEEDED
}
"""By term of a workload, the transports that some claim is judged by."""

NEEDED_ONCE = tuple(dict.fromkeys(name for one in CLAIMS for two in one.pairs for name in two))
"""Transports of whole stacks, measured with one size and placement: more takes too much time."""

NEEDED_LAST = tuple(
    dict.fromkeys(name for one in CLAIMS for two in one.crowd_pairs for name in two)
)
"""Transports with many clients, measured with one size at the last placement.

That is across cores where there are two: the server has its own, and all clients share another.
"""

NEEDED_AT_FIRST_SIZE = tuple(name for name in WORKLOADS_NEEDED if name not in WORKLOADS)
"""Workloads with knobs, measured with one size: what is waited or worked is most of their time."""

NEEDED_APART = (IDLE_WORKLOAD, IDLE_SPINNING_WORKLOAD)
"""Workloads measured at one placement, across cores where there are two: a launch waits 0.8 s."""

TRANSPORTS_NEEDED = tuple(dict.fromkeys(name for names in NEEDED.values() for name in names))
"""Every transport that a claim compares."""
