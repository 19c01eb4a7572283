"""The extension itself; what its loops do is in the contract tests, which run over every loop."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ipcbench.case import Case
from ipcbench.measure import drivers
from ipcbench.measure.drivers import native
from ipcbench.transports.registry import transports
from tests.command import ROOT

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
    for call in (endpoint.send, lambda: endpoint.client_latency(1)):
        with pytest.raises(ValueError, match="closed"):
            call()


def test_the_end_of_a_stream_is_an_eof_error_with_the_count() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"123")
    os.close(writer)
    endpoint = _endpoint(("stream", reader, -1, False))
    with pytest.raises(EOFError, match="after 3 of 64 bytes"):
        endpoint.receive()
    os.close(reader)


def test_an_error_of_the_kernel_is_an_os_error() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        _endpoint(("stream", -1, -1, False)).send()


class Broken(Exception):
    """What the signal's handler raises."""


@pytest.mark.parametrize("way", ["read", "spin", "futex"])
def test_a_handler_that_raises_breaks_a_wait_in_c(way: str) -> None:
    def handle(*_: object) -> None:
        raise Broken

    reader, writer = os.pipe()
    memory = bytearray(128)
    waits = (0, 64, 1, 1, (way, 64), None)
    shape = ("stream", reader, -1, False) if way == "read" else ("slots", memory, None, waits)
    endpoint = _endpoint(shape)
    before = signal.signal(signal.SIGUSR1, handle)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(Broken):
            endpoint.receive()
    finally:
        signal.signal(signal.SIGUSR1, before)
        timer.join()
        os.close(reader)
        os.close(writer)


def test_samples_are_nanoseconds_of_each_round_trip() -> None:
    samples = array("q", bytes(8 * 100))
    _endpoint(("copy",)).client_latency_sampled(samples)
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
from ipcbench.measure.drivers import rejects
from ipcbench.case import Case
from ipcbench.transports.registry import transports
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
    client = Client(near, traffic.workload)
    opening.join()
    server = Server(ends["server"], traffic.workload)
    alone, count = transport.is_control, 30 if transport.spins else 200
    sampled = 10 if traffic.echoes else 0
    serving = None if alone else there(server.serve, count + sampled)
    client.batch(count, NoAcknowledgement() if sampled else Joined(serving))
    if sampled:
        client.sample(array("q", bytes(8 * sampled)))
    if serving:
        serving.join()
    client.close()
    server.close()
    link.close()

for transport in transports():
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
"""Every transport that the loop in C can drive, both workloads; prints each as it is through."""


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
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=60
    )
    expected = [
        f"{transport.name} {workload}"
        for transport in transports()
        if transport.unavailable() is None
        for workload in transport.workloads
        if not drivers.rejects(Case(workload, transport.name, 8, "native"))
        for _ in range(2 if transport.carries_payload else 1)
    ]
    assert done.stdout.splitlines() == [*expected, "done"], done.stderr
    assert "runtime error" not in done.stderr
