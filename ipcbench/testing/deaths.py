"""Rules about a process's death: the other one notices it, and nothing of the pair stays."""

import gc
import os
import select
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ipcbench.case import LOOPS, Case, Loop
from ipcbench.errors import PeerDied
from ipcbench.measure.pair import Pair
from ipcbench.measure.peer import ForkedPeer
from ipcbench.system.scratch import sweep
from ipcbench.testing.messages import FLOWS
from ipcbench.testing.subject import (
    NotTried,
    Rule,
    Subject,
    beside,
    over,
    require,
    within,
)
from ipcbench.workloads import WORKLOADS, definition_of

NOTICED_S = 5.0
"""No speed that is promised: a bound that a wait for something else than the death would break."""
ENDLESS = 50_000_000_000
"""More messages than any mechanism moves in the time that a kill takes."""


_SCHEDULED_S = 4 * NOTICED_S
"""Seconds of a schedule that lasts longer than a kill takes: it is made before it begins."""


def endless(case: Case) -> int:
    """More messages of the case than are moved in the time that a kill takes."""
    if case.arrivals is None:
        return ENDLESS
    return round(case.arrivals.rate_per_s * _SCHEDULED_S)


def server_pid(pair: Pair) -> int:
    """The process id of a pair's server."""
    peer = pair._peer  # noqa: SLF001  (nobody but a test asks for it)
    if not isinstance(peer, ForkedPeer) or peer.pid is None:
        raise NotTried("its server is no child of this process")
    return peer.pid


def _servers_death(subject: Subject, loop: Loop, workload: str, stop: signal.Signals) -> None:
    subject.mechanism  # noqa: B018  (raises for a control)
    case = subject.case(workload, loop)
    sentence = None
    in_batch, noticed = threading.Event(), threading.Event()

    def note(phase: str) -> None:
        if phase == "timed batch":
            in_batch.set()

    making = Pair(case, None, subject.workspace(), note_phase=note)
    with _unclosed_connections(workload), making as pair:
        pair.run(10)
        in_batch.clear()
        server = server_pid(pair)
        killing = beside(lambda: _kill_as_a_driver_sees_it(server, stop, in_batch, noticed))
        try:
            pair.run(endless(case))
        except PeerDied as error:
            sentence = str(error)
        finally:
            noticed_s = time.monotonic()
            noticed.set()
        killed_s = within(subject, killing, "the server to be killed")
    require(
        sentence is not None and f"was killed by {stop.name} in the timed batch" in sentence,
        f"the server was killed by {stop.name}, and the client says: {sentence or 'nothing'}",
    )
    require(
        noticed_s - killed_s < NOTICED_S,
        f"the client noticed its server's death after {noticed_s - killed_s:.1f} s only",
    )


@contextmanager
def _unclosed_connections(workload: str) -> Iterator[None]:
    """Lets a death break into the making of a connection, which then nobody can close."""
    with warnings.catch_warnings():
        if definition_of(workload).connects:
            warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def _kill_as_a_driver_sees_it(
    pid: int, stop: signal.Signals, in_batch: threading.Event, noticed: threading.Event
) -> float:
    """When it killed; then repeats SIGCHLD until noticed, as the driver does (`WorkerProcess`).

    A client that was just about to block when the first one came would wait for ever.
    """
    in_batch.wait(NOTICED_S)
    time.sleep(0.01)  # some messages into the batch
    killed_s = time.monotonic()
    os.kill(pid, stop)
    while not noticed.wait(0.02):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGCHLD)
    return killed_s


def _clients_death(subject: Subject, loop: Loop) -> None:
    subject.mechanism  # noqa: B018
    case = subject.case("latency", loop)
    reader, writer = os.pipe()
    client = os.fork()
    if client == 0:
        try:
            with Pair(case, None, subject.workspace()) as pair:
                os.write(writer, str(server_pid(pair)).encode())
                pair.run(ENDLESS)
        finally:
            os._exit(1)
    os.close(writer)
    told = os.read(reader, 100)
    os.close(reader)
    os.kill(client, signal.SIGKILL)
    os.waitpid(client, 0)
    require(told, "the pair could not be started")
    _await_end(int(told))
    sweep(subject.directory, subject.transport.leftovers)


def _await_end(pid: int) -> None:
    """Returns once the process is gone or a zombie; its parent is not this process."""
    with_pidfd = os.pidfd_open if hasattr(os, "pidfd_open") else None
    if with_pidfd is None:
        raise NotTried("no pidfd_open here")
    try:
        descriptor = with_pidfd(pid)
    except ProcessLookupError:
        return
    try:
        ended = select.select([descriptor], [], [], NOTICED_S)[0]
    finally:
        os.close(descriptor)
    require(ended, f"the server lives on {NOTICED_S:g} s after its client was killed")


RULES = (
    Rule(
        "servers-death",
        "the server's death is noticed within a batch",
        (
            *over(_servers_death, loop=LOOPS, workload=WORKLOADS, stop=(signal.SIGKILL,)),
            *over(_servers_death, loop=("native",), workload=FLOWS, stop=(signal.SIGKILL,)),
            *over(_servers_death, loop=LOOPS, workload=("latency",), stop=(signal.SIGTERM,)),
        ),
    ),
    Rule("clients-death", "the client's death ends the server", over(_clients_death, loop=LOOPS)),
)
"""The rules about deaths."""
