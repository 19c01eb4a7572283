"""Paths of results: the default ones, and those a user names, checked before any launch."""

import os
import re
from pathlib import Path

from ipcbench import __version__
from ipcbench.errors import UsageError

RESULTS_FOLDER = "results"
_BESIDE = (".json", ".json.gz", ".csv", ".html")
"""Endings of what belongs to one run."""
_BASELINE_ENDINGS = (".json", ".json.gz")
_GIT_TIMEOUT_S = 5


def default_output(machine_slug: str, question: str) -> Path:
    """The path of a new file `results/<machine>/<date>-<commit>/<question>.json`.

    A second run of the day gets `<question>-2.json`. Whether it can be made isn't looked at.
    """
    from datetime import datetime  # imported late, as below: only some commands need it

    today = datetime.now().astimezone().date().isoformat()
    folder = Path(RESULTS_FOLDER) / machine_slug / f"{today}-{code_version()}"
    number = 1
    while True:
        path = folder / (f"{question}.json" if number == 1 else f"{question}-{number}.json")
        if not any(os.path.exists(path.with_suffix(ending)) for ending in _BESIDE):  # noqa: PTH110  (no error where it can't be seen)
            return path
        number += 1


def selftest_path(machine_slug: str) -> Path:
    """The file of `ipcbench selftest`'s report on this kind of machine, to be published.

    `noise.keep` keeps the noise floor in it.
    """
    return Path(RESULTS_FOLDER) / machine_slug / "selftest.json"


def baseline_path(name: str) -> Path:
    """The file of a named baseline, `results/baselines/NAME.json`; UsageError for a bad name.

    It is `NAME.json.gz` where that is there and the other isn't: somebody packed it.
    """
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) is None:
        raise UsageError(f"baseline name {name!r} can't be a file's; use letters, digits, . _ -")
    plain, packed = (
        Path(RESULTS_FOLDER) / "baselines" / f"{name}{ending}" for ending in _BASELINE_ENDINGS
    )
    return packed if packed.exists() and not plain.exists() else plain


def known_baseline(name: str) -> Path:
    """The file of a saved baseline; raises UsageError, with the saved names, if there is none."""
    path = baseline_path(name)
    if not path.exists():
        known = sorted({_baseline_name(other) for other in path.parent.glob("*.json*")} - {""})
        there = f"there are: {', '.join(known)}" if known else "none was saved here"
        raise UsageError(f"there is no baseline {name!r}; {there} (save one with --save {name})")
    return path


def _baseline_name(path: Path) -> str:
    """The name of the baseline in this file; empty if it is another kind of file."""
    endings = [ending for ending in _BASELINE_ENDINGS if path.name.endswith(ending)]
    return path.name.removesuffix(endings[0]) if endings else ""


def code_version() -> str:
    """The commit of the checkout ipcbench runs from, with a `+` if changed; else its version."""
    import subprocess

    root = Path(__file__).resolve().parent.parent.parent
    if not (root / ".git").exists():
        return f"v{__version__}"
    command = ("git", "-C", str(root), "describe", "--always", "--exclude=*", "--dirty=+")
    try:
        described = subprocess.run(
            command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return f"v{__version__}"
    return described.stdout.strip() or f"v{__version__}"
