"""What a shell is offered at TAB."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.command import ipcbench
from tests.plugged import on_path, package

pytest.importorskip("argcomplete")


def _offered(
    line: str, tmp_path: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> list[str]:
    answer = tmp_path / "answer"
    done = ipcbench(
        extra={
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
            "_ARGCOMPLETE_IFS": "\n",
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
            **environment,
        }
    )
    assert done.stderr == ""
    return [word.strip() for word in answer.read_text().splitlines()]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ipcbench exp", ["explain"]),
        ("ipcbench compare sysv-s", ["sysv-shm", "sysv-shm-spin", "sysv-sem"]),
        ("ipcbench compare @so", ["@sockets"]),
        ("ipcbench compare unix --workloads latency,t", ["latency,throughput"]),
        ("ipcbench compare --placement same-core,cross-c", ["same-core,cross-core"]),
        ("ipcbench compare --baseline mp-conn", ["mp-connection", "mp-connection-inet"]),
        ("ipcbench compare --res", ["--resume"]),
        ("ipcbench compare --rou", ["--rounds"]),
    ],
)
def test_a_shell_is_offered_what_fits(line: str, expected: list[str], tmp_path: Path) -> None:
    assert sorted(_offered(line, tmp_path)) == sorted(expected)


def test_a_plugin_is_offered_and_not_imported(tmp_path: Path) -> None:
    package(tmp_path, "far", {"far-away": "isnt_there:Transport"})
    offered = _offered("ipcbench compare far", tmp_path, on_path(tmp_path))
    assert offered == ["far-away"]
