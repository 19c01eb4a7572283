"""The sentence that tells of an injected fault: the names it must have, and the phases it may."""

import re

from ipcbench.case import Case
from ipcbench.measure.drivers.many import model_of
from ipcbench.workloads import clients_of
from tests.faults.injections import Injection
from tests.faults.stage import Announcement

_BATCH = ("timed batch", "payload check")
_END = ("sampled burst", "payload check", "save of its values")
FOLLOWING = {
    "set-up": ("hand-shake", *_BATCH, "wait for its turn", *_END),
    "hand-shake": (*_BATCH, "wait for its turn", *_END),
    "timed batch": ("payload check", "wait for its turn", *_END),
    "payload check": ("wait for its turn", *_BATCH, *_END),
    "sampled burst": ("payload check", "save of its values"),
    "wait for its turn": (*_BATCH, *_END),
}
"""Phases that a pair may reach between its announcement and the fault, milliseconds later."""


def forked_names(workload: str, transport: str) -> list[str]:
    """The names in sentences of the processes that a worker forks, in the order of the forks."""
    many, case = clients_of(workload), Case(workload, transport, 1)
    clients = many.number
    if clients == 1:
        return ["server"]
    is_forked = model_of(case) == "fork"
    word = "reader" if many.are_readers else "server"
    servers = [f"{word} {n} of {clients}" for n in range(1, clients + 1)]
    is_one_client = many.are_readers or case.arrivals is not None
    others = [] if is_one_client else [f"client {n} of {clients}" for n in range(2, clients + 1)]
    return [*(servers if is_forked else ["the server"]), *others]


def misnamed(line: str, injection: Injection, aimed: Announcement, named: str) -> str | None:
    """The first fact about the injected fault that a line gets wrong; None if it is right.

    `named` is how a sentence names the victim.
    """
    told = re.fullmatch(r"trying again: (\S+): (.*)", line)
    if told is None or told[1] != aimed["case"]:
        return "another case"
    words = "stopped by a signal" if injection.signal == "STOP" else f"SIG{injection.signal}"
    if named not in told[2] or words not in told[2]:
        return "another victim or signal"
    expected = (aimed["phase"], *FOLLOWING[aimed["phase"]])
    if not any(f"in the {phase}" in told[2] for phase in expected):
        return f"another phase than {' or '.join(expected)}"
    return None
