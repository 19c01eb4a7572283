"""Inspects a running pair: reads the kernel's tables and judges them, in one call."""

import struct
from collections.abc import Callable

from ipcbench.evidence.holdings import Holdings
from ipcbench.evidence.kernel import CannotLook, look
from ipcbench.evidence.verdict import Expected, Finding, judged


def inspect(server: Callable[[], Holdings], known: frozenset[str], expected: Expected) -> Finding:
    """Inspects what joins this process and its server, while both are alive.

    `server` reads what the server holds, and may raise OSError. `known` is what this process held
    before the link was made. Messages must have gone in each direction of the workload: of System V
    objects the kernel shows only the last user. Missing tables raise nothing; they are an outcome.
    """
    try:
        seen = look(server, known)
    except CannotLook as error:
        return Finding("not witnessed", str(error))
    except (ValueError, LookupError, struct.error) as error:
        reason = f"a table of this kernel has another form: {type(error).__name__}: {error}"
        return Finding("not witnessed", " ".join(reason.split()))
    return judged(expected, seen)
