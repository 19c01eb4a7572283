"""The answer of work that is done in a process of its own, with a limit on its time."""

import json
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ipcbench.errors import LaunchFailed
from ipcbench.system.scratch import Scratch
from ipcbench.testing.isolation import isolated

_ANSWER_BYTES = 256 * 1024


def answer_of(work: Callable[[Path], Any], private: Scratch, limit_s: float) -> Any:
    """What the work returns, as JSON has it; it is called with a directory of its own.

    The answer comes through memory that both processes have. What the work leaves running is
    killed, and what it leaves in the kernel is removed by its directory's ledger. Raises
    LaunchFailed with the reason where there is no answer within `limit_s`.
    """
    with mmap.mmap(-1, _ANSWER_BYTES) as shared, private.launch() as directory:

        def answer() -> None:
            shared.write(json.dumps(work(directory)).encode() + b"\n")

        outcome = isolated(answer, directory, limit_s)
        if outcome.kind != "passed":
            raise LaunchFailed(outcome.sentence.replace(str(directory), "the launch's folder"))
        return json.loads(shared.readline())
