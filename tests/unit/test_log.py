import json
import os
import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from ipcbench.case import Case
from ipcbench.cli.destinations import open_events
from ipcbench.errors import UsageError
from ipcbench.events import (
    Began,
    Ended,
    EndReason,
    Event,
    Failed,
    Launched,
    Launching,
    TryingAgain,
    Warned,
)
from ipcbench.progress.log import SCHEMA, EventLog, event_line, event_name

UNIX = Case("latency", "unix", 64)
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "events.md"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            Began({UNIX: 7}, 7, 0.5, to_calibrate=1),
            {
                "to_come": {UNIX.id: 7},
                "rounds": 7,
                "expected_launch_s": 0.5,
                "to_calibrate": 1,
                "deadline_left_s": None,
                "has_target": False,
            },
        ),
        (Launching(1, [UNIX]), {"round_number": 1, "cases": [UNIX.id]}),
        (
            Launched(1, UNIX, 0.4, (1e-5, 2e-5)),
            {"round_number": 1, "case": UNIX.id, "took_s": 0.4, "values_s": [1e-5, 2e-5]},
        ),
        (TryingAgain(1, UNIX, "x"), {"round_number": 1, "case": UNIX.id, "reason": "x"}),
        (Failed(1, UNIX, "a\nb"), {"round_number": 1, "case": UNIX.id, "reason": "a\nb"}),
        (Warned(6, {"drift": "x"}), {"round_number": 6, "warnings": {"drift": "x"}}),
        (Ended("budget"), {"why": "budget"}),
    ],
)
def test_an_event_is_one_line_of_json(event: Event, expected: dict[str, object]) -> None:
    line = event_line(event, "2026-11-24T12:00:00.000+00:00", 1.5)
    assert line.count("\n") == 1
    common = {"schema": SCHEMA, "event": event_name(type(event)), "elapsed_s": 1.5}
    common["time"] = "2026-11-24T12:00:00.000+00:00"
    assert json.loads(line) == common | expected


def test_the_document_names_every_event_and_its_keys() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| .*\|$", DOCUMENT.read_text(), re.MULTILINE)
    documented = {name: re.findall(r"`(\w+)`", keys) for name, keys in rows}
    for kind in get_args(Event):
        assert documented[event_name(kind)] == [field.name for field in fields(kind)]
    assert all(f"`{why}`" in DOCUMENT.read_text() for why in get_args(EndReason))
    assert f"| `schema` | {SCHEMA};" in DOCUMENT.read_text()


def test_a_file_that_exists_is_not_replaced_unasked(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_text("precious")
    with pytest.raises(UsageError, match="--force"):
        open_events(path, force=False)
    with open_events(path, force=True) as log:
        assert log is not None
        log(Ended("complete"))
    assert json.loads(path.read_text())["event"] == "ended"


def test_a_fifo_without_a_reader_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "events")
    with pytest.raises(UsageError, match="nobody reads it"):
        EventLog(tmp_path / "events")


def test_a_reader_that_goes_away_ends_the_log_and_nothing_else(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "events")
    reader = os.open(tmp_path / "events", os.O_RDONLY | os.O_NONBLOCK)
    with EventLog(tmp_path / "events") as log:
        log(Ended("complete"))
        assert json.loads(os.read(reader, 4096))["why"] == "complete"
        os.close(reader)
        log(Ended("complete"))
        assert log.failure == "Broken pipe"
        log(Ended("complete"))


def test_a_reader_that_stops_reading_ends_the_log_and_nothing_else(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "events")
    reader = os.open(tmp_path / "events", os.O_RDONLY | os.O_NONBLOCK)
    with EventLog(tmp_path / "events") as log:
        for _ in range(10_000):
            log(Failed(1, UNIX, "x" * 100))
        assert log.failure == "its reader has stopped reading"
    os.close(reader)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_ends_the_log_and_nothing_else() -> None:
    with EventLog(Path("/dev/full")) as log:
        log(Ended("complete"))
    assert log.failure == "No space left on device"
