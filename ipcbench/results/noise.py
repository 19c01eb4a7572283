"""The noise floor of a machine, as `ipcbench selftest` found it, kept for each user.

It belongs to the machine, and not to the folder one stands in, so it is kept where the XDG Base
Directory Specification has the state of programs: a file a machine, by the machine's key. A floor
that was found on another kernel of the machine is taken where this one's has none.
"""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ipcbench.errors import ResultsError
from ipcbench.results.bounded_json import check, parsed_json
from ipcbench.results.files import read_text, write_atomically
from ipcbench.results.machines import FACTS, machine_key
from ipcbench.results.rules import TEXT, ValueRule, number

STATE = "XDG_STATE_HOME"
"""The environment variable with the folder of programs' state."""
_USUAL_STATE = Path(".local", "state")
_FORMAT = 1
_MOST_BYTES = 64 * 1024
"""Upper bound on the size of a file, of which 400 bytes are usual."""
_KERNEL = "kernel"


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


_SHARE = number(0, 10)
"""Credible noise floors: equal things don't differ more than tenfold."""
_OBJECT = ValueRule("an object", lambda value: isinstance(value, dict))
_TIME = ValueRule("a time with its zone", _is_time)


class NoiseFloor(NamedTuple):
    """Differences between equal things on a machine, as shares; 0 if not measured."""

    within_run: float
    between_runs: float
    kernel: str
    """The kernel it was found on."""
    found: datetime
    """The time when it was found, with a time zone."""


def floor_path(facts: Mapping[str, object]) -> Path:
    """The file of the floor of a machine with these facts. Raises ResultsError without a home."""
    return _folder() / f"{machine_key(facts)}.json"


def keep(floor: NoiseFloor, facts: Mapping[str, object]) -> Path:
    """Keeps the floor of a machine with these facts, for this user alone; the file.

    Raises ResultsError if it can't be written.
    """
    path = floor_path(facts)
    data = {
        "format": _FORMAT,
        "machine": {name: str(facts[name]) for name in FACTS},
        "within_run_ratio": floor.within_run,
        "between_runs_ratio": floor.between_runs,
        "found": floor.found.isoformat(),
    }
    try:
        for place in reversed((path.parent, *path.parent.parents)):
            place.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"{path.parent} can't be made: {error.strerror}") from error
    write_atomically(path, json.dumps(data, indent=2) + "\n", mode=0o600)
    return path


def kept(facts: Mapping[str, object]) -> NoiseFloor | None:
    """The floor that was found on a machine with these facts, the newest of another kernel without.

    None if there is none. Raises ResultsError for a file that can't be read.
    """
    try:
        path = floor_path(facts)
    except ResultsError:
        return None  # nor can one have been kept
    if _is_there(path):
        return _read(path)[0]
    found = (_read(other) for other in _others(path.parent, str(facts[FACTS[0]])))
    same = [floor for floor, machine in found if _is_same_but_for_kernel(machine, facts)]
    return max(same, key=lambda floor: floor.found, default=None)


def _folder() -> Path:
    named = os.environ.get(STATE, "")
    try:
        # A relative path is to be ignored, says the specification.
        state = Path(named) if Path(named).is_absolute() else Path.home() / _USUAL_STATE
    except RuntimeError as error:
        raise ResultsError(f"this user has no home folder; set {STATE}") from error
    return state / "ipcbench" / "noise-floor"


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ResultsError(f"{path} can't be read: {error.strerror}") from error
    return True


def _others(folder: Path, kind: str) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.match(f"{kind}-*.json")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ResultsError(f"{folder} can't be read: {error.strerror}") from error


def _is_same_but_for_kernel(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    return all(one[name] == str(other[name]) for name in FACTS if name != _KERNEL)


def _read(path: Path) -> tuple[NoiseFloor, Mapping[str, object]]:
    """The floor in a file and the facts of its machine. Raises ResultsError."""
    try:
        data = parsed_json(read_text(path, _MOST_BYTES))
        check(_OBJECT, data, "file", "content")
        machine = data.get("machine")
        check(_OBJECT, machine, "file", "machine")
        for name in FACTS:
            check(TEXT, machine.get(name), "machine", name)
        for name in ("within_run_ratio", "between_runs_ratio"):
            check(_SHARE, data.get(name), "file", name)
        check(_TIME, data.get("found"), "file", "found")
    except ResultsError as error:
        said = str(error).removeprefix(f"{path} ")
        raise ResultsError(
            f"{path} {said}; find the noise floor anew: ipcbench selftest"
        ) from error
    floor = NoiseFloor(
        float(data["within_run_ratio"]),
        float(data["between_runs_ratio"]),
        machine[_KERNEL],
        datetime.fromisoformat(data["found"]),
    )
    return floor, machine
