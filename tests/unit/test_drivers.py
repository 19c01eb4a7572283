"""Drivers on endpoints that note what is done with them, and the acknowledgement they wait for."""

import select
import time
from array import array
from pathlib import Path
from typing import NoReturn

import pytest

from ipcbench.case import Case
from ipcbench.measure import drivers
from ipcbench.measure.control import RAN, READY, Acknowledgement, Channel, NoAcknowledgement
from ipcbench.measure.drivers import blocking, native, paced
from ipcbench.measure.peer import ForkedPeer
from ipcbench.transports.base import Endpoint, Traffic, Workspace
from ipcbench.transports.registry import get_transport
from ipcbench.workloads import DEFINITIONS, WORKLOADS, Rhythm, Workload


class Noting:
    """An endpoint, and an acknowledgement, that note their calls in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        message = memoryview(bytearray(8))
        self.endpoint = Endpoint(
            send=lambda: self.calls.append("send"),
            receive=lambda: self.calls.append("receive"),
            outgoing=message,
            incoming=message,
            facts={"queues_count": 1},
            close=lambda: self.calls.append("close"),
        )

    def wait(self) -> None:
        self.calls.append("acknowledged")

    def fileno(self) -> None:
        pass


def test_a_batch_of_round_trips_is_acknowledged_after_its_last_reply() -> None:
    noting = Noting()
    assert blocking.Client(noting.endpoint, "latency").batch(2, noting) > 0
    assert noting.calls == ["send", "receive", "send", "receive", "acknowledged"]


def test_a_window_is_filled_before_a_batch_and_emptied_after_it() -> None:
    noting = Noting()
    assert blocking.Client(noting.endpoint, "latency", window=3).batch(2, noting) > 0
    turn = ["send", "receive"]
    assert noting.calls == ["send", "send", *turn, *turn, "receive", "receive", "acknowledged"]


@pytest.mark.parametrize("messages", [1, 2, 3, 10])
def test_a_sampled_window_sends_no_more_messages_than_there_are_samples(messages: int) -> None:
    noting, samples_ns = Noting(), array("q", bytes(8 * messages))
    sent_ns = blocking.Client(noting.endpoint, "latency", window=3).sample(samples_ns)
    assert sent_ns is not None
    assert noting.calls.count("send") == noting.calls.count("receive") == messages
    assert noting.calls[:3] == (["send"] * min(2, messages - 1) + ["send", "receive"])[:3]
    assert list(sent_ns) == sorted(sent_ns)
    assert min(samples_ns) > 0


def test_a_window_of_the_check_is_answered_as_a_whole() -> None:
    noting = Noting()
    client = blocking.Client(noting.endpoint, "latency", window=2)
    for _ in range(4):
        client.exchange(lambda: noting.calls.append("look"))
    assert noting.calls == ["send", "send", *("receive", "look") * 2] * 2


def test_a_stream_is_acknowledged_once() -> None:
    noting = Noting()
    assert blocking.Client(noting.endpoint, "throughput").batch(2, noting) > 0
    assert noting.calls == ["send", "send", "acknowledged"]


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_server_looks_at_a_message_before_it_replies(workload: Workload) -> None:
    noting, replies = Noting(), DEFINITIONS[workload].replies
    server = blocking.Server(noting.endpoint, workload)
    server.exchange(lambda: noting.calls.append("look"))
    server.serve(1)
    assert noting.calls == [
        *("receive", "look", *(["send"] * replies)),
        *("receive", *(["send"] * replies)),
    ]


def test_an_end_has_its_endpoints_facts_and_closes_it() -> None:
    noting = Noting()
    client = blocking.Client(noting.endpoint, "latency")
    assert client.facts == {"queues_count": 1}
    noting.endpoint.facts = {"queues_count": 2}
    assert client.facts == {"queues_count": 2}
    client.close()
    client.close()
    assert noting.calls == ["close"]


def test_a_case_chooses_its_driver(tmp_path: Path) -> None:
    link = get_transport("null").link(Traffic(8, "latency"), Workspace(tmp_path))
    peer = ForkedPeer(_nobody, _nobody)
    python = drivers.client(Case("latency", "null", 8, "python"), link, peer)
    assert type(python) is blocking.Client
    assert python.batch(3, NoAcknowledgement()) > 0
    if native.unavailable() is None:
        compiled = drivers.client(Case("latency", "null", 8, "native"), link, peer)
        assert type(compiled) is native.Client
        samples = array("q", bytes(8 * 3))
        compiled.sample(samples)
        assert compiled.batch(3, NoAcknowledgement()) > 0
        compiled.close()
    python.close()
    peer.close()


def _nobody(*_: object) -> NoReturn:
    raise AssertionError("nobody is started")


def test_the_loop_in_c_makes_no_connections() -> None:
    assert [workload for workload in WORKLOADS if native.rejects(workload)] == ["connect"]


def test_an_acknowledgements_descriptor_gets_readable_with_it() -> None:
    ours, theirs = Channel.pair()
    theirs.send_line(READY)
    ours.expect_line(READY)
    acknowledged = Acknowledgement(ours)
    assert not select.select([acknowledged], [], [], 0)[0]
    theirs.send_line(RAN)
    assert select.select([acknowledged], [], [], 5)[0]
    acknowledged.wait()
    ours.close()
    theirs.close()


def test_a_server_that_works_does_so_between_a_message_and_its_reply() -> None:
    noting = Noting()
    paced.server_latency_with_work(noting.endpoint, 2, lambda: noting.calls.append("work"))
    assert noting.calls == ["receive", "work", "send"] * 2


def test_a_client_with_gaps_waits_before_each_message_and_times_none_of_it() -> None:
    noting = Noting()
    elapsed_s = paced.client_latency_with_gaps(noting.endpoint, 2, lambda: time.sleep(0.02))
    assert noting.calls == ["send", "receive"] * 2
    assert elapsed_s > 0
    samples = array("q", bytes(8 * 2))
    began_ns = time.perf_counter_ns()
    paced.client_latency_with_gaps_sampled(noting.endpoint, samples, lambda: time.sleep(0.02))
    assert 0 < sum(samples) <= time.perf_counter_ns() - began_ns - 2 * 20_000_000


@pytest.mark.parametrize("touched_bytes", [0, 4096, 5000, 65536])
def test_work_lasts_as_long_as_it_is_to(touched_bytes: int) -> None:
    call = paced.work(Rhythm(work_s=1e-3, touched_bytes=touched_bytes))
    began_s = time.perf_counter()
    for _ in range(20):
        call()
    assert time.perf_counter() - began_s >= 20 * 1e-3 * 0.95


def test_memory_that_work_touches_is_no_page_of_zeros() -> None:
    memory = paced.touched_memory(Rhythm(work_s=1e-3, touched_bytes=8192))
    assert memory is not None
    assert len(memory) == 8192
    assert 0 not in memory
    assert paced.touched_memory(Rhythm(work_s=1e-3)) is None


def test_plain_workloads_have_the_plain_loops(tmp_path: Path) -> None:
    link = get_transport("null").link(Traffic(8, "latency"), Workspace(tmp_path))
    assert type(drivers.server(Case("latency", "null", 8), link)) is blocking.Server
    worked = drivers.server(Case("latency:work=1us", "null", 8), link)
    assert type(worked) is paced.Server
