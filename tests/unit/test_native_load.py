"""The loop in C of an open loop, over sockets of this process, and what it refuses."""

import os
import select
import signal
import socket
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest

from ipcbench.measure.drivers import native
from ipcbench.testing.subject import beside

if reason := native.unavailable():
    pytest.skip(reason, allow_module_level=True)

from ipcbench.measure import _native  # it can be loaded

SIZE = 64
LEAD_NS = 100_000
MINUTE_NS = 60_000_000_000
PATIENCE_S = 20.0


@contextmanager
def _joined(size: int = SIZE) -> Iterator[tuple[_native.Endpoint, socket.socket]]:
    """The client's end of a pair of sockets, and the other socket."""
    near, far = socket.socketpair()
    far.settimeout(PATIENCE_S)
    with near, far:
        buffers = memoryview(bytearray(size)), memoryview(bytearray(size))
        yield _native.Endpoint(("stream", near.fileno(), near.fileno(), True), *buffers), far


def _received(far: socket.socket, size: int = SIZE) -> bytes:
    """The next message."""
    message = b""
    while len(message) < size:
        part = far.recv(size - len(message))
        assert part, "the client's end is closed"
        message += part
    return message


def _echo(far: socket.socket, messages: int, size: int = SIZE) -> list[bytes]:
    got = []
    for _ in range(messages):
        got.append(_received(far, size))
        far.sendall(got[-1])
    return got


def _end_after(far: socket.socket, messages: int) -> None:
    _echo(far, messages)
    far.shutdown(socket.SHUT_RDWR)


class _Outcome:
    """What became of a batch."""

    def __init__(self, intended: list[int]) -> None:
        self.intended = array("q", intended)
        self.sent, self.answered = (array("q", bytes(8 * len(intended))) for _ in range(2))
        self.held_back = 0
        self.wrong: tuple[int, int] | None = None

    def run(self, endpoint: _native.Endpoint, window: int, stamp: int = 0) -> None:
        self.held_back, self.wrong = _native.client_load(
            [endpoint], self.intended, self.sent, self.answered, window, stamp, LEAD_NS
        )


def _loaded(
    intended: list[int],
    window: int,
    serve: Callable[[socket.socket], object],
    *,
    stamp: int = 0,
    size: int = SIZE,
) -> tuple[_Outcome, "Future[object]"]:
    outcome = _Outcome(intended)
    with _joined(size) as (endpoint, far):
        serving = beside(lambda: serve(far))
        outcome.run(endpoint, window, stamp)
        if outcome.wrong is None:
            serving.result(PATIENCE_S)
    return outcome, serving


def _numbers(messages: object, offset: int = 0) -> list[tuple[int, ...]]:
    assert isinstance(messages, list)
    return [tuple(memoryview(one)[offset : offset + 16].cast("q")) for one in messages]


@pytest.mark.parametrize("window", [1, 2, 8, 1024])
def test_messages_go_in_order_at_their_times_or_later_and_are_answered(window: int) -> None:
    times = [number * 20_000 for number in range(100)]
    outcome, served = _loaded(times, window, lambda far: _echo(far, 100))
    assert outcome.wrong is None
    assert _numbers(served.result()) == list(enumerate(times))
    for due, sent, answered in zip(outcome.intended, outcome.sent, outcome.answered, strict=True):
        assert due <= sent < answered
    assert list(outcome.answered) == sorted(outcome.answered)


def test_no_more_than_a_window_is_in_flight_and_what_waits_for_it_is_counted() -> None:
    window, messages, due_ns = 4, 12, 200_000_000

    def serve(far: socket.socket) -> list[int]:
        """Answers a message only once the window is full and nothing more comes."""
        held: list[bytes] = [_received(far) for _ in range(window)]
        early: list[int] = []
        assert select.select([far], [], [], 2 * due_ns * 1e-9)[0] == []
        for number in range(messages):
            early += [number for _ in select.select([far], [], [], 0.005)[0]]
            far.sendall(held.pop(0))
            if number + window < messages:
                held.append(_received(far))
        return early

    times = [0] * window + [due_ns] * (messages - window)
    outcome, served = _loaded(times, window, serve)
    assert served.result() == []
    assert outcome.held_back == messages - window
    for number in range(window, messages):
        assert outcome.sent[number] >= outcome.answered[number - window]


def test_a_message_that_is_late_while_the_window_has_room_is_not_counted() -> None:
    outcome, _ = _loaded([0] * 20, 64, lambda far: _echo(far, 20))
    assert outcome.sent[-1] > 0
    assert outcome.held_back == 0


def test_what_waits_for_a_window_that_was_filled_late_is_not_held_back() -> None:
    overdue_ns = -MINUTE_NS
    outcome, _ = _loaded([overdue_ns] * 20, 1, lambda far: _echo(far, 20))
    assert outcome.sent[0] - overdue_ns > MINUTE_NS / 2
    assert outcome.held_back == 0


def test_messages_behind_one_that_was_held_back_are_so_too() -> None:
    due_ns, work_s = 100_000_000, 0.002

    def serve(far: socket.socket) -> None:
        first = _received(far)
        assert select.select([far], [], [], 2 * due_ns * 1e-9)[0] == []
        far.sendall(first)
        for _ in range(9):
            message = _received(far)
            time.sleep(work_s)  # the server's work, in which the generator looks for a reply
            far.sendall(message)

    outcome, _ = _loaded([0] + [due_ns] * 9, 1, serve)
    assert outcome.held_back == 9


def test_a_slow_reply_puts_no_message_off_while_the_window_is_not_full() -> None:
    def serve(far: socket.socket) -> None:
        for message in [_received(far) for _ in range(10)]:
            far.sendall(message)

    outcome, _ = _loaded([number * 1_000 for number in range(10)], 10, serve)
    assert outcome.sent[-1] < outcome.answered[0]
    assert outcome.held_back == 0


def test_replies_out_of_their_order_are_told_with_the_place_and_the_number() -> None:
    def serve(far: socket.socket) -> None:
        messages = [_received(far) for _ in range(4)]
        for place in (0, 2, 1, 3):
            far.sendall(messages[place])

    outcome, _ = _loaded([0] * 4, 8, serve)
    assert outcome.wrong == (1, 2)


def test_a_number_goes_where_it_is_asked_for_and_the_rest_of_the_message_stays() -> None:
    outcome, served = _loaded([0, 5, 7], 8, lambda far: _echo(far, 3), stamp=8)
    assert outcome.wrong is None
    messages = served.result()
    assert _numbers(messages, 8) == [(0, 0), (1, 5), (2, 7)]
    assert isinstance(messages, list)
    assert {(one[:8], one[24:]) for one in messages} == {(bytes(8), bytes(SIZE - 24))}


def test_a_message_without_room_for_a_number_carries_none() -> None:
    outcome, served = _loaded([0] * 5, 2, lambda far: _echo(far, 5, 1), stamp=-1, size=1)
    assert outcome.wrong is None
    assert served.result() == [b"\0"] * 5
    assert all(outcome.answered)


@pytest.mark.parametrize(
    ("lengths", "says"),
    [
        ((0, 0, 0), "of one length, and not empty"),
        ((2, 1, 2), "of one length"),
        ((2, 2, 1), "of one length"),
        ((1, 2, 2), "of one length"),
    ],
)
def test_times_of_other_lengths_and_none_at_all_are_refused(
    lengths: tuple[int, int, int], says: str
) -> None:
    intended, sent, answered = (array("q", bytes(8 * length)) for length in lengths)
    with _joined() as (endpoint, _), pytest.raises(ValueError, match=says):
        _native.client_load([endpoint], intended, sent, answered, 1, 0, 0)


@pytest.mark.parametrize("stamp", [-2, SIZE - 15, SIZE, 2**40])
def test_a_number_that_does_not_fit_into_a_message_is_refused(stamp: int) -> None:
    with _joined() as (endpoint, _), pytest.raises(ValueError, match="no room for its number"):
        _Outcome([0]).run(endpoint, 1, stamp)


@pytest.mark.parametrize("window", [0, 1025])
def test_a_window_that_cannot_be_is_refused(window: int) -> None:
    with _joined() as (endpoint, _), pytest.raises(ValueError, match="1 to 1024"):
        _Outcome([0]).run(endpoint, window)


def test_times_that_cannot_be_written_to_are_refused() -> None:
    times: Any = array("q", [0])
    read_only: Any = bytes(8)
    with _joined() as (endpoint, _):
        for sent, answered in ((read_only, times), (times, read_only)):
            with pytest.raises((BufferError, TypeError)):
                _native.client_load([endpoint], times, sent, answered, 1, 0, 0)


def test_a_closed_end_sends_nothing() -> None:
    with _joined() as (endpoint, far):
        endpoint.close()
        with pytest.raises(ValueError, match="closed"):
            _Outcome([0]).run(endpoint, 1, -1)
        assert select.select([far], [], [], 0)[0] == []


def test_the_end_of_the_stream_ends_a_batch() -> None:
    with _joined() as (endpoint, far):
        serving = beside(lambda: _end_after(far, 3))
        with pytest.raises((EOFError, BrokenPipeError, ConnectionResetError)):
            _Outcome([0] * 50).run(endpoint, 1)
        serving.result(PATIENCE_S)


class Broken(Exception):
    """What the signal's handler raises."""


@pytest.mark.parametrize(
    "times", [[0, 0], [0, MINUTE_NS], [MINUTE_NS]], ids=["reply", "next", "first"]
)
def test_a_handler_that_raises_breaks_the_wait_for_a_reply_and_for_a_time(
    times: list[int],
) -> None:
    def handle(*_: object) -> None:
        raise Broken

    before = signal.signal(signal.SIGUSR1, handle)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    with _joined() as (endpoint, _):
        timer.start()
        try:
            with pytest.raises(Broken):
                _Outcome(times).run(endpoint, 1)
        finally:
            signal.signal(signal.SIGUSR1, before)
            timer.join()


def test_replies_that_wait_for_the_generator_hold_no_message_back() -> None:
    """All are due at once, and every reply is there before it is looked for."""

    replies = b"".join(number.to_bytes(8, "little") + bytes(SIZE - 8) for number in range(40))
    intended, sent, answered = (array("q", bytes(8 * 40)) for _ in range(3))
    with _joined() as (near, far):
        far.sendall(replies)
        held_back, wrong = _native.client_load([near], intended, sent, answered, 4, 0, 0)
    assert (held_back, wrong) == (0, None)
    assert all(map(int.__le__, sent, answered))
