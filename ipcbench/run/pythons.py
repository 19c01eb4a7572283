"""The names of other interpreters to measure with: `[LABEL=]PATH`, as a user types them."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

from ipcbench.case import is_label, parse_label
from ipcbench.errors import UsageError


class Named(NamedTuple):
    """An interpreter as a user names it."""

    label: str
    path: str
    """As it was typed: relative to the folder it is used in, or a name to be found in PATH."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The interpreter of `LABEL=PATH`, or of `PATH` with a label of its own.

        That is the name of its virtual environment's folder, or else of the program. What stands
        before a `=` is a label unless it has a slash. Raises UsageError.
        """
        label, sign, path = text.partition("=")
        if not sign or "/" in label:
            return cls(_own_label(text), text)
        if not path:
            raise UsageError(f"no interpreter is named in {text!r}; write LABEL=/path/bin/python")
        return cls(parse_label(label), path)

    def __str__(self) -> str:
        return f"{self.label}={self.path}"

    @property
    def program(self) -> Path:
        """The program to start. A link isn't followed: that of an environment is what tells it.

        Raises UsageError where there is none.
        """
        program = _located(self.path)
        if program is None:
            raise UsageError(f"{self}: no {self.path} is in PATH; name an interpreter by its path")
        if not program.exists():
            raise UsageError(f"{self}: it isn't there; name an interpreter, /path/bin/python")
        if program.is_dir():
            raise UsageError(f"{self}: it is a folder; name the interpreter in its bin")
        if not os.access(program, os.X_OK):
            raise UsageError(f"{self}: it can't be executed; name an interpreter, /path/bin/python")
        return program


def _located(path: str) -> Path | None:
    """The program of a path, or of a name to be found in PATH; None where PATH has none."""
    found = path if "/" in path else shutil.which(path)
    return None if found is None else Path(found).expanduser().absolute()


def _own_label(path: str) -> str:
    """The label of an interpreter that was given none; UsageError where its names can't be one."""
    program = _located(path) or Path(path)
    environment = program.parent.parent
    label = environment.name if (environment / "pyvenv.cfg").is_file() else program.name
    label = label.lstrip(".")  # `.venv` is the usual name of one
    if not is_label(label):
        raise UsageError(f"{label!r} can't be a label; give one: LABEL={path}")
    return label


def parse_pythons(text: str) -> tuple[str, ...]:
    """The interpreters of a comma-separated list, each as `LABEL=PATH`; raises UsageError.

    Labels that weren't given are made distinct by numbers; one that was given is kept.
    """
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        raise UsageError(
            "the list of interpreters has an empty name; write a/bin/python,b/bin/python"
        )
    named = [Named.parse(item) for item in items]
    given = [one.label for one, item in zip(named, items, strict=True) if str(one) == item]
    for label in given:
        if given.count(label) > 1:
            raise UsageError(f"two interpreters are labelled {label!r}; give each its own")
    taken = set(given)
    found = []
    for one, item in zip(named, items, strict=True):
        if str(one) == item:
            found.append(one)
            continue
        if any(one.path == other.path and other.label not in given for other in found):
            raise UsageError(
                f"{one.path} is named twice; to compare it with itself, give it two labels:"
                f" a={one.path},b={one.path}"
            )
        label, number = one.label, 2
        while label in taken:
            label, number = f"{one.label}-{number}", number + 1
        taken.add(label)
        found.append(one._replace(label=parse_label(label)))
    return tuple(map(str, found))


def labels_of(pythons: Iterable[str]) -> list[str]:
    """The labels of interpreters written as `LABEL=PATH`, in their order."""
    return [Named.parse(text).label for text in pythons]
