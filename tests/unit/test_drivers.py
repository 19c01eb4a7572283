"""Drivers on endpoints that note what is done with them, and the acknowledgement they wait for."""

import select
from array import array
from pathlib import Path
from typing import NoReturn

import pytest

from ipcbench.case import Case
from ipcbench.measure import drivers
from ipcbench.measure.control import RAN, READY, Acknowledgement, Channel, NoAcknowledgement
from ipcbench.measure.drivers import blocking, native
from ipcbench.measure.peer import ForkedPeer
from ipcbench.transports.base import Endpoint, Traffic, Workspace
from ipcbench.transports.registry import get_transport
from ipcbench.workloads import DEFINITIONS, WORKLOADS, Workload


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
