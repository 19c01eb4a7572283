from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.errors import ResultsError
from ipcbench.results.files import read_text
from ipcbench.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, µs and [bold]", "plain, µs and [bold]"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb\rc\td\x00", r"a\nb\rc\td\x00"),
        ("\u202eevil\u2066", r"\u202eevil\u2066"),
        ("\u2028\x85\xa0", r"\u2028\x85\xa0"),
        ("\udcff", r"\udcff"),
        ("\x9b", r"\x9b"),
        ("", ""),
    ],
)
def test_what_can_not_be_seen_is_shown_by_its_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_any_text_becomes_one_printable_line_and_stays_it(text: str) -> None:
    once = printable(text)
    assert once.isprintable()
    assert printable(once) == once
    once.encode("utf-8")


def test_a_file_is_read_up_to_its_bound_and_not_beyond(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("µ123")
    assert read_text(tmp_path / "file", 5) == "µ123"
    with pytest.raises(ResultsError, match="file is larger than 4 bytes"):
        read_text(tmp_path / "file", 4)


def test_a_file_that_says_it_is_empty_is_bounded_too() -> None:
    assert Path("/proc/self/status").stat().st_size == 0
    assert read_text(Path("/proc/self/status"), 10**6).startswith("Name:")
    with pytest.raises(ResultsError, match="status is larger than 10 bytes"):
        read_text(Path("/proc/self/status"), 10)


def test_what_can_not_be_read_is_told_by_its_reason(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ResultsError, match="loop can't be read: Too many levels"):
        read_text(tmp_path / "loop", 10)
    with pytest.raises(ResultsError, match="can't be read: File name too long"):
        read_text(tmp_path / ("x" * 300), 10)
