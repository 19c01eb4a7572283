import io
import re
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from ipcbench.analysis import frame, launch_frame
from ipcbench.analysis.frame import Analysis
from ipcbench.case import Case
from ipcbench.cli import console
from ipcbench.events import Began, Ended, Failed, Launched, Launching, TryingAgain, Warned
from ipcbench.progress.lines import PlainProgress
from ipcbench.progress.timeleft import TimeLeft
from ipcbench.reporters import csv_file
from ipcbench.reporters.model import Grid
from ipcbench.reporters.tables import cases
from ipcbench.reporters.tables.columns import interval_text, ratio_text
from ipcbench.reporters.tables.summary import summary
from ipcbench.results import store
from ipcbench.results.store import Results
from tests.replay import replayed

DATA = Path(__file__).parent.parent / "data"
INET, UNIX, PIPE = (Case("latency", name, 64) for name in ("inet", "unix", "pipe"))


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(scope="module")
def stored() -> Results:
    """A real run, recorded once."""
    return store.load(DATA / "run.json")


def text_of(results: Results) -> str:
    return shown_text(frame.analyse(results))


def shown_text(analysis: Analysis, *, overview: bool = False, ladder: bool = False) -> str:
    stream = io.StringIO()
    console.show(summary(analysis, overview=overview, ladder=ladder), stream)
    return stream.getvalue()


def test_the_tables_of_a_stored_run_are_exactly_these(stored: Results) -> None:
    assert text_of(stored) == (DATA / "run.txt").read_text(encoding="utf-8")


def test_the_csv_of_a_stored_run_is_exactly_this(stored: Results) -> None:
    assert csv_file.csv_text(frame.cases(stored)) == (DATA / "run.csv").read_text(encoding="utf-8")


def test_tables_fit_80_columns_and_hold_no_control_codes(stored: Results) -> None:
    text = text_of(stored)
    tables = text.partition("AMD")[0]
    assert max(map(len, tables.splitlines())) <= 80
    assert "\x1b" not in text


def test_the_csv_opens_in_pandas_with_numbers_as_numbers(stored: Results) -> None:
    read = pd.read_csv(io.StringIO(csv_file.csv_text(frame.cases(stored))))
    assert tuple(read.columns) == frame.CASE_COLUMNS
    assert read["time_median_s"].dtype == "float64"
    assert read["launches_count"].dtype.kind in "if"


def test_sizes_that_differ_by_a_byte_have_tables_of_different_names() -> None:
    near = [Case("latency", "inet", size) for size in (16384, 16385)]
    results, _, _ = replayed({case: [[1e-5]] for case in near}, rounds=1)
    grids = [p for p in summary(frame.analyse(results), tables=True) if isinstance(p, Grid)]
    titles = [grid.title for grid in grids]
    assert titles == [
        f"Latency (round trip), {size}, cross-core, python loop" for size in ("16 KiB", "16385 B")
    ]


def test_a_failed_case_shows_its_status_and_its_reason_below() -> None:
    results, _, _ = replayed({INET: [[1e-5]], UNIX: ["[bold]boom[/bold]"]}, rounds=1)
    text = text_of(results)
    assert re.search("^unix +failed *$", text, re.MULTILINE)
    assert "failed: latency/unix/64/python/cross-core: round 1: [bold]boom[/bold]" in text


def _foot(results: Results, *evidence: str | None) -> str:
    """The foot of these results if their launches had this evidence, the last repeated."""
    launches = launch_frame.launches(results)
    said = pd.Series([*evidence, *[evidence[-1]] * (len(launches) - len(evidence))])
    outcomes = said.str.partition(":")[0]
    having = launches.assign(evidence=said, evidence_outcome=outcomes)
    lines = cases.footer(having, frame.cases(results))
    return "\n".join(line.text for line in lines)


def test_the_foot_counts_the_launches_that_the_kernel_witnessed(stored: Results) -> None:
    assert "\nwitnessed by the kernel: 108 of 108 launches\n" in _foot(stored, "proved: pipe")
    doubtful = _foot(stored, "not witnessed: no /proc", "proved: pipe")
    line = "witnessed by the kernel: 107 of 108 launches; the others: not witnessed: no /proc"
    assert f"\n{line}\n" in doubtful
    assert "107 of 108 launches; the others: no record" in _foot(stored, None, "proved: pipe")


def test_the_foot_of_a_run_without_evidence_says_nothing_of_it(stored: Results) -> None:
    assert "witnessed" not in text_of(stored)


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (0.5, "2.00x faster"),
        (1.36, "1.36x slower"),
        (1.0, "1.00x"),
        (1.004, "1.00x"),
        (0.999, "1.00x"),
    ],
)
def test_a_ratio_says_in_words_which_way_it_goes(ratio: float, text: str) -> None:
    assert ratio_text(ratio, "slower") == text
    assert ratio_text(ratio, "~") == f"~ {text}"


def test_the_overview_leaves_the_cells_of_a_matrix_to_its_table() -> None:
    cells = {
        Case("latency", "pipe", 64, "python", f"cpus-{pair}"): [[1e-5]] for pair in ("0-0", "0-1")
    }
    results, _, _ = replayed({**cells, UNIX: [[1e-5]]}, rounds=1)
    text = shown_text(frame.analyse(results), overview=True)
    assert text.count("All mechanisms") == 1
    assert "All mechanisms, cross-core" in text
    assert "Round trip by CPU, pipe, 64 B, python loop" in text


def test_a_ratio_without_a_verdict_is_a_question() -> None:
    assert ratio_text(0.5, None) == "? 2.00x faster"
    assert ratio_text(1.0, None) == "1.00x"


def test_a_ratios_interval_is_told_the_same_way_round() -> None:
    assert interval_text(0.4, 0.5, 0.45) == "2.00-2.50"
    assert interval_text(1.2, 1.5, 1.3) == "1.20-1.50"
    assert interval_text(1.0, 1.0, 1.0) == ""


def _begun(began: Began, now_s: Callable[[], float] = time.monotonic) -> TimeLeft:
    left = TimeLeft(now_s)
    left(began)
    return left


def test_time_left_counts_each_case_by_its_own_launches() -> None:
    left = _begun(Began({INET: 3, UNIX: 3}, 3, 0.5))
    assert left.seconds() == pytest.approx(3.0)
    left(Launched(1, INET, 1.0, [1e-5]))
    assert left.seconds() == pytest.approx(2 * 1.0 + 3 * 1.0)
    left(Launched(1, UNIX, 0.2, [1e-5]))
    assert left.seconds() == pytest.approx(2 * 1.0 + 2 * 0.2)
    left(Failed(2, INET, "it broke"))
    assert left.seconds() == pytest.approx(0.4)


def test_time_left_counts_the_calibrations_that_are_still_to_come() -> None:
    left = _begun(Began({INET: 1, UNIX: 1, PIPE: 1}, 1, 0.5, to_calibrate=3))
    assert left.seconds() == pytest.approx(3 * 0.5 + 3 * 0.5)
    left(Launched(0, INET, 0.2, []))
    assert left.seconds() == pytest.approx(2 * 0.2 + 3 * 0.5)
    left(Failed(0, UNIX, "it broke"))
    assert left.seconds() == pytest.approx(1 * 0.2 + 2 * 0.5)


def test_time_left_ends_at_the_deadline() -> None:
    clock = iter([0.0, 100.0, 101.0, 109.5, 111.0])
    left = _begun(Began({INET: 4}, 4, 1.0, deadline_left_s=10.0), lambda: next(clock))
    assert left.seconds() == pytest.approx(4.0)
    assert left.seconds() == pytest.approx(0.5)
    assert left.seconds() == 0.0


def test_a_run_that_ends_when_it_knows_enough_takes_at_most_so_long() -> None:
    assert _begun(Began({INET: 4}, 4, 1.0)).text() == "4 s left"
    assert _begun(Began({INET: 4}, 4, 1.0, has_target=True)).text() == "at most 4 s left"


def test_without_a_terminal_a_warning_is_told_when_it_is_new() -> None:
    terminal = Console(file=io.StringIO(), width=60)
    progress = PlainProgress(terminal)
    progress(Began({INET: 4}, 4, 0.5))
    progress(Warned(1, {"drift": "it [became] slower"}))
    progress(Warned(2, {"drift": "it became even slower"}))
    progress(Warned(3, {"load": "others [bold]work", "drift": "slower"}))
    progress(Warned(4, {"bimodal": "the table is next"}))
    assert isinstance(terminal.file, io.StringIO)
    assert terminal.file.getvalue().splitlines()[1:] == [
        "warning so far: drift: it [became] slower",
        "warning so far: load: others [bold]work",
    ]


def test_without_a_terminal_progress_is_plain_lines() -> None:
    terminal, long = Console(file=io.StringIO(), width=60), "a long reason " * 10 + "."
    with PlainProgress(terminal) as progress:
        progress(Began({INET: 2, UNIX: 2}, 2, 0.5, to_calibrate=2))
        for round_number in (0, 1, 2):
            for case in (INET, UNIX):
                progress(Launching(round_number, [case]))
                progress(Launched(round_number, case, 0.5, [1e-5] if round_number else []))
        progress(TryingAgain(2, INET, long))
        progress(Failed(2, INET, long))
        progress(Ended("complete"))
    assert isinstance(terminal.file, io.StringIO)
    assert terminal.file.getvalue().splitlines() == [
        "2 cases, 2 rounds",
        "calibrating, 3 s left",
        "round 1 of 2, 2 s left",
        "round 2 of 2, 1 s left",
        f"trying again: {INET.id}: {long}",
        f"failed: {INET.id}: {long}",
    ]
