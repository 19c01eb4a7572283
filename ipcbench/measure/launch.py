"""Starts one worker a launch, waits for it with a limit, and leaves nothing of it behind."""

import os
import select
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, cast

import pyperf

from ipcbench.case import Case, Placement
from ipcbench.errors import LaunchFailed
from ipcbench.host import Cpus
from ipcbench.measure.process import describe_exit
from ipcbench.measure.scratch import Scratch
from ipcbench.measure.tether import Tether

WORKER = "ipcbench.measure.worker"
_CALIBRATION_SHARE = 0.25
"""A calibration doubles its loops until a batch takes this share of the time wanted; the rest
of the way is a multiplication."""
_NUDGE_AFTER_S = 0.2
_SERVER_GONE_LIMIT_S = 4.0
_EXIT_LIMIT_S = 1.0
_MOST_STDERR_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured in each launch."""

    values: int = 7
    warmups: int = 1
    min_time_s: float = 0.05
    """What one batch should take."""
    timeout_s: float = 30.0
    """When a launch is given up."""


class Launcher(Protocol):
    """What the driver needs: real workers, or a replay of recorded launches in the tests."""

    def calibrate(self, case: Case) -> int:
        """Messages a batch so that it takes about the time wanted. Raises LaunchFailed."""

    def measure(self, case: Case, messages: int) -> pyperf.Benchmark:
        """One launch, as a benchmark of one run. Raises LaunchFailed with the reason."""


class WorkerLauncher:
    """Launches real workers, each in a process group and a directory of its own."""

    def __init__(
        self, scratch: Scratch, cpus: dict[Placement, Cpus | None], effort: Effort
    ) -> None:
        self._scratch = scratch
        self._cpus = cpus
        self._effort = effort

    def calibrate(self, case: Case) -> int:
        enough = self._effort.min_time_s * _CALIBRATION_SHARE
        bench = self._run(
            case, "--calibrate-loops", "--warmups=0", "--values=1", f"--min-time={enough!r}"
        )
        (run,) = bench.get_runs()
        seconds_per_message: float = run.warmups[-1][1]
        return max(1, round(self._effort.min_time_s / seconds_per_message))

    def measure(self, case: Case, messages: int) -> pyperf.Benchmark:
        effort = self._effort
        return self._run(
            case, f"--loops={messages}", f"--warmups={effort.warmups}", f"--values={effort.values}"
        )

    def _run(self, case: Case, *options: str) -> pyperf.Benchmark:
        with self._scratch.launch() as directory:
            output = directory / "launch.json"
            command = [sys.executable, "-P", "-m", WORKER, case.id, "--worker", *options]
            command += [f"--directory={directory}", f"--output={output}"]
            cpus = self._cpus[case.placement]
            if cpus is not None:
                command.append(f"--cpus={cpus[0]},{cpus[1]}")
            _await_worker(command, self._scratch.held, self._effort.timeout_s)
            return _loaded(output)


def _loaded(output: Path) -> pyperf.Benchmark:
    try:
        return pyperf.Benchmark.load(str(output))
    except (OSError, ValueError, KeyError) as error:
        raise LaunchFailed(f"the worker left no readable result: {error}") from error


def _await_worker(command: Sequence[str], held: int, timeout_s: float) -> None:
    """Runs the worker to its end. Raises LaunchFailed with its own reason or with how it ended."""
    server_watch, server_end = os.pipe()
    try:
        tether = Tether(os.getpid(), held, server_end)
        worker = subprocess.Popen(
            [*command, f"--tether={tether}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=tether.descriptors,
            start_new_session=True,
            # The worker imports exactly what this process would, wherever it was started.
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    except OSError as error:
        os.close(server_watch)
        raise LaunchFailed(f"no worker could be started: {error.strerror}") from error
    finally:
        os.close(server_end)
    stderr = cast("IO[bytes]", worker.stderr)
    try:
        said, gave_up = _listen(worker, stderr, server_watch, timeout_s)
    finally:
        _end_group(worker, stderr, server_watch)
        os.close(server_watch)
    if gave_up is not None:
        raise LaunchFailed(gave_up)
    if worker.returncode != 0:
        raise LaunchFailed(_reason(said) or f"the worker {describe_exit(worker.returncode)}")


def _listen(
    worker: subprocess.Popen[bytes], stderr: IO[bytes], server_watch: int, timeout_s: float
) -> tuple[str, str | None]:
    """What the worker wrote on stderr until it closed it; or why it was not waited for.

    A client that blocks just after its server's SIGCHLD came would wait for ever (the signal's
    handler runs between two bytecodes, and none follows). So the driver watches the server too,
    and repeats the signal until the client has noticed.
    """
    said = b""
    deadline = time.monotonic() + timeout_s
    server_gone_s: float | None = None
    with selectors.DefaultSelector() as selector:
        selector.register(stderr, selectors.EVENT_READ)
        selector.register(server_watch, selectors.EVENT_READ)
        while True:
            now = time.monotonic()
            if now >= deadline:
                return "", f"took longer than {timeout_s:g} s (--timeout)"
            wait = deadline - now
            if server_gone_s is not None:
                if now - server_gone_s > _SERVER_GONE_LIMIT_S:
                    return "", "the server ended and the client didn't"
                wait = min(wait, _NUDGE_AFTER_S)
            ready = selector.select(wait)
            for key, _ in ready:
                if key.fd == server_watch:
                    selector.unregister(server_watch)
                    server_gone_s = time.monotonic()
                else:
                    part = os.read(stderr.fileno(), 4096)
                    if not part:
                        stderr.close()
                        return said.decode("utf-8", "replace"), None
                    said = (said + part)[-_MOST_STDERR_BYTES:]
            if not ready and server_gone_s is not None:
                worker.send_signal(signal.SIGCHLD)


def _end_group(worker: subprocess.Popen[bytes], stderr: IO[bytes], server_watch: int) -> None:
    """Gives a finishing worker a moment, kills what is left of its group, and reaps it.

    The group's id is the worker's, so it can't be another's before the worker is reaped.
    """
    finished = stderr.closed
    stderr.close()
    deadline = time.monotonic() + (_EXIT_LIMIT_S if finished else 0)
    while os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() >= deadline:
            break
        time.sleep(0.0005)
    try:
        os.killpg(worker.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # nobody is left (macOS answers EPERM for a group of zombies)
    worker.wait()
    select.select([server_watch], [], [], _EXIT_LIMIT_S)


def _reason(said: str) -> str | None:
    """The worker's last line, without its own name in front."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1].removeprefix(f"{WORKER}: ") if lines else None
