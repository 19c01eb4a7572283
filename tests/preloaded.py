"""Runs the command line in forks of a process that has loaded the libraries, and nothing of ours.

To load pandas takes a second of CPU time, which hundreds of commands would pay. A fork is a process
of its own, with the working directory, environment, search path, CPUs and output of who asks for
it, and it loads all of ipcbench as any other does. What a command leaves running becomes a child of
the process that was forked, and is told.
"""

import atexit
import ctypes
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_LIBRARIES = ("numpy", "pandas", "pyperf", "rich.console", "rich.progress", "rich.table")
_MOST_BYTES = 100_000
"""The largest request: arguments and environment."""
_SET_CHILD_SUBREAPER = 36
"""prctl(2): processes below this one whose parents have ended become its children."""
_GRACE_S = 5.0
_LOOK_EVERY_S = 0.005


class Preloaded:
    """The process that is forked; it ends with the one that made it."""

    def __init__(self, root: Path) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.preloaded", str(theirs.fileno())],
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def run(
        self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], limit_s: float
    ) -> "subprocess.CompletedProcess[str]":
        """The finished `ipcbench ARGUMENTS`, with its output as text.

        Raises TimeoutExpired after the limit, and AssertionError if processes are left behind.
        """
        cpus = sorted(os.sched_getaffinity(0))
        request = json.dumps([arguments, str(cwd), dict(environment), cpus]).encode()
        readers, writers = zip(os.pipe(), os.pipe(), strict=True)
        try:
            socket.send_fds(self._channel, [request], writers)
        finally:
            for writer in writers:
                os.close(writer)
        pid = int(self._channel.recv(_MOST_BYTES))
        output = _all_of(readers, pid, time.monotonic() + limit_s)
        status, left = json.loads(self._channel.recv(_MOST_BYTES))
        if output is None:
            raise subprocess.TimeoutExpired(["ipcbench", *arguments], limit_s)
        assert not left, f"left running by ipcbench {' '.join(arguments)}: {left}"
        code = os.waitstatus_to_exitcode(status)
        return subprocess.CompletedProcess(["ipcbench", *arguments], code, *output)

    def close(self) -> None:
        """Ends the process, and waits for it."""
        self._channel.close()
        self._process.wait(10)


def _all_of(readers: Sequence[int], pid: int, deadline_s: float) -> list[str] | None:
    """What comes through pipes until they end; None, and the process killed, after the deadline."""
    parts: dict[int, list[bytes]] = {reader: [] for reader in readers}
    is_late = False
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(None if is_late else max(0, deadline_s - time.monotonic()))
            if not ready:
                is_late = True
                os.kill(pid, signal.SIGKILL)  # a child not waited for keeps its id
            for key, _ in ready:
                if part := os.read(key.fd, 65_536):
                    parts[key.fd].append(part)
                else:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    texts = (b"".join(parts[reader]).decode() for reader in readers)
    return None if is_late else [text.replace("\r\n", "\n") for text in texts]


def _serve(channel: socket.socket) -> Any:
    """Forks for each request, until nobody asks any more; returns the request in a fork."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(channel, _MOST_BYTES, 2)
        if not request:
            sys.exit()
        pid = os.fork()
        if pid == 0:
            channel.close()
            for target, descriptor in zip((1, 2), descriptors, strict=True):
                os.dup2(descriptor, target)
                os.close(descriptor)
            return json.loads(request)
        for descriptor in descriptors:
            os.close(descriptor)
        channel.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        channel.send(json.dumps([status, _left()]).encode())


def _left() -> list[str]:
    """The commands of children that don't end within a while."""
    deadline = time.monotonic() + _GRACE_S
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(_LOOK_EVERY_S)
        except ChildProcessError:
            return []
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    commands = []
    for pid in children:
        with suppress(OSError):
            text = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            commands.append(f"process {pid}: {text}")
    return commands


def _main() -> None:
    for library in _LIBRARIES:
        __import__(library)
    gc.collect()
    gc.freeze()  # the forks have no part in it
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    channel = socket.socket(fileno=int(sys.argv[1]))
    arguments, cwd, environment, cpus = _serve(channel)
    assert "ipcbench" not in sys.modules
    os.sched_setaffinity(0, cpus)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    # The first is where this one was started; `python -m` has the working directory there.
    sys.path[:1] = [cwd, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv[1:] = arguments
    code: object = 0
    try:
        runpy.run_module("ipcbench", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    # All but the taking down of the libraries, which takes as long as a short command.
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    _main()
