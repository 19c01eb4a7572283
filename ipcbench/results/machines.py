"""Machines by fingerprint: one host's hardware and kernel. Pure.

The key is made of facts that every file has had from the first format on, so that old files and
new ones of one machine agree. Sizes of caches, for one, aren't in all of them.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache

from ipcbench.errors import ResultsError

FACTS = ("machine", "cpu_model", "cpu_count", "virtualisation", "kernel")
"""The facts that make the key; the first is the name of a kind of machine."""
_UNKNOWN = "unknown"
_DIGITS = 8


def machine_key(facts: Mapping[str, object]) -> str:
    """The key of the machine that a launch with these facts was made on: name and short hash."""
    return _key(tuple(str(facts.get(name, _UNKNOWN)) for name in FACTS))


@lru_cache(maxsize=64)
def _key(facts: tuple[str, ...]) -> str:
    digest = hashlib.sha256("\n".join(facts).encode("utf-8", "backslashreplace")).hexdigest()
    return f"{facts[0]}-{digest[:_DIGITS]}"


def check_same_machine(one: Mapping[str, object], other: Mapping[str, object], what: str) -> None:
    """Raises ResultsError, which names both, unless launches with these facts share a machine.

    `what` begins the message: what can't be done with two machines.
    """
    keys = machine_key(one), machine_key(other)
    if keys[0] == keys[1]:
        return
    differ = next(name for name in FACTS if str(one.get(name)) != str(other.get(name)))
    raise ResultsError(
        f"{what}: {keys[0]} ({differ.replace('_', ' ')} {one.get(differ)})"
        f" and {keys[1]} ({other.get(differ)})"
    )
