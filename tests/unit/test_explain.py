"""What `explain` tells of knobs: their values, and those in force on this machine."""

import threading
from pathlib import Path

import pytest

from ipcbench.checks import in_force as reading
from ipcbench.checks.in_force import in_force
from ipcbench.transports.base import Endpoint, Link, Traffic, Transport, Workspace
from ipcbench.transports.catalogue import InForce, explained
from ipcbench.transports.registry import get_transport, transports
from ipcbench.transports.unix import Socketpair
from tests.command import ipcbench

WITH_KNOBS = [transport.name for transport in transports() if transport.knobs]


def _told(name: str, found: InForce | str) -> dict[str, list[str]]:
    """The facts told of a transport, by their labels."""
    facts: dict[str, list[str]] = {}
    for line in list(explained(name, lambda _: None, lambda _: found))[1:]:
        label, _, text = line.strip().partition(":")
        facts.setdefault(label, []).append(text.strip())
    return facts


@pytest.mark.parametrize("name", WITH_KNOBS)
def test_knobs_are_read_back_at_both_ends_of_a_link(name: str, tmp_path: Path) -> None:
    transport = get_transport(name)
    found = in_force(transport, tmp_path)
    if transport.unavailable() is not None:
        assert found == transport.unavailable()
        return
    assert isinstance(found, InForce), found
    known = {knob.name for knob in transport.knobs}
    assert found.client.keys() <= known
    assert found.server.keys() <= known
    for knob, value in transport.settings.items():
        assert found.client.get(knob, value) == value


def test_what_is_asked_for_is_told_beside_what_is_in_force() -> None:
    facts = _told("unix:sndbuf=4k", InForce({"sndbuf": "8k"}, {"sndbuf": "16k"}))
    assert facts["asked"] == ["4k"]
    assert facts["in force here"] == [
        *("8k at the client, 16k at the server", "neither end can read it back"),
    ]


def test_a_knob_is_told_with_its_values_and_its_default() -> None:
    facts = _told("inet", InForce({"nodelay": "on"}, {"nodelay": "on"}))
    assert facts["knob nodelay"] == ["TCP_NODELAY at both ends: Nagle's algorithm off"]
    assert facts["values"].count("on or off") == 2
    assert facts["default"] == ["up to the system"] * 2 + ["on"] + ["up to the system"] * 2
    assert "on at both ends" in facts["in force here"]
    assert facts["knob dummy"]


def test_where_no_link_can_be_made_the_reason_is_told() -> None:
    assert _told("unix", "no sockets")["knobs in force here"] == ["unknown: no sockets"]
    assert "knobs in force here" not in _told("null", "not asked for: it has no own")


def test_a_name_of_its_own_for_knobs_tells_what_it_stands_for() -> None:
    assert _told("pipe-1m", "")["stands for"] == ["pipe:size=1m"]
    assert "stands for" not in _told("pipe:size=64k", "")


class _Waiting(Socketpair):
    """A transport whose server never comes."""

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        made = super().link(traffic, workspace)

        def server() -> Endpoint:
            threading.Event().wait()
            raise AssertionError

        made.server = server  # type: ignore[method-assign]
        return made


class _Broken(Socketpair):
    """A transport whose server can't be opened."""

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        made = super().link(traffic, workspace)

        def server() -> Endpoint:
            raise LookupError("no such thing")

        made.server = server  # type: ignore[method-assign]
        return made


@pytest.mark.parametrize(
    ("transport", "reason"),
    [
        (_Waiting(), "its link wasn't made in 0.2 s"),
        (_Broken(), "LookupError: no such thing"),
    ],
)
def test_a_link_that_hangs_or_fails_is_given_up(
    transport: Transport, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_PATIENCE_S", 0.2)
    assert in_force(transport, tmp_path) == reason


def test_explain_reads_knobs_back_on_this_machine_and_leaves_nothing() -> None:
    done = ipcbench("explain", "unix:sndbuf=4k", "pipe-1m", "null")
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[lines.index("asked: 4k") + 1].startswith("in force here: ")
    assert "stands for: pipe:size=1m" in lines
