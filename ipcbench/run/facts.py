"""Facts about the machine, the code and the plan that every launch of a run records."""

import secrets
import time
from typing import NamedTuple

import psutil

from ipcbench.case import Case
from ipcbench.errors import ResultsError
from ipcbench.results import noise
from ipcbench.results.folder import code_version
from ipcbench.results.intent import Intent
from ipcbench.results.metadata import AGAIN_KEY, PLUGINS_KEY, QUESTION_KEY
from ipcbench.results.store import Metadata
from ipcbench.run.about import library_versions
from ipcbench.system import machine
from ipcbench.system.surroundings import surroundings
from ipcbench.transports.registry import get_transport

_LOOK_S = 0.2
"""Seconds over which the use of the CPUs is sampled before a run."""


class CommandLine(NamedTuple):
    """The command line of a run, for people."""

    given: str
    """As it was typed."""
    again: str
    """The canonical command that measures the same, but for the seed."""


class KnownFloor(NamedTuple):
    """The noise floor of this machine as metadata, and a note where it can't be read."""

    facts: Metadata
    note: str | None = None


def known_floor() -> KnownFloor:
    """The noise floor that the last selftest of this user found on this machine, with its age."""
    here = machine.this_machine()
    try:
        floor = noise.kept(here.facts)
    except ResultsError as error:
        return KnownFloor({"noise_floor_ratio": 0.0}, str(error))
    if floor is None:
        return KnownFloor({"noise_floor_ratio": 0.0})
    facts: Metadata = {
        "noise_floor_ratio": floor.within_run,
        "noise_floor_between_runs_ratio": floor.between_runs,
        "noise_floor_age_s": max(0.0, time.time() - floor.found.timestamp()),
        "noise_floor_kernel": floor.kernel,
    }
    return KnownFloor(facts)


def run_metadata(intent: Intent, line: CommandLine) -> Metadata:
    """Collects the metadata that every launch of a run carries, but for the noise floor."""
    here = machine.this_machine()
    target: Metadata = {}
    plugins = _plugins(intent)
    if plugins:
        target[PLUGINS_KEY] = plugins
    if intent.target_ratio is not None:
        target["target_ratio"] = intent.target_ratio
    caches: Metadata = {
        f"cache_{name}_bytes": size for name, size in machine.cache_sizes_bytes().items()
    }
    return (
        target
        | caches
        | surroundings()
        | {
            "run_id": secrets.token_hex(4),
            "seed": intent.seed,
            "baseline": intent.baseline,
            QUESTION_KEY: intent.question,
            "command": line.given,
            AGAIN_KEY: f"{line.again} --seed {intent.seed}",
            "code_version": code_version(),
            "machine": here.slug,
            "cpu_busy_before_run_ratio": psutil.cpu_percent(_LOOK_S) / 100,
            "cpu_model": here.cpu_model,
            "virtualisation": here.virtualisation,
            "governor": here.governor,
            "kernel": here.kernel,
            "python": here.python,
            "versions": library_versions(),
        }
    )


def _plugins(intent: Intent) -> str:
    """The transports of other packages, each with its package; empty if there are none."""
    transports = (get_transport(Case.parse(case).transport) for case in intent.cases)
    return ", ".join(
        dict.fromkeys(f"{one.name} of {one.origin}" for one in transports if one.origin)
    )
