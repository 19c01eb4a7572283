"""The extension itself; what its loops do is in the contract tests, which run over every loop."""

import ctypes
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from array import array
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ipcbench.case import Case
from ipcbench.measure import drivers
from ipcbench.measure.drivers import native
from ipcbench.transports.parts.counters import _futex_calls
from tests.command import ROOT
from tests.contract.tuned import all_transports

if TYPE_CHECKING:
    from ipcbench.measure import _native

if reason := native.unavailable():
    pytest.skip(reason, allow_module_level=True)

SOURCE = ROOT / "ipcbench/measure/native.c"
COMPILER = shutil.which(os.environ.get("CC", "cc"))


def _endpoint(shape: tuple[Any, ...], size: int = 64) -> "_native.Endpoint":
    from ipcbench.measure import _native

    return _native.Endpoint(shape, memoryview(bytearray(size)), memoryview(bytearray(size)))


@pytest.mark.parametrize(
    "shape",
    [
        (),
        ("thread",),
        (7,),
        ("stream", 1),
        ("slots", memoryview(bytearray(64)), None),
        ("slots", b"read-only", None, None),
        ("slots", bytearray(64), (0, 64, 1, 2, ("spin", 0), None), None),
        ("slots", bytearray(64), (0, 32, 1, 1, ("spin", 0), None), None),
        ("slots", bytearray(64), (0, 64, 0, 1, ("spin", 0), None), None),
        ("slots", bytearray(64), (0, 64, 1, 0, ("spin", 0), None), None),
        ("slots", bytearray(64), (0, 64, 1, 1, ("spin", 64), None), None),
        ("slots", bytearray(64), (-64, 64, 1, 1, ("spin", 0), None), None),
        ("slots", bytearray(64), (0, 64, 1, 1, ("bell", 0), None), None),
        ("slots", bytearray(64), (0, 64, 1, 1, ("eventfd", 0, 60, 1), None), None),
        ("slots", bytearray(64), (0, 64, 1, 1, ("futex", 0, -8, 1), None), None),
    ],
)
def test_a_shape_that_makes_no_sense_is_refused(shape: tuple[Any, ...]) -> None:
    with pytest.raises((ValueError, TypeError, IndexError, BufferError)):
        _endpoint(shape)


def test_buffers_must_be_of_one_size_and_writable() -> None:
    from ipcbench.measure import _native

    with pytest.raises(ValueError, match="message's size"):
        _native.Endpoint(("nothing",), memoryview(bytearray(1)), memoryview(bytearray(2)))
    with pytest.raises(BufferError):
        _native.Endpoint(("nothing",), memoryview(b"1"), memoryview(bytearray(1)))


def test_a_closed_endpoint_says_so_and_holds_no_buffer() -> None:
    from ipcbench.measure import _native

    memory = bytearray(64)
    endpoint = _native.Endpoint(("nothing",), memoryview(memory), memoryview(bytearray(64)))
    endpoint.close()
    endpoint.close()
    memory.extend(b"can be resized")
    for call in (endpoint.send, endpoint.ready, lambda: endpoint.client_latency(1, 1)):
        with pytest.raises(ValueError, match="closed"):
            call()


@pytest.mark.parametrize("count", [0, 1025])
def test_so_many_messages_at_once_are_refused(count: int) -> None:
    endpoint, nanoseconds = _endpoint(("copy",)), array("q", bytes(8))
    for call in (
        lambda: endpoint.client_latency(1, count),
        lambda: endpoint.client_latency_sampled(nanoseconds, nanoseconds, count),
        lambda: endpoint.client_batches(1, count, lambda: None),
        lambda: endpoint.server_batches(1, count),
    ):
        with pytest.raises(ValueError, match="1 to 1024"):
            call()


def test_samples_and_the_times_of_sending_have_one_length() -> None:
    with pytest.raises(ValueError, match="one length"):
        _endpoint(("copy",)).client_latency_sampled(array("q", [0]), array("q", [0, 0]), 1)


def test_batches_and_both_ways_need_descriptors() -> None:
    endpoint = _endpoint(("copy",))
    with pytest.raises(OSError, match="not supported"):
        endpoint.server_batches(1, 2)
    with pytest.raises(OSError, match="not supported"):
        endpoint.duplex(1)


def test_a_thread_may_still_be_in_a_call_of_an_end_that_another_uses() -> None:
    near, far = socket.socketpair()
    with near, far, ThreadPoolExecutor(1) as pool:
        endpoint = _endpoint(("stream", near.fileno(), near.fileno(), True))
        begun = threading.Event()

        def receive_and_go_on() -> None:
            begun.set()
            endpoint.receive()
            for _ in range(1_000_000):  # long enough for the interpreter to be asked for
                pass

        receiving = pool.submit(receive_and_go_on)
        assert begun.wait(20)
        # The receiver is without the GIL meanwhile, and the sender in between.
        for _ in range(10_000):
            endpoint.send()
            assert len(far.recv(64, socket.MSG_WAITALL)) == 64
        far.sendall(bytes(64))
        while not receiving.done():
            pass  # asks for the interpreter all the time
        assert receiving.exception() is None


def test_the_end_of_a_stream_is_an_eof_error_with_the_count() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"123")
    os.close(writer)
    endpoint = _endpoint(("stream", reader, -1, False))
    with pytest.raises(EOFError, match="after 3 of 64 bytes"):
        endpoint.receive()
    os.close(reader)


def test_the_end_of_a_stream_is_worth_a_receive() -> None:
    reader, writer = os.pipe()
    endpoint = _endpoint(("stream", reader, -1, False))
    assert not endpoint.ready()
    os.close(writer)
    assert endpoint.ready()
    os.close(reader)


def test_a_message_waits_in_the_word_that_the_receiver_goes_by_whatever_the_kernel_says() -> None:
    event = os.eventfd(0, os.EFD_SEMAPHORE)
    memory = bytearray(128)
    words = memoryview(memory)[64:72].cast("I")
    receives = (0, 64, 1, 1, ("eventfd", event, 64, 1), None)
    endpoint = _endpoint(("slots", memory, None, receives))
    os.eventfd_write(event, 1)
    assert not endpoint.ready()
    words[0] = 1
    assert endpoint.ready()
    endpoint.receive()
    assert not endpoint.ready()
    os.close(event)


def test_an_object_that_is_gone_is_an_os_error_to_whoever_asks_for_a_message() -> None:
    waits = (0, 64, 1, 1, ("semop", -1), None)
    for shape in (("queue", "sysv", 2**31 - 1, -1), ("slots", bytearray(64), None, waits)):
        with pytest.raises(OSError, match="Invalid argument"):
            _endpoint(shape).ready()


def test_an_error_of_the_kernel_is_an_os_error() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        _endpoint(("stream", -1, -1, False)).send()


class Broken(Exception):
    """What the signal's handler raises."""


def _receive_until(signalling: threading.Timer, endpoint: "_native.Endpoint") -> None:
    """Receives until a signal comes; on a busy machine the wait may not have begun by then."""
    signalling.start()
    endpoint.receive()


@pytest.mark.parametrize("way", ["read", "spin", "futex", "eventfd", "spin, then sleep"])
def test_a_handler_that_raises_breaks_a_wait_in_c(way: str) -> None:
    def handle(*_: object) -> None:
        raise Broken

    reader, writer = os.pipe()
    memory = bytearray(128)
    event = os.eventfd(0)
    counters = {
        "spin": ("spin", 64),
        "futex": ("futex", 64),
        "eventfd": ("eventfd", event),
        "spin, then sleep": ("eventfd", event, 64, 1_000_000),
    }
    waits = (0, 64, 1, 1, counters.get(way), None)
    shape = ("stream", reader, -1, False) if way == "read" else ("slots", memory, None, waits)
    endpoint = _endpoint(shape)
    before = signal.signal(signal.SIGUSR1, handle)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        with pytest.raises(Broken):
            _receive_until(timer, endpoint)
    finally:
        signal.signal(signal.SIGUSR1, before)
        timer.join()
        for descriptor in (reader, writer, event):
            os.close(descriptor)


def test_a_signal_that_comes_while_a_wait_spins_breaks_the_sleep_that_follows() -> None:
    def handle(*_: object) -> None:
        raise Broken

    spin_ns = 1_000_000_000
    event = os.eventfd(0)
    counter = ("eventfd", event, 64, spin_ns)
    endpoint = _endpoint(("slots", bytearray(128), None, (0, 64, 1, 1, counter, None)))
    before = signal.signal(signal.SIGUSR1, handle)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        with pytest.raises(Broken):
            _receive_until(timer, endpoint)
    finally:
        signal.signal(signal.SIGUSR1, before)
        timer.join()
        os.close(event)


def _woken(event: int) -> int:
    """How many wake-ups are on their way."""
    os.set_blocking(event, False)
    try:
        return os.eventfd_read(event)
    except BlockingIOError:
        return 0


def test_a_sender_wakes_who_says_that_it_sleeps_once_and_nobody_else() -> None:
    event = os.eventfd(0)
    memory = bytearray(128)
    sends = (0, 64, 1, 1, ("eventfd", event, 64, 1), None)
    endpoint = _endpoint(("slots", memory, sends, None))
    words = memoryview(memory)[64:72].cast("I")
    endpoint.send()
    assert (words[0], words[1], _woken(event)) == (1, 0, 0)
    words[1] = 1
    endpoint.send()
    endpoint.send()
    assert (words[0], words[1], _woken(event)) == (3, 0, 1)
    os.close(event)


def test_a_wake_up_that_a_broken_wait_left_behind_brings_no_message() -> None:
    event = os.eventfd(0, os.EFD_SEMAPHORE)
    memory = bytearray(128)
    words = memoryview(memory)[64:72].cast("I")
    receives = (0, 64, 1, 1, ("eventfd", event, 64, 1_000_000), None)
    endpoint = _endpoint(("slots", memory, None, receives))

    def wake_too_soon_and_then_send() -> None:
        os.eventfd_write(event, 1)
        while _readable(event):
            pass
        memory[:7] = b"message"
        words[0] = 1
        os.eventfd_write(event, 1)

    sender = threading.Thread(target=wake_too_soon_and_then_send)
    sender.start()
    endpoint.receive()
    assert words[0] == 1
    sender.join()
    os.close(event)


@pytest.mark.parametrize("kind", ["eventfd", "futex"])
def test_a_sender_that_takes_the_flag_of_the_next_wait_for_that_of_the_last_loses_no_wake_up(
    kind: str,
) -> None:
    event = os.eventfd(0, os.EFD_SEMAPHORE)
    memory = bytearray(128)
    words = memoryview(memory)[64:72].cast("I")
    _, wake_futex = _futex_calls(ctypes.addressof(ctypes.c_char.from_buffer(words)) + 4)
    wake = wake_futex if kind == "futex" else partial(os.eventfd_write, event, 1)
    receives = (0, 64, 1, 1, (kind, 64 if kind == "futex" else event, 64, 1), None)
    endpoint = _endpoint(("slots", memory, None, receives))

    def take_the_flag_again_and_again_and_then_send() -> bool:
        for _ in range(3000):
            deadline_s = time.monotonic() + 5
            while not words[1]:
                os.sched_yield()
                if time.monotonic() > deadline_s:
                    words[0] = 1
                    wake_futex()
                    os.eventfd_write(event, 1)
                    os.kill(os.getpid(), signal.SIGUSR1)
                    return False
            words[1] = 0
            wake()
        words[0] = 1
        words[1] = 0
        wake()
        return True

    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(take_the_flag_again_and_again_and_then_send)
            endpoint.receive()
            assert sent.result(30), "it sleeps, and doesn't say so"
    finally:
        signal.signal(signal.SIGUSR1, before)
        os.close(event)


def _readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


@pytest.mark.parametrize("count", [0, 1, 3])
def test_whoever_spins_first_takes_the_count_from_the_word_and_none_from_the_kernel(
    count: int,
) -> None:
    event = os.eventfd(count, os.EFD_SEMAPHORE)
    memory = bytearray(128)
    receives = (0, 64, 1, 1, ("eventfd", event, 64, 1), None)
    _endpoint(("slots", memory, None, receives))
    assert _woken(event) == 0
    os.close(event)


def test_samples_are_nanoseconds_of_each_round_trip() -> None:
    samples = array("q", bytes(8 * 100))
    _endpoint(("copy",)).client_latency_sampled(samples, array("q", bytes(8 * len(samples))), 1)
    assert all(sample > 0 for sample in samples)


def _sanitizer(name: str) -> str | None:
    """The path of a sanitizer's library, where the compiler has it."""
    assert COMPILER is not None
    found = subprocess.run([COMPILER, f"-print-file-name={name}"], capture_output=True, text=True)
    path = found.stdout.strip()
    return path if Path(path).is_absolute() else None


PROGRAM = """
import os, sys, tempfile, threading
from array import array
from pathlib import Path
import _native
sys.modules["ipcbench.measure._native"] = _native

from ipcbench.measure.control import NoAcknowledgement
from ipcbench.measure.drivers.native import Client, NativeEndpoint, Server
from ipcbench.measure.drivers.open_loop import Load, NativeClient
from ipcbench.workloads import Arrivals
from ipcbench.measure.drivers import rejects
from ipcbench.case import Case
from ipcbench.transports.registry import get_transport
from ipcbench.transports.base import Traffic, Workspace

def there(work, *arguments):
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread

class Joined(NoAcknowledgement):
    def __init__(self, serving):
        self._serving = serving
    def wait(self):
        self._serving and self._serving.join()

def exchange(transport, traffic, directory):
    ends = {}
    link = transport.link(traffic, Workspace(directory))
    opening = there(lambda: ends.update(server=NativeEndpoint(link.server())))
    near = NativeEndpoint(link.client())
    assert type(near.core) is _native.Endpoint
    if traffic.workload == "load":
        has_room = traffic.message_size_bytes >= 24 and not transport.is_control
        stamp = 8 * transport.numbers_messages if has_room else None
        client = NativeClient(near, "load", Load(Arrivals(50_000), 1, "", stamp))
    else:
        client = Client(near, traffic.workload)
    opening.join()
    assert ends["server"].ready() == transport.is_control
    server = Server(ends["server"], traffic.workload)
    alone, count = transport.is_control, 30 if transport.spins else 200
    sampled = 10 if traffic.echoes else 0
    serving = None if alone else there(server.serve, count + sampled)
    if traffic.workload == "load":
        client.prepare(count)
    client.batch(count, NoAcknowledgement() if sampled else Joined(serving))
    if sampled:
        client.sample(array("q", bytes(8 * sampled)))
    if serving:
        serving.join()
    client.close()
    server.close()
    link.close()

for name in sys.argv[1:]:
    transport = get_transport(name)
    if transport.unavailable() is None:
        for workload in transport.workloads:
            if not rejects(Case(workload, transport.name, 8, "native")):
                for size in (1000, 8) if transport.carries_payload else (0,):
                    with tempfile.TemporaryDirectory() as directory:
                        exchange(transport, Traffic(size, workload), Path(directory))
                    print(transport.name, workload)

def buffers():
    return memoryview(bytearray(1000)), memoryview(bytearray(1000))

for shape in ((), ("slots", bytearray(9), (0, 1, 1, 1, ("spin", 0), None), None), ("bell",)):
    try:
        _native.Endpoint(shape, *buffers())
    except (ValueError, IndexError):
        pass
print("done")
"""
"""Runs the transports that it is given the names of, if the loop in C can drive them, in every
workload; prints each as it is through."""


@pytest.mark.skipif(COMPILER is None, reason="no C compiler here")
def test_the_loops_run_clean_under_address_and_undefined_behaviour_sanitizers(
    tmp_path: Path,
) -> None:
    assert COMPILER is not None
    library = _sanitizer("libasan.so")
    include = sysconfig.get_path("include")
    if library is None or not Path(include, "Python.h").exists():
        pytest.skip("this compiler has no AddressSanitizer, or Python's headers are missing")
    flags = ["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-cast-function-type"]
    flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fPIC", "-shared"]
    built = tmp_path / "_native.abi3.so"
    subprocess.run([COMPILER, *flags, f"-I{include}", SOURCE, "-o", built], check=True)
    environment = os.environ | {
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter itself keeps memory until it ends
        "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT))),
        "PYTHONMALLOC": "malloc",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *(transport.name for transport in all_transports())],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    expected = [
        f"{transport.name} {workload}"
        for transport in all_transports()
        if transport.unavailable() is None
        for workload in transport.workloads
        if not drivers.rejects(Case(workload, transport.name, 8, "native"))
        for _ in range(2 if transport.carries_payload else 1)
    ]
    assert done.stdout.splitlines() == [*expected, "done"], done.stderr
    assert "runtime error" not in done.stderr
