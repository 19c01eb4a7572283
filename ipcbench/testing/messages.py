"""Rules about messages: they arrive whole, in order, and none is lost, doubled or overwritten."""

import time

from ipcbench.case import LOOPS, Case, Loop
from ipcbench.measure.pair import Pair
from ipcbench.measure.payload import Payloads
from ipcbench.testing.subject import (
    Broken,
    NotTried,
    Rule,
    Subject,
    beside,
    differences,
    joined,
    once,
    over,
    require,
    within,
)
from ipcbench.transports.base import Endpoint, Traffic
from ipcbench.workloads import Workload

SIZES = (0, 1, 64, 4096, 65_537, 1_000_003)
MESSAGES = 20
BURST = 4
WINDOW = f"latency:window={BURST}"
FLOWS = (WINDOW, f"throughput:batch={BURST}", "throughput:duplex=on")
"""Workloads with more than one message under way."""

_LONG_S = (0.05, 0.5, 2.0)
"""Seconds of a batch that is longer than what is done around it, on machines that are busier."""


def _round_trips(subject: Subject, loop: Loop, size: int) -> None:
    subject.mechanism  # noqa: B018  (raises for a control)
    with joined(subject, size, "latency", loop) as (client, server):
        _exchange(subject, client, server)


def _exchange(subject: Subject, client: Endpoint, server: Endpoint) -> None:
    payloads = Payloads()

    def echo() -> None:
        for _ in range(MESSAGES):
            server.receive()
            server.send()

    echoing = beside(echo)
    for number in range(MESSAGES):
        payloads.fill(client.outgoing)
        client.send()
        client.receive()
        require(
            client.incoming == client.outgoing,
            f"round trip {number + 1} of {MESSAGES} brought back another message than was sent",
        )
    within(subject, echoing, "the server to echo the messages that the client has back")


def _streams(subject: Subject, loop: Loop, size: int) -> None:
    subject.mechanism  # noqa: B018
    sent: list[bytes] = []
    received: list[bytes] = []
    payloads = Payloads()
    count = MESSAGES if size > 4096 else MESSAGES * 15  # more than any ring has slots
    with joined(subject, size, "throughput", loop) as (client, server):

        def drain() -> None:
            for _ in range(count):
                server.receive()
                received.append(bytes(server.incoming))

        draining = beside(drain)
        for _ in range(count):
            payloads.fill(client.outgoing)
            client.send()
            sent.append(bytes(client.outgoing))
        within(subject, draining, f"the last of {count} messages of a stream")
    require(received == sent, f"of a stream's messages {differences(sent, received)}")


def _slow_receiver(subject: Subject, loop: Loop) -> None:
    size, count = 65_000, 100  # 6.5 MB: more than any of them buffers by default
    if subject.mechanism.rejects(Traffic(size, "throughput")):
        size, count = 8192, 800  # for what carries small messages only
    with joined(subject, size, "throughput", loop) as (client, server):

        def pour() -> None:
            for number in range(count):
                client.outgoing[8:12] = number.to_bytes(4)  # the first 8 may be the transport's
                client.send()

        pouring = beside(pour)
        server.receive()
        require(  # it can't be through: the others have no room yet
            not pouring.done(),
            f"{count} messages of {size} bytes were sent when one was received: where are they?",
        )
        numbers = [int.from_bytes(server.incoming[8:12])]
        for _ in range(count - 1):
            server.receive()
            numbers.append(int.from_bytes(server.incoming[8:12]))
        within(subject, pouring, "the sender of messages that were all received")
    wrong = next((at for at, number in enumerate(numbers) if number != at), None)
    require(
        wrong is None,
        f"message {numbers[wrong or 0] + 1} came where {(wrong or 0) + 1} was due,"
        " from a sender that is faster than its receiver",
    )


def _in_flight(subject: Subject, loop: Loop, size: int) -> None:
    mechanism = subject.mechanism
    if reason := mechanism.rejects(Traffic(size, "latency", window=BURST)):
        require(
            not (mechanism.overlaps and mechanism.rejects(Traffic(size, "latency")) is None),
            f"`overlaps` says that messages may follow each other, and `rejects`: {reason}",
        )
        raise NotTried(reason)
    with joined(subject, size, WINDOW, loop) as (client, server):
        for _ in range(MESSAGES):
            _one_burst(subject, client, server)


def _one_burst(subject: Subject, client: Endpoint, server: Endpoint) -> None:
    payloads, sent = Payloads(), []

    def take() -> list[bytes]:
        taken = []
        for _ in range(BURST):
            server.receive()
            taken.append(bytes(server.incoming))
        return taken

    # Small ones are all in flight before the first is received.
    taking = beside(take) if len(client.outgoing) > 64 else None
    for _ in range(BURST):
        payloads.fill(client.outgoing)
        client.send()
        sent.append(bytes(client.outgoing))
    received = take() if taking is None else within(subject, taking, "the messages in flight")
    require(received == sent, f"of {BURST} messages in flight {differences(sent, received)}")
    replying = beside(server.send)
    client.receive()
    require(client.incoming == client.outgoing, "a reply is another message than the last one")
    within(subject, replying, "the sender of a reply that has come")


def _replies_in_flight(subject: Subject, loop: Loop, size: int) -> None:
    subject.mechanism  # noqa: B018
    payloads = Payloads()
    with joined(subject, size, WINDOW, loop) as (client, server):
        for _ in range(MESSAGES):
            sent = []
            for _ in range(BURST):
                payloads.fill(client.outgoing)
                client.send()
                sent.append(bytes(client.outgoing))
            for _ in range(BURST):
                server.receive()
                server.send()
            replies = []
            for _ in range(BURST):
                client.receive()
                replies.append(bytes(client.incoming))
            require(replies == sent, f"of {BURST} replies in flight {differences(sent, replies)}")


def _echo_from_one_buffer(subject: Subject, loop: Loop) -> None:
    if not subject.mechanism.carries_payload:
        raise NotTried(f"{subject.mechanism.name} carries no payload")
    with joined(subject, 64, "latency", loop) as (client, server):
        server.incoming[:] = b"x" * 64
        require(
            server.outgoing == server.incoming,
            "the server's `outgoing` is another buffer than its `incoming`, and would echo that",
        )
        client.incoming[:] = b"y" * 64
        require(
            client.outgoing != client.incoming,
            "the client's `outgoing` and `incoming` are one buffer: a reply that doesn't come would"
            " look like one that did",
        )


def _two_at_once(subject: Subject) -> None:
    size = subject.mechanism.size_of("latency", 64)
    with (
        joined(subject, size, "latency", folder="one") as (client, server),
        joined(subject, size, "latency", folder="other") as (other_client, other_server),
    ):
        other = beside(lambda: _exchange(subject, other_client, other_server))
        _exchange(subject, client, server)
        within(subject, other, "a second link beside the first")


def _batches(subject: Subject, loop: Loop, workload: Workload, size: int) -> None:
    if not subject.mechanism.carries_payload:
        raise NotTried(f"{subject.mechanism.name} carries no payload")
    case = subject.runnable(Case(workload, subject.transport.name, size, loop, "free"))
    with Pair(case, None, subject.workspace()) as pair:
        for _ in range(2):
            pair.run(MESSAGES)  # it raises for a last message, or a reply, that didn't come whole


def _under_way(subject: Subject, loop: Loop, workload: str, size: int) -> None:
    mechanism = subject.mechanism
    if not mechanism.carries_payload:
        raise NotTried(f"{mechanism.name} carries no payload")
    case = subject.runnable(Case(workload, mechanism.name, size, loop, "free"))
    with Pair(case, None, subject.workspace()) as pair:
        for messages in (1, BURST + 1, 10 * BURST):
            pair.run(messages)  # it raises for a message that didn't come whole, and for a count
        if case.definition.samples:
            samples_ns = pair.sample(case.flow.fewest_messages)  # and for a window that isn't full
            require(min(samples_ns) > 0, "a round trip of a window took no time")
        pair.check()


def _clock(subject: Subject, loop: Loop) -> None:
    case = subject.case(subject.transport.workloads[0], loop)
    with Pair(case, None, subject.workspace()) as pair:
        messages, around_s = 100, 0.0
        for long_s in _LONG_S:
            while around_s < long_s:
                began_s = time.monotonic()
                elapsed_s = pair.run(messages)
                around_s = time.monotonic() - began_s
                messages *= 2
            if elapsed_s > around_s / 4:
                return
            told, around_s = f"{elapsed_s:.6f} s of a batch that took {around_s:.3f} s", 0.0
    raise Broken(
        f"the timed loop says {told} by another clock: the transport must leave the clock alone"
    )


RULES = (
    Rule(
        "round-trips",
        "round trips bring back what was sent",
        over(_round_trips, loop=LOOPS, size=SIZES),
    ),
    Rule(
        "stream",
        "a stream arrives whole and in order",
        over(_streams, loop=LOOPS, size=SIZES),
    ),
    Rule(
        "slow-receiver",
        "a sender waits for a slow receiver",
        over(_slow_receiver, loop=LOOPS),
    ),
    Rule(
        "in-flight",
        "messages in flight arrive in order, or are refused",
        over(_in_flight, loop=LOOPS, size=(0, 1, 64, 65_537)),
    ),
    Rule(
        "replies-in-flight",
        "replies in flight arrive in order",
        over(_replies_in_flight, loop=LOOPS, size=(0, 64)),
    ),
    Rule(
        "echo",
        "the server sends back its own buffer",
        over(_echo_from_one_buffer, loop=LOOPS),
    ),
    Rule(
        "batches",
        "a batch of long messages ends when the last has come",
        over(_batches, loop=LOOPS, workload=("latency", "throughput"), size=(1_000_003,)),
    ),
    Rule(
        "under-way",
        "a window, a batch and both directions at once arrive whole, or are refused",
        (
            *over(_under_way, loop=LOOPS, workload=FLOWS, size=(1, 64)),
            *over(_under_way, loop=LOOPS, workload=FLOWS[1:], size=(65_537,)),
        ),
    ),
    Rule("clock", "the time of a batch is that of any clock", over(_clock, loop=LOOPS)),
    Rule("two-at-once", "two links at once don't disturb each other", once(_two_at_once)),
)
"""The rules about messages."""
