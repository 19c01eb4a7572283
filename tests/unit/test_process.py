"""Signals that wait, and children that are forgotten."""

import inspect
import signal
from collections.abc import Iterable
from types import FrameType
from typing import NoReturn

import pytest

from ipcbench.system.signals import forget_children, signals_held_back


class Ended(Exception):
    """What a handler raises here."""


def blocked() -> set[signal.Signals | int]:
    """The signals that wait now."""
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())


def raise_ended(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Ended


def test_a_childs_signal_that_comes_late_still_finds_a_handler() -> None:
    # With SIG_DFL or SIG_IGN there, CPython reports it as "ignored due to race condition": twice in
    # 5000 changes of the handler, while another process sent SIGCHLD to this one with two threads.
    before = signal.getsignal(signal.SIGCHLD)
    try:
        forget_children()
        assert inspect.isfunction(signal.getsignal(signal.SIGCHLD))
        signal.raise_signal(signal.SIGCHLD)
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_signal_that_was_held_back_comes_at_the_end() -> None:
    done = []

    def do() -> None:
        with signals_held_back():
            signal.raise_signal(signal.SIGTERM)
            done.append("what was begun")

    before = signal.signal(signal.SIGTERM, raise_ended)
    try:
        with pytest.raises(Ended):
            do()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert done == ["what was begun"]
    assert signal.SIGTERM not in blocked()


def test_a_handler_that_raises_as_signals_begin_to_wait_leaves_none_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_mask = signal.pthread_sigmask

    def handling_another(how: int, signals: Iterable[int]) -> set[signal.Signals | int]:
        mask = set_mask(how, signals)
        if how == signal.SIG_BLOCK and signals:
            raise Ended
        return mask

    monkeypatch.setattr(signal, "pthread_sigmask", handling_another)
    with pytest.raises(Ended), signals_held_back():
        pass
    monkeypatch.undo()
    assert signal.SIGTERM not in blocked()
