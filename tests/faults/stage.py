"""Rigged driver and worker that announce each phase of a run and wait for a reply.

`python -m tests.faults.stage driver compare ...` is `ipcbench compare ...`, except that its
processes tell a director, on a socket, what they are about to do, and go on when it lets them. So
faults can be injected into phases that last microseconds.
"""

import fcntl
import json
import os
import socket
import sys
import termios
from collections.abc import Callable
from typing import Any

STAGE = "IPCBENCH_TEST_STAGE"
"""Environment variable with the path of the director's socket."""
TERMINAL = "IPCBENCH_TEST_TERMINAL"
"""Environment variable, set if standard input is to become the driver's controlling terminal."""
WORKER = "tests.faults.stage"

Announcement = dict[str, Any]
"""An announced phase: `role`, `pid`, `phase`, and for a worker `case` and `calibrates`."""


class Announcer:
    """Sends the phases of this process to the director."""

    def __init__(self, role: str, **about: object) -> None:
        self._about = {"role": role, "pid": os.getpid(), **about}
        self._stage = socket.socket(socket.AF_UNIX)
        self._stage.connect(os.environ[STAGE])

    def announce(self, phase: str) -> None:
        """Announces a phase; returns when the director replies or is gone."""
        try:
            self._stage.sendall(json.dumps(self._about | {"phase": phase}).encode() + b"\n")
            self._stage.recv(1)
        except OSError:
            pass  # nobody directs any more


def run_driver(arguments: list[str]) -> int:
    """Runs the command line, announcing each save and the tables."""
    from ipcbench.cli import console, main
    from ipcbench.results import store
    from ipcbench.run import launcher

    if os.environ.get(TERMINAL):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    announcer = Announcer("driver")
    launcher.WORKER = WORKER
    save, show = store.save, console.show

    def announced_save(*given: Any) -> None:
        announcer.announce("saving")
        save(*given)
        announcer.announce("saved")

    def announced_show(*given: Any) -> None:
        announcer.announce("rendering")
        show(*given)

    vars(store)["save"], vars(console)["show"] = announced_save, announced_show
    return main.main(arguments)


def run_worker(arguments: list[str]) -> int:
    """Runs the worker, announcing each phase of its pair, or of its clients and their server."""
    from ipcbench.measure import worker
    from ipcbench.measure.many_links import ManyLinks
    from ipcbench.measure.pair import Pair

    announcer = Announcer("worker", case=arguments[0], calibrates="--calibrate-loops" in arguments)
    _announce_phases(Pair, announcer)
    _announce_phases(ManyLinks, announcer)
    return worker.main()


def _announce_phases(kind: Any, announcer: Announcer) -> None:
    """Has the phases of these processes announced, once they are noted."""
    enter: Callable[[object, str], None] = kind._enter

    def announced_enter(processes: object, phase: str) -> None:
        enter(processes, phase)
        announcer.announce(phase)

    kind._enter = announced_enter


if __name__ == "__main__":
    if sys.argv[1] == "driver":
        sys.exit(run_driver(sys.argv[2:]))
    status = run_worker(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
