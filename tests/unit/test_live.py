import io

import pytest
from rich.console import Console

from ipcbench.case import Case
from ipcbench.events import Began, Ended, Failed, Launched, Launching, TryingAgain, Warned
from ipcbench.progress.live import LiveView

UNIX, PIPE = Case("latency", "unix", 64), Case("latency", "pipe", 64)
STREAMS = [Case("throughput", "unix", 1024 * 4**power) for power in range(6)]


def _view(width: int = 80, height: int = 30) -> LiveView:
    terminal = Console(file=io.StringIO(), width=width, height=height, force_terminal=True)
    return LiveView(terminal)


def _shown(view: LiveView, width: int = 80) -> list[str]:
    paper = Console(file=io.StringIO(), width=width, height=30)
    paper.print(view.picture())
    assert isinstance(paper.file, io.StringIO)
    return [line.rstrip() for line in paper.file.getvalue().splitlines()]


def _measured(view: LiveView, case: Case, *times_s: float) -> None:
    for number, time_s in enumerate(times_s, 1):
        view(Launching(number, [case]))
        view(Launched(number, case, 0.5, [time_s, time_s, time_s]))


def test_before_the_first_number_there_is_the_way_ahead() -> None:
    view = _view()
    view(Began({UNIX: 7, PIPE: 7}, 7, 0.5, to_calibrate=2))
    view(Launching(0, [UNIX, PIPE]))
    first, second = _shown(view)
    assert first.startswith("calibrating ")
    assert first.endswith("0/16 8 s left")
    assert second == "latency 64 B cross-core: unix, pipe"


def test_medians_stand_in_a_table_and_get_their_interval() -> None:
    view = _view()
    view(Began({UNIX: 7, PIPE: 7}, 7, 0.5))
    _measured(view, UNIX, *(1e-5, 1.1e-5, 1.2e-5, 1.05e-5, 1.02e-5, 1.03e-5))
    _measured(view, PIPE, 2e-5, 2.2e-5)
    lines = _shown(view)
    assert "round 2 of 7" in lines[0]
    assert lines[3:7] == [
        "              latency",
        "          64 B python",
        "so far     cross-core",
        "unix    10.4 µs ±7.6%",
    ]
    assert lines[7] == "pipe          21.0 µs"


def test_each_interpreter_has_a_column_with_its_label() -> None:
    view = _view()
    base, head = (UNIX._replace(interpreter=label) for label in ("base", "head"))
    view(Began({base: 7, head: 7}, 7, 0.5))
    _measured(view, base, 1e-5)
    _measured(view, head, 2e-5)
    lines = _shown(view)
    assert lines[3:8] == [
        "            latency      latency",
        "        64 B python  64 B python",
        "         cross-core   cross-core",
        "so far         base         head",
        "unix        10.0 µs      20.0 µs",
    ]


def test_what_spreads_is_told_while_there_is_time_to_do_something() -> None:
    view = _view()
    view(Began({UNIX: 7}, 7, 0.5))
    _measured(view, UNIX, 1e-5)
    view(Warned(1, {"load": "others [bold]work", "drift": "it became slower"}))
    assert _shown(view)[-3:] == ["", "load: others [bold]work", "drift: it became slower"]
    view(Warned(2, {}))
    assert _shown(view)[-1].startswith("unix ")


def test_of_many_warnings_the_first_are_shown_each_in_one_line() -> None:
    view = _view(40)
    view(Began({UNIX: 7}, 7, 0.5))
    _measured(view, UNIX, 1e-5)
    view(Warned(1, {f"flag-{number}": "long " * 20 for number in range(7)}))
    *_, last, more = _shown(view, 40)
    assert (last, more) == ("flag-3: long long long long long long l…", "and 3 more")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    view = _view(width)
    view(Began(dict.fromkeys([UNIX, PIPE, *STREAMS], 7), 7, 0.5, has_target=True))
    for case in STREAMS:
        _measured(view, case, *(1e-5, 2e-5) * 3)
    view(Warned(6, {"unstable": "half of its launches spread over 67%; " * 5}))
    *lines, warning = _shown(view, width)
    assert lines == _shown(view, 200)[:-1], "something was cut or folded"
    assert max(map(len, [*lines, warning])) <= width
    assert any("1 MiB" in line for line in lines), "what is being measured isn't shown"


def test_a_low_terminal_shows_as_many_rows_as_it_has_room_for() -> None:
    view = _view(height=12)
    cases = [Case("latency", f"name-{number}", 64) for number in range(9)]
    view(Began(dict.fromkeys(cases, 7), 7, 0.5))
    _measured(view, cases[0], 1e-5)
    lines = _shown(view)
    assert len(lines) <= 12
    assert lines[-1] == "and 4 more"
    view(Warned(1, dict.fromkeys("abcdefg", "something")))
    lines = _shown(view)
    assert len(lines) <= 12
    assert lines[-5:] == ["and 8 more", "", "a: something", "b: something", "and 5 more"]


def test_what_goes_wrong_stays_in_the_terminal_and_the_case_leaves_the_table() -> None:
    view = _view()
    with view:
        view(Began({UNIX: 7, PIPE: 7}, 7, 0.5))
        _measured(view, UNIX, 1e-5)
        view(TryingAgain(1, PIPE, "it [bold]broke"))
        view(Failed(1, PIPE, "it broke (twice)"))
        view(Launching(2, [UNIX]))
        assert not any(line.startswith("pipe") for line in _shown(view))
        view(Ended("complete"))
    assert isinstance(view._console.file, io.StringIO)
    text = view._console.file.getvalue()
    assert f"trying again: {PIPE.id}: it [bold]broke" in text
    assert f"failed: {PIPE.id}: it broke (twice)" in text


def test_the_bar_counts_what_is_left_of_this_run() -> None:
    view = _view()
    view(Began({UNIX: 3, PIPE: 3}, 3, 0.5, to_calibrate=2))
    view(Failed(0, PIPE, "it broke (twice)"))
    view(Launching(0, [UNIX]))
    assert "0/4" in _shown(view)[0]
    _measured(view, UNIX, 1e-5)
    assert "1/4" in _shown(view)[0]
    view(Failed(2, UNIX, "it broke (twice)"))
    assert "1/2" in _shown(view)[0]
    view(Began({UNIX: 5}, 5, 0.5, to_calibrate=0))
    view(Launching(1, [UNIX]))
    assert "0/5" in _shown(view)[0]
