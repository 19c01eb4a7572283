"""Signals that wait, and children that are forgotten."""

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


def test_no_childs_signal_arrives_while_children_are_being_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The kernel would send it at any moment; Python then reports a race on stderr.
    set_handler, waiting = signal.signal, []

    def noting(number: signal.Signals, handler: signal.Handlers) -> object:
        waiting.append(number in blocked())
        return set_handler(number, handler)

    monkeypatch.setattr(signal, "signal", noting)
    forget_children()
    assert waiting == [True]
    assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
    assert signal.SIGCHLD not in blocked()


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
