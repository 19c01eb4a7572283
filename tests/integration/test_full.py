"""`ipcbench full` on this kernel: facts that agree, are by the rule, and move with a knob."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ipcbench.checks.overload import Asked, Survey
from ipcbench.errors import LaunchFailed
from ipcbench.measure.full import kernel
from ipcbench.measure.full.launch import measured
from ipcbench.measure.full.pair import WatchedPair
from ipcbench.system.scratch import scratch, sweep
from ipcbench.system.signals import disregard
from ipcbench.transports.base import Endpoint, Link, Side, Traffic, Transport, Workspace
from ipcbench.transports.registry import chosen, get_transport, standing_in
from tests.command import ROOT, environment, ipcbench

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")

TCP = {"inet", "inet-nagle", "inet6", "inet6-nagle", "mp-connection-inet"}
"""They size their buffers by what has been acknowledged when: not the same twice."""


def _full(*arguments: str) -> dict[str, Any]:
    done = ipcbench("full", *arguments, "--json", "-", "--quiet", "--no-lock")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_mechanism_agrees_with_itself_and_with_the_rule() -> None:
    found = _full("@all", "--sizes", "64", "--launches", "2", "--most-messages", "70000")
    assert {row["transport"] for row in found["fills"]} == set(chosen(["@all"]))
    measured_rows = [row for row in found["fills"] if row["status"] == "measured"]
    assert {row["status"] for row in found["fills"]} <= {"measured", "n/a"}
    ours = [row for row in measured_rows if row["transport"] not in TCP]
    assert {row["transport"]: row["varies"] for row in ours if row["varies"]} == {}
    by_rule = [row for row in ours if row["expected_messages_count"] is not None]
    assert len(by_rule) > len(ours) // 2
    for row in by_rule:
        assert row["messages_count"] == row["expected_messages_count"], row
        if row["expected_woken_messages_count"] is not None:
            assert row["woken_after_messages_count"] == row["expected_woken_messages_count"], row
    ends = [row for row in found["ends"] if row["status"] == "measured"]
    varying = {row["transport"]: row["varies"] for row in ends if row["varies"]}
    # Over TCP the reset of a reader that is gone comes by the loopback device, which on a busy
    # machine is later than some sends.
    assert {name: facts for name, facts in varying.items() if name not in TCP} == {}


def test_knobs_move_what_fits_as_the_rule_says() -> None:
    found = _full(
        *("pipe", "pipe:size=4k", "unix", "unix:sndbuf=8k", "posix-shm:slots=8"),
        *("shm-futex:wait=spin:slots=8", "--sizes", "64", "--launches", "1"),
    )
    counts = {row["transport"]: row["messages_count"] for row in found["fills"]}
    rules = {row["transport"]: row["expected_messages_count"] for row in found["fills"]}
    assert counts == rules
    assert counts["pipe:size=4k"] * 16 == counts["pipe"]
    assert counts["unix:sndbuf=8k"] < counts["unix"]
    assert counts["posix-shm:slots=8"] == counts["shm-futex:wait=spin:slots=8"] == 8
    woken = {row["transport"]: row["woken_after_messages_count"] for row in found["fills"]}
    assert woken["pipe"] == 4096 // 64  # the first slot that is free
    assert woken["posix-shm:slots=8"] == 2  # a quarter of the ring


def test_a_message_larger_than_all_room_blocks_its_writer_within_it() -> None:
    found = _full("pipe", "unix", "--sizes", "1m", "--launches", "1")
    for row in found["fills"]:
        assert (row["messages_count"], row["when_full"]) == (0, "blocks")
        assert 0 < row["unread_bytes"] < 1024**2
        assert row["woken_after_messages_count"] == 1


def test_sysctls_of_a_network_namespace_move_queues_and_backlogs() -> None:
    if shutil.which("unshare") is None:
        pytest.skip("no unshare(1) here")
    script = (
        "echo 16 > /proc/sys/net/core/somaxconn && echo 5 > /proc/sys/net/unix/max_dgram_qlen"
        ' && exec "$@"'
    )
    command = ["unshare", "--net", "sh", "-c", script, "--", sys.executable, "-m", "ipcbench"]
    command += ["full", "unix", "unix-dgram", "--sizes=64", "--launches=1", "--json=-", "--no-lock"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60
    )
    if done.returncode in (1, 2) and "ipcbench" not in done.stderr:
        pytest.skip(f"no network namespace here: {done.stderr.strip()}")
    ends = {row["transport"]: row for row in json.loads(done.stdout)["ends"]}
    assert ends["unix"]["connections_count"] == 16 + 1
    assert ends["unix-dgram"]["unconnected_messages_count"] == 5 + 1


@pytest.mark.parametrize(
    ("name", "blocked", "later", "sends"),
    [
        ("pipe", ("EPIPE", True), ("EPIPE", True), 0),
        ("unix", ("ECONNRESET", False), ("EPIPE", True), 0),
        ("unix-dgram", ("ECONNREFUSED", False), ("ECONNREFUSED", False), 0),
        ("inet", ("ECONNRESET", False), ("EPIPE", True), 1),
        ("inet-udp", (None, None), ("ECONNREFUSED", False), 1),
        ("sysv-msg", ("nothing", False), ("nothing", False), 16),
        ("shm-futex:slots=8", ("nothing", False), ("blocks", False), 8),
    ],
)
def test_a_writer_learns_of_its_readers_death_as_the_page_says(
    name: str,
    blocked: tuple[str | None, bool | None],
    later: tuple[str, bool],
    sends: int,
    tmp_path: Path,
) -> None:
    transport = get_transport(name)
    if transport.unavailable() is not None:
        pytest.skip(f"{name} can't run here")
    before = signal.signal(signal.SIGCHLD, disregard)  # it must not break into a blocked send
    try:
        ends = measured(transport, [1024], tmp_path, None, 100_000).ends
    finally:
        signal.signal(signal.SIGCHLD, before)
        sweep(tmp_path)
    assert (ends["blocked_notice"], ends["blocked_sigpipe"]) == blocked
    assert (ends["idle_notice"], ends["idle_sends_count"]) == (later[0], sends)
    assert ends["idle_sigpipe"] == later[1]


class _Fatal(Transport):
    """A pipe one of whose ends kills itself after a few messages."""

    name = "fatal"
    summary = "a pipe with a death in it"
    waits = "blocks in read"
    groups = ()
    mediums = ("pipe",)

    def __init__(self, side: Side) -> None:
        self._side = side

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return _FatalLink(get_transport("pipe").link(traffic, workspace), self._side)


class _FatalLink(Link):
    def __init__(self, link: Link, side: Side) -> None:
        self._link, self._side = link, side

    def keep_only(self, side: Side) -> None:
        self._link.keep_only(side)

    def close(self) -> None:
        self._link.close()

    def client(self) -> Endpoint:
        end = self._link.client()
        if self._side == "client":
            end.send = _dying(end.send)
        return end

    def server(self) -> Endpoint:
        end = self._link.server()
        if self._side == "server":
            end.receive = _dying(end.receive)
        return end


def _dying(call: Any) -> Any:
    left = iter(range(5))

    def dying() -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        call()

    return dying


@pytest.mark.parametrize(
    ("side", "says"),
    [
        ("client", "the writer was killed by SIGKILL in the filling"),
        ("server", "the reader ended in the waking"),
    ],
)
def test_an_end_that_somebody_kills_is_named_with_the_phase(
    side: Side, says: str, tmp_path: Path
) -> None:
    with pytest.raises(LaunchFailed, match=says):
        measured(_Fatal(side), [64], tmp_path, None, 10_000)


def test_a_mechanism_that_fails_leaves_the_others_alone() -> None:
    with standing_in(_Fatal("client")), scratch() as private:
        survey = Survey(Asked(["fatal", "pipe"], (64,), 1, 10_000, None))
        assert list(survey.launches(private)) == [(1, "fatal"), (1, "pipe")]
    failed, fine = survey.found().fills
    assert failed.status == "failed"
    assert failed.reason == "the writer was killed by SIGKILL in the filling"
    assert (fine.status, fine.messages_count) == ("measured", 1024)


def test_a_link_that_cant_be_made_is_told_with_its_reason(tmp_path: Path) -> None:
    fifo = get_transport("fifo")
    missing = Workspace(tmp_path / "missing")
    with (
        pytest.raises(LaunchFailed, match=r"set-up: FileNotFoundError: .*No such file"),
        WatchedPair(fifo, Traffic(64, "throughput"), missing, None),
    ):
        pass


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_survey_that_is_stopped_leaves_nothing_behind(stop: signal.Signals, code: int) -> None:
    command = [sys.executable, "-m", "ipcbench", "full", "@all", "--no-lock"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stderr is not None
        assert b"launch 1 of 5" in running.stderr.readline()
        running.send_signal(stop)
        _, told = running.communicate(timeout=60)
    assert running.returncode == code
    if stop == signal.SIGINT:
        assert b"interrupted by SIGINT; shown is what was measured until then" in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["unxi"], "unknown transport 'unxi'; did you mean 'unix'?"),
        (["unix", "--sizes", "0"], "message size '0' is not a whole number"),
        (["unix", "--sizes", "1000g"], "of memory"),
        (["unix", "--launches", "0"], "--launches '0' is not a whole number of at least 1"),
        (["unix", "--most-messages", "many"], "--most-messages 'many'"),
        (["--csv", "-", "--json", "-"], "both take stdout"),
        (["--csv", "nowhere/x.csv"], "there is no folder nowhere; make it first"),
        (["--csv", "x", "--json", "x"], "--csv and --json both name x; name two files"),
    ],
)
def test_what_cant_be_done_is_refused_in_one_line(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    done = ipcbench("full", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert says in line
    assert list(tmp_path.iterdir()) == []


def test_a_document_that_cant_be_written_is_told_after_the_tables(tmp_path: Path) -> None:
    script = 'ulimit -f 1 && exec "$0" "$@"'  # a block, which is less than the document
    done = subprocess.run(
        [
            *("bash", "-c", script, sys.executable, "-m", "ipcbench", "full", "pipe", "unix"),
            *("--launches", "1", "--json", str(tmp_path / "full.json"), "--quiet", "--no-lock"),
        ],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert "Unread messages of 64 B" in done.stdout
    (line,) = done.stderr.splitlines()
    assert "full.json can't be written: a file may grow no longer" in line
    assert list(tmp_path.iterdir()) == []


def test_a_control_has_nothing_to_fill() -> None:
    (row,) = _full("null", "--launches", "1")["fills"]
    assert (row["status"], row["reason"]) == (
        "n/a",
        "a control: nobody reads, and nothing fills",
    )


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_a_socket_that_takes_connections_holds_no_messages(family: int) -> None:
    """Nothing lies in it that could be counted: the kernel refuses the question with EINVAL."""
    with socket.socket(family, socket.SOCK_STREAM) as listener, _connected() as (one, other):
        listener.bind("" if family == socket.AF_UNIX else ("127.0.0.1", 0))  # unix(7): autobind
        listener.listen()
        one.send(b"unread")
        ends = [one.fileno()], [listener.fileno(), other.fileno()]
        assert kernel.held(*ends).unread_bytes == len(b"unread")
        assert kernel.held([one.fileno()], [listener.fileno()]) == kernel.Held()


@contextmanager
def _connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other
