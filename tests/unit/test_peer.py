"""A forked peer: how its end is told, watched and waited for."""

import gc
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from ipcbench.case import Case
from ipcbench.errors import LaunchFailed
from ipcbench.measure.control import Channel, ChannelClosed
from ipcbench.measure.drivers import blocking
from ipcbench.measure.pair import Pair
from ipcbench.measure.peer import ForkedPeer
from ipcbench.system.deaths import Death
from ipcbench.transports.base import Workspace


class Ended(Exception):
    """The server ended; the message is how."""


def _tell(death: Death) -> NoReturn:
    raise Ended(death.how)


def _serve(channel: Channel, _parent: int, _unwanted: frozenset[int]) -> NoReturn:
    """Waits for the end of the channel, or for word of the exit code to end with."""
    code = 1
    try:
        code = channel.expect("end")["code"]
    except ChannelClosed:
        pass
    finally:
        os._exit(code)


@contextmanager
def _peer() -> Iterator[ForkedPeer]:
    peer = ForkedPeer(_serve, _tell)
    try:
        yield peer
    finally:
        peer.kill()
        peer.close()


def test_a_peer_that_ends_breaks_into_its_client_once() -> None:
    with _peer() as peer:
        channel = peer.start()
        assert peer.ended() is None
        with pytest.raises(Ended, match="ended with code 7"):  # noqa: PT012  (either may raise)
            channel.send("end", code=7)
            os.waitid(os.P_PID, peer.pid or 0, os.WEXITED | os.WNOWAIT)
        assert peer.ended() == Death("ended with code 7")
        assert peer.is_started
        assert peer.wait() == Death("ended with code 7")
        assert not peer.is_started
        assert peer.wait() == Death("ended with code 7")  # asked again, it answers the same


def test_a_peer_that_doesnt_end_is_killed() -> None:
    with _peer() as peer:
        peer.start()
        pid = peer.pid
        assert pid is not None
        peer.kill()
        peer.kill()
        assert peer.pid is None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_peers_descriptor_gets_readable_with_its_end() -> None:
    with _peer() as peer:
        with pytest.raises(LaunchFailed, match="no server to watch"):
            peer.fileno()
        channel = peer.start()
        peer.expect_end()
        assert not select.select([peer], [], [], 0)[0]
        channel.send("end", code=0)
        assert select.select([peer], [], [], 5)[0]


def test_a_peer_is_looked_at_only_while_it_is_there() -> None:
    with _peer() as peer:
        with pytest.raises(LaunchFailed, match="no server to look at"):
            peer.holdings()
        peer.start()
        assert peer.holdings().pid == peer.pid


@pytest.mark.parametrize("collects", [False, True])
def test_a_driver_says_whether_garbage_is_collected(
    collects: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocking.End, "collects_garbage", collects)
    with Pair(Case("latency", "pipe", 8, "python", "free"), None, Workspace(tmp_path)) as pair:
        assert gc.isenabled() == collects
        pair.run(1)
    assert gc.isenabled()


def test_what_both_ends_share_is_frozen_from_the_fork_to_the_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(gc, "freeze", lambda: calls.append("freeze"))
    monkeypatch.setattr(gc, "unfreeze", lambda: calls.append("unfreeze"))
    fork = ForkedPeer.start

    def start(peer: ForkedPeer) -> Channel:
        calls.append("fork")
        return fork(peer)

    monkeypatch.setattr(ForkedPeer, "start", start)
    with Pair(Case("latency", "pipe", 8, "python", "free"), None, Workspace(tmp_path)) as pair:
        pair.run(1)
        assert calls == ["freeze", "fork"]
    assert calls == ["freeze", "fork", "unfreeze"]


def test_a_number_that_was_closed_and_is_the_links_now_is_not_taken_from_the_server() -> None:
    closed, kept = os.pipe()
    peer = ForkedPeer(_serve, _tell)
    os.close(closed)  # as a thread of a library does, when it likes
    other, another = os.pipe()
    try:
        assert closed in {other, another}
        assert kept in peer._unwanted()
        assert not {other, another} & peer._unwanted()
    finally:
        peer.close()
        for descriptor in (kept, other, another):
            os.close(descriptor)
