"""Every mechanism that an open loop can be of carries one, with both loops; others say why not."""

from pathlib import Path

import pytest

from ipcbench.case import LOOPS, Case, Loop
from ipcbench.measure import drivers
from ipcbench.measure.pair import Pair, refused
from ipcbench.measure.responses import Responses
from ipcbench.testing.subject import NotTried, Subject, joined
from ipcbench.transports.base import Traffic, Transport, Workspace
from ipcbench.transports.ends import CallbackEndpoint, CoroutineEndpoint
from ipcbench.transports.registry import get_transport
from tests.contract.tuned import all_transports

MESSAGES = 100
RATE = 20_000
"""Of a batch: 5 ms."""
DELAYED, FEW = "http-std-default", 10
"""What waits for a delayed ACK, 40 ms, on each message, and so is sent a few."""
SIZES = (1, 64, 4096)
PLAIN = f"load:rate={RATE}"
WINDOWED = f"{PLAIN}:window=8"
BLOCKING = [one for one in all_transports() if one.replies and one.client_blocks]

every_loop = pytest.mark.parametrize("loop", LOOPS)


def _case(transport: Transport, workload: str, size: int, loop: Loop) -> Case:
    """The case, unless it can't run here."""
    found = Case(workload, transport.name, transport.size_of("load", size), loop, "free")
    if reason := transport.unavailable() or drivers.unavailable(loop) or refused(found):
        pytest.skip(reason)
    return found


def _carries(case: Case, directory: Path) -> None:
    """Runs two batches, and everything that a launch checks."""
    responses, is_control = Responses(), get_transport(case.transport).is_control
    messages = FEW if case.transport.startswith(DELAYED) else MESSAGES
    with Pair(case, None, Workspace(directory), seed="1/1") as pair:
        for _ in range(2):
            pair.run(messages)
            responses.add(pair.last_batch, pair.delivered_count)
        pair.check()
        evidence = pair.facts()["evidence_outcome"]
    facts = responses.facts()
    sides = ("offered", "sent", "answered", *(() if is_control else ("delivered",)))
    assert [facts[f"load_{side}_count"] for side in sides] == [2 * messages] * len(sides)
    assert facts["load_offered_per_s"] == pytest.approx(RATE)
    assert facts["load_achieved_per_s"] > 0
    assert evidence in ("proved", "not witnessed")
    for batch in responses._batches:
        assert list(batch.answered_ns) == sorted(batch.answered_ns)


@pytest.mark.parametrize("size", SIZES)
@every_loop
@pytest.mark.parametrize("transport", BLOCKING, ids=lambda one: one.name)
def test_a_load_of_one_at_a_time_is_answered_whole_and_in_order(
    transport: Transport, loop: Loop, size: int, tmp_path: Path
) -> None:
    if not transport.carries_payload and size != SIZES[0]:
        pytest.skip(f"{transport.name} carries no payload: it has one size")
    _carries(_case(transport, PLAIN, size, loop), tmp_path)


@pytest.mark.parametrize("size", SIZES)
@every_loop
@pytest.mark.parametrize(
    "transport", [one for one in BLOCKING if one.overlaps], ids=lambda one: one.name
)
def test_a_load_of_several_at_a_time_is_answered_whole_and_in_order(
    transport: Transport, loop: Loop, size: int, tmp_path: Path
) -> None:
    _carries(_case(transport, WINDOWED, size, loop), tmp_path)


@every_loop
def test_a_load_at_random_times_with_work_is_answered(loop: Loop, tmp_path: Path) -> None:
    workload = "load:rate=2000:arrivals=poisson:window=8:work=100us"
    case = _case(get_transport("pipe"), workload, 64, loop)
    with Pair(case, None, Workspace(tmp_path), seed="1/1") as pair:
        pair.run(50)
        batch = pair.last_batch
        pair.check()
    took = [end - begin for begin, end in zip(batch.sent_ns, batch.answered_ns, strict=True)]
    assert min(took) >= 0.95 * 100_000


@pytest.mark.parametrize("transport", all_transports(), ids=lambda one: one.name)
def test_what_cannot_be_loaded_says_why_and_is_no_pair(transport: Transport) -> None:
    reason = refused(Case(PLAIN, transport.name, transport.size_of("load", 64), "python", "free"))
    if not transport.replies:
        assert reason == f"{transport.name} sends nothing back"
    elif not transport.client_blocks:
        assert reason is not None
        assert reason.startswith(f"the client of {transport.name} is in an event loop")
    else:
        assert reason is None


@pytest.mark.parametrize("transport", all_transports(), ids=lambda one: one.name)
def test_the_kind_of_the_clients_end_is_what_the_transport_says(
    transport: Transport, tmp_path: Path
) -> None:
    if not transport.has("latency"):
        pytest.skip(f"{transport.name} has no round trips")
    size = transport.size_of("latency", 64)
    try:
        with joined(Subject(transport, tmp_path), size, "latency") as (client, _):
            is_driven = isinstance(client, (CoroutineEndpoint, CallbackEndpoint))
            assert transport.client_blocks is not is_driven
            if transport.client_blocks and transport.overlaps:
                assert client.ready is not None
    except NotTried as reason:
        pytest.skip(str(reason))


def test_what_goes_between_messages_is_no_concern_of_a_link() -> None:
    for transport in all_transports():
        if transport.has("load") and transport.carries_payload:
            case = Case("load:rate=2000:arrivals=poisson:work=10us", transport.name, 64)
            assert transport.rejects(Traffic.of(case)) is None
