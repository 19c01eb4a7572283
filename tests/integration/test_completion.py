"""What a shell is offered at TAB."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from ipcbench.transports.parts.options import congestion_controls
from tests.command import ipcbench
from tests.plugged import on_path, package

pytest.importorskip("argcomplete")


def _offered(
    line: str,
    tmp_path: Path,
    wordbreaks: str = "",
    environment: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """What is offered in a shell that breaks words at these characters, too."""
    answer = tmp_path / "answer"
    done = ipcbench(
        extra={
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
            "_ARGCOMPLETE_IFS": "\n",
            "_ARGCOMPLETE_COMP_WORDBREAKS": wordbreaks,
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
            **environment,
        }
    )
    assert done.stderr == ""
    return [word.strip() for word in answer.read_text().splitlines()]


_COMMON = [f"unix:sndbuf=4k:{knob}=" for knob in ("delay", "idle-delay", "turns", "dummy")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ipcbench exp", ["explain"]),
        ("ipcbench compare sysv-s", ["sysv-shm", "sysv-shm-spin", "sysv-sem"]),
        ("ipcbench compare @so", ["@sockets"]),
        ("ipcbench compare unix --workloads latency,t", ["latency,throughput"]),
        ("ipcbench compare --placement same-core,cross-c", ["same-core,cross-core"]),
        ("ipcbench compare --baseline mp-conn", ["mp-connection", "mp-connection-inet"]),
        ("ipcbench compare unix:s", ["unix:sndbuf="]),
        ("ipcbench compare unix:sndbuf=4k:", ["unix:sndbuf=4k:rcvbuf=", *_COMMON]),
        ("ipcbench compare pipe inet:nodelay=", ["inet:nodelay=on", "inet:nodelay=off"]),
        ("ipcbench compare inet:nodelay=of", ["inet:nodelay=off"]),
        ("ipcbench explain pipe-1m:si", ["pipe-1m:size="]),
        ("ipcbench compare nosuch:", []),
        ("ipcbench compare unix:nosuch=", []),
        ("ipcbench compare unix:sndbuf=", []),
        ("ipcbench compare --baseline inet:nod", ["inet:nodelay="]),
        ("ipcbench compare --vary inet:nodelay=on,", ["inet:nodelay=on,off"]),
        ("ipcbench compare --vary unix:snd", ["unix:sndbuf="]),
        ("ipcbench compare --vary sysv-m", ["sysv-msg"]),
        ("ipcbench compare --vary laten", ["latency"]),
        (
            "ipcbench compare --vary latency:gap=1ms:gap-by=",
            ["latency:gap=1ms:gap-by=sleep", "latency:gap=1ms:gap-by=spin"],
        ),
        ("ipcbench compare --workloads latency:gap-", ["latency:gap-by="]),
        (
            "ipcbench compare --workloads throughput,latency:work-",
            ["throughput,latency:work-touches="],
        ),
        ("ipcbench compare --res", ["--resume"]),
        ("ipcbench compare --rou", ["--rounds"]),
    ],
)
def test_a_shell_is_offered_what_fits(line: str, expected: list[str], tmp_path: Path) -> None:
    assert sorted(_offered(line, tmp_path)) == sorted(expected)


def test_a_plugin_is_offered_and_not_imported(tmp_path: Path) -> None:
    package(tmp_path, "far", {"far-away": "isnt_there:Transport"})
    offered = _offered("ipcbench compare far", tmp_path, environment=on_path(tmp_path))
    assert offered == ["far-away"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ipcbench compare unix:s", ["sndbuf="]),
        ("ipcbench compare inet:nodelay=", ["on", "off"]),
        ("ipcbench compare --vary inet:nodelay=on,", ["on,off"]),
    ],
)
def test_a_shell_that_breaks_words_at_colons_is_offered_the_rest_of_the_word(
    line: str, expected: list[str], tmp_path: Path
) -> None:
    """bash has both in COMP_WORDBREAKS, and puts what it is offered behind the last of them."""
    assert sorted(_offered(line, tmp_path, " \t\n\"'><=;|&(:")) == sorted(expected)


def test_the_congestion_controls_of_this_machine_are_offered(tmp_path: Path) -> None:
    known = congestion_controls()
    expected = [f"inet:congestion={name}" for name in known]
    assert sorted(_offered("ipcbench compare inet:congestion=", tmp_path)) == sorted(expected)
