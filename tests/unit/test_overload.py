"""Facts of `ipcbench full`: folded from launches, compared with the kernel's rules, and told."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ipcbench.analysis.overload import (
    SEMVMX,
    ends_of,
    expected,
    expected_to_wake,
    fill_of,
    folded,
    pipe_messages,
)
from ipcbench.errors import ResultsError
from ipcbench.reporters.model import Grid, Line
from ipcbench.reporters.tables.overload import csv_text, overload_parts
from ipcbench.results.overload import Ends, Fill, Overload, document, load

ROOT = Path(__file__).parent.parent.parent
SEEN: dict[str, Any] = {
    "message_size_bytes": 64,
    "when_full": "blocks",
    "refused_with": None,
    "nonblocking_errno": "EAGAIN",
    "messages_count": 278,
    "unread_bytes": 17_792,
    "memory_bytes": 213_504,
    "memory_source": "SO_MEMINFO",
    "limit_name": "SO_SNDBUF",
    "limit": 212_992,
    "woken_after_messages_count": 209,
    "woken_step_messages_count": 1,
}
DEAD: dict[str, Any] = {
    "connections_count": 129,
    "next_connection": "EAGAIN",
    "connect_retry_s": None,
    "unconnected_messages_count": None,
    "blocked_notice": "ECONNRESET",
    "blocked_notice_s": 0.001,
    "blocked_sigpipe": False,
    "idle_notice": "EPIPE",
    "idle_sends_count": 0,
    "idle_sigpipe": True,
}
UNIX = ("unix-stream", "socket-file")


def _fill(**changed: object) -> Fill:
    return fill_of("unix", UNIX, [SEEN | changed] * 3)


def _found(*fills: Fill) -> Overload:
    ends = tuple(ends_of(name, [DEAD] * 3) for name in dict.fromkeys(f.transport for f in fills))
    return Overload("Linux 6.18", 3, (64,), 300_000, 2**28, fills, ends)


def _lines(found: Overload) -> list[str]:
    return [part.text for part in overload_parts(found) if isinstance(part, Line)]


def test_what_all_launches_share_is_told_once_and_varies_in_nothing() -> None:
    fill = _fill()
    assert (fill.messages_count, fill.launches_count, fill.varies) == (278, 3, {})


def test_a_number_that_differs_is_its_median_with_its_least_and_most() -> None:
    facts, varies = folded([{"messages_count": count} for count in (5, 9, 6)])
    assert facts == {"messages_count": 6}
    assert varies == {"messages_count": (5, 9)}


def test_a_word_that_differs_is_the_most_frequent_one_and_flagged() -> None:
    facts, varies = folded([{"when_full": word} for word in ("blocks", "drops", "blocks")])
    assert facts == {"when_full": "blocks"}
    assert varies == {"when_full": (1, 2)}


def test_a_number_that_only_some_launches_have_is_flagged() -> None:
    facts, varies = folded([{"woken_after_messages_count": count} for count in (None, 7, 7)])
    assert facts == {"woken_after_messages_count": 7}
    assert varies == {"woken_after_messages_count": (7, 7)}


def test_a_time_is_a_median_and_never_flagged() -> None:
    facts, varies = folded([{"blocked_notice_s": time} for time in (0.003, None, 0.001)])
    assert facts == {"blocked_notice_s": 0.002}
    assert varies == {}


@pytest.mark.parametrize(
    ("capacity", "size", "messages"),
    [
        (65_536, 1, 65_536),
        (65_536, 64, 1024),
        (65_536, 4096, 16),
        (65_536, 65_536, 1),
        (4096, 1, 4096),
        (65_536, 1000, 64),  # four a page; a fifth isn't split
        (65_536, 3000, 16),
        (65_536, 5000, 10),  # the odd 904 bytes go to the last page while they fit there
        (65_536, 100_000, 0),
    ],
)
def test_a_pipe_holds_what_its_slots_do(capacity: int, size: int, messages: int) -> None:
    assert pipe_messages(capacity, size) == messages


@pytest.mark.parametrize(
    ("changed", "mediums", "due"),
    [
        ({}, UNIX, 278),
        ({"memory_bytes": 213_505}, UNIX, None),  # not all are charged alike
        ({"limit_name": "SO_RCVBUF", "memory_bytes": 768 * 277}, ("udp4",), None),
        (
            {"limit_name": "SO_RCVBUF", "memory_bytes": 212_992, "messages_count": 256},
            ("udp4",),
            256,
        ),
        ({"limit_name": "mq_maxmsg", "limit": 10}, ("posix-mq",), 10),
        ({"limit_name": "msg_qbytes", "limit": 16_384}, ("sysv-msg",), 256),
        ({"limit_name": "slots", "limit": 32}, ("memfd", "eventfd"), 32),
        ({"limit_name": "F_GETPIPE_SZ", "limit": 65_536}, ("pipe",), 1024),
        ({"limit_name": "F_GETPIPE_SZ", "limit": 65_536}, ("pipe", "posix-sem"), None),
        ({"limit_name": None, "limit": None, "when_full": "refuses"}, ("sysv-sem",), SEMVMX),
        ({"when_full": "not-full"}, UNIX, None),
        ({}, ("tcp4", "nodelay"), None),
    ],
)
def test_the_rule_of_each_limit(
    changed: dict[str, object], mediums: tuple[str, ...], due: int | None
) -> None:
    fill = fill_of("any", mediums, [SEEN | changed])
    assert expected(fill, mediums) == due
    assert fill.expected_messages_count == due


@pytest.mark.parametrize(
    ("changed", "mediums", "due"),
    [
        ({}, UNIX, 209),  # 69 of 768 bytes are a quarter of the buffer, and a 70th is more
        ({"memory_bytes": 213_505}, UNIX, None),
        ({"limit_name": "mq_maxmsg", "limit": 10}, ("posix-mq",), 1),
        ({"limit_name": "slots", "limit": 32}, ("memfd", "eventfd"), 8),
        ({"limit_name": "slots", "limit": 7}, ("memfd", "eventfd"), None),
        ({"limit_name": "F_GETPIPE_SZ", "limit": 65_536}, ("fifo",), 64),
        ({"when_full": "drops"}, UNIX, None),
        ({}, ("tcp4", "nodelay"), None),
    ],
)
def test_the_rule_of_each_wake_up(
    changed: dict[str, object], mediums: tuple[str, ...], due: int | None
) -> None:
    fill = fill_of("any", mediums, [SEEN | changed])
    assert expected_to_wake(fill, mediums) == due


def test_the_document_is_read_back_as_it_was(tmp_path: Path) -> None:
    found = _found(replace(_fill(), varies={"messages_count": (277, 278)}))
    path = tmp_path / "full.json"
    path.write_text(document(found))
    assert load(path) == found


def test_a_key_of_a_later_version_is_passed_over(tmp_path: Path) -> None:
    found = _found(_fill())
    whole = json.loads(document(found))
    whole["fills"][0]["colour"] = "blue"
    path = tmp_path / "full.json"
    path.write_text(json.dumps(whole))
    assert load(path) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "is no document of ipcbench full"),
        ('{"kind": "ipcbench full", "format": 2}', "has format 2, and 1 is known here"),
        ('{"kind": "ipcbench full", "format": 1}', "lacks what a document of ipcbench full has"),
    ],
)
def test_another_file_is_refused_in_a_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "full.json"
    path.write_text(text)
    with pytest.raises(ResultsError, match=says):
        load(path)


def test_numbers_that_agree_are_told_to() -> None:
    assert _lines(_found(_fill())) == ["every number is the same in each of 3 launches"]


def test_a_number_that_differs_has_a_tilde_and_a_warning() -> None:
    found = _found(fill_of("unix", UNIX, [SEEN, SEEN, SEEN | {"unread_bytes": 17_793}]))
    grid = next(part for part in overload_parts(found) if isinstance(part, Grid))
    assert [cell.text for cell in grid.rows[0].cells] == [
        *("unix", "278", "278", "~17.4 KiB", "208.5 KiB", "blocks", "EAGAIN", "209")
    ]
    assert _lines(found) == [
        "~ not the same in each of 3 launches: unix; least and most are in CSV and JSON"
    ]


def test_what_isnt_by_the_rule_is_told() -> None:
    fill = fill_of("posix-mq", ("posix-mq",), [SEEN | {"limit_name": "mq_maxmsg", "limit": 10}] * 3)
    assert _lines(_found(fill))[-2:] == [
        "posix-mq, 64 B: 278 messages, and 10 by the rule",
        "posix-mq, 64 B: wakes after 209 messages, and after 1 by the rule",
    ]


def test_what_couldnt_be_measured_is_told_with_its_reason() -> None:
    rows = (Fill("posix-mq", 64, "n/a", "no queues"), Fill("unix", 64, "failed", "it hangs"))
    found = replace(_found(_fill()), fills=rows)
    assert _lines(found)[-2:] == [
        "posix-mq, 64 B: n/a: no queues",
        "unix, 64 B: failed: it hangs",
    ]


def test_the_csv_has_a_row_a_size_with_what_the_ends_meet_and_what_varies() -> None:
    other = replace(_fill(), message_size_bytes=1024, varies={"messages_count": (92, 93)})
    first, second = csv.DictReader(io.StringIO(csv_text(_found(_fill(), other))))
    assert first["messages_count"] == "278"
    assert first["idle_sigpipe"] == "yes"
    assert first["connect_retry_s"] == ""
    assert first["varies"] == ""
    assert second["message_size_bytes"] == "1024"
    assert second["varies"] == "messages_count 92 to 93"


def test_every_column_of_the_csv_is_documented() -> None:
    head, *_ = csv_text(_found(_fill())).splitlines()
    told = (ROOT / "docs" / "full.md").read_text()
    assert [name for name in head.split(",") if f"`{name}`" not in told] == []


def test_the_tables_of_the_page_are_lines_of_the_committed_output() -> None:
    _, marked = (ROOT / "docs" / "full.md").read_text().split("<!-- lines of ")
    name, rest = marked.split(" -->", 1)
    quoted = rest.split("```")[1].strip().splitlines()
    committed = set((ROOT / name).read_text().splitlines())
    assert len(quoted) > 20
    assert [line for line in quoted if line not in committed] == []


def test_the_committed_output_is_made_of_the_committed_facts() -> None:
    committed = ROOT / "results" / "intel-r-xeon-r-processor-2cpu-kvm" / "full.txt"
    texts = [
        part.text
        for part in overload_parts(load(committed.with_suffix(".json")))
        if isinstance(part, Line)
    ]
    assert texts == committed.read_text().splitlines()[-len(texts) :]


def test_ends_without_a_launch_are_told_of_by_their_reason_alone() -> None:
    found = replace(_found(_fill()), ends=(Ends("unix", "n/a", "none"),))
    titles = [part.title for part in overload_parts(found) if isinstance(part, Grid)]
    assert titles == ["Unread messages of 64 B"]
