"""The lower bounds of pyproject.toml are versions that the unit tests are run with."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TOOLS_ONLY = "dev"
"""The extra of what no test needs."""


def _asked() -> list[Requirement]:
    """All requirements of package and tests, but for those on an extra of our own."""
    extras = PROJECT["project"]["optional-dependencies"]
    lists = [PROJECT["build-system"]["requires"], PROJECT["project"]["dependencies"]]
    lists += [extras[name] for name in extras if name != TOOLS_ONLY]
    asked = [Requirement(text) for texts in lists for text in texts]
    return [one for one in asked if one.name != "ipcbench"]


def _tried() -> dict[str, Version]:
    """The versions in the constraints file, by name."""
    text = (ROOT / "tests/constraints-lowest.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    names = [line.partition("==") for line in lines]
    return {canonicalize_name(name): Version(version) for name, _, version in names}


def test_every_bound_is_the_version_that_was_tried() -> None:
    tried = _tried()
    for one in _asked():
        (bound,) = one.specifier
        assert bound.operator == ">=", one
        assert Version(bound.version) == tried[canonicalize_name(one.name)], one


def test_nothing_is_tried_that_isnt_asked_for() -> None:
    assert _tried().keys() == {canonicalize_name(one.name) for one in _asked()}


@pytest.mark.parametrize(("python", "is_needed"), [("3.11", True), ("3.14", True), ("3.15", False)])
def test_system_v_is_left_out_where_it_has_no_wheel(python: str, is_needed: bool) -> None:
    (one,) = (Requirement(text) for text in PROJECT["project"]["dependencies"] if "sysv" in text)
    assert one.marker is not None
    assert one.marker.evaluate({"python_version": python}) is is_needed
