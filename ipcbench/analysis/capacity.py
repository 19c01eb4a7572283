"""The search for the highest rate at which an objective holds. Pure: no clock, nothing is measured.

A state machine whose state is what was tried: `next_step` says which rate to try next, or what was
found. It climbs by factors of two to the first rate that fails, halves the gap between the highest
rate that held and the lowest that failed, and then measures both ends again. What an end turns out
to be then counts as everything else that was tried: where it isn't what it was, the search goes on.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Literal, NamedTuple

from ipcbench.units import two_digits
from ipcbench.workloads import MOST_PER_S

Outcome = Literal["held", "failed", "unjudged"]
"""Whether an objective held at a rate; `unjudged`: the measurement can't tell, as where the
generator was late itself. The search doesn't go above such a rate, and takes it for no ceiling."""

Why = Literal["held at the highest", "failed at the lowest", "unjudged", "undecided"]
"""Why there is no bracket: the objective held at the highest rate tried, or failed at the lowest;
the next higher rate can't be judged; or what was measured again kept contradicting itself."""

FIRST_SHARE, LOWEST_SHARE, HIGHEST_SHARE = 1 / 8, 1 / 64, 2.0
"""Shares of the peak: of the first rate that is tried, of the lowest and of the highest.

No link answers more for long than its peak; twice of it leaves room for one that was underrated.
"""
_FACTOR = 2.0
"""From one rate of the climb, or of the descent, to the next."""
NARROW = 1.12
"""Ratio of the ends of a bracket that is no longer halved: rates have two significant digits, which
are up to 1.1 times apart."""
_FEWEST_TRIES, _MOST_TRIES = 2, 3
"""Tries of an end of what is returned; the third decides between two that differ."""
MOST_TRIALS = 30
"""Most rates that are tried in all. A system that doesn't contradict itself takes 11."""


class Trial(NamedTuple):
    """A rate that was tried, and the outcome."""

    rate_per_s: float
    outcome: Outcome


class Try(NamedTuple):
    """The next rate to try."""

    rate_per_s: float


class Bracket(NamedTuple):
    """The answer: both ends were tried twice at least."""

    held_per_s: float
    """The highest rate at which the objective held, below `failed_per_s`."""
    failed_per_s: float
    """The lowest rate at which it didn't."""


class NotFound(NamedTuple):
    """No answer, and the reason."""

    why: Why
    held_per_s: float | None
    """The highest rate at which the objective held; None if it did at none."""
    beyond_per_s: float | None
    """The lowest rate at which it didn't, or that couldn't be judged; None if there is none."""


Step = Try | Bracket | NotFound


def next_step(peak_per_s: float, trials: Sequence[Trial]) -> Step:
    """The next rate to try after these trials, or the answer.

    `peak_per_s` is an estimate of the most messages that are answered a second, above 0. The trials
    may be in any order, and of any rates. What held at some tries of a rate and not at others
    counts as what happened more often; as failed, where that is undecided.
    """
    found = _outcomes(trials)
    beyond = min((rate for rate, outcome in found.items() if outcome != "held"), default=None)
    below = (rate for rate in found if beyond is None or rate < beyond)
    held = max(below, default=None)
    wanted = _wanted(peak_per_s, held, beyond)
    if wanted is None:
        again = (rate for rate in (beyond, held) if rate is not None)
        # The failed end first: what overload leaves behind then shows at the other one.
        wanted = next((rate for rate in again if not _is_settled(rate, trials)), None)
    if wanted is None:
        return _answer(held, beyond, found)
    return NotFound("undecided", held, beyond) if len(trials) >= MOST_TRIALS else Try(wanted)


def _wanted(peak_per_s: float, held: float | None, beyond: float | None) -> float | None:
    """A rate that wasn't tried yet and narrows what is known; None if none is needed."""
    lowest = two_digits(peak_per_s * LOWEST_SHARE)
    highest = min(two_digits(peak_per_s * HIGHEST_SHARE), MOST_PER_S)
    if held is None:
        if beyond is None:
            return min(two_digits(peak_per_s * FIRST_SHARE), highest)
        return max(two_digits(beyond / _FACTOR), lowest) if beyond > lowest else None
    if beyond is None:
        return min(two_digits(held * _FACTOR), highest) if held < highest else None
    if beyond / held <= NARROW:
        return None
    middle = two_digits(sqrt(held * beyond))
    return middle if held < middle < beyond else None


def _answer(held: float | None, beyond: float | None, found: Mapping[float, Outcome]) -> Step:
    """The answer from ends that were measured again."""
    if beyond is None:
        return NotFound("held at the highest", held, None)
    if found[beyond] == "unjudged":
        return NotFound("unjudged", held, beyond)
    if held is None:
        return NotFound("failed at the lowest", None, beyond)
    return Bracket(held, beyond)


def _outcomes(trials: Sequence[Trial]) -> dict[float, Outcome]:
    """The outcome at each rate, over all of its tries."""
    tries: dict[float, Counter[Outcome]] = {}
    for trial in trials:
        tries.setdefault(trial.rate_per_s, Counter())[trial.outcome] += 1
    return {rate: _outcome(counts) for rate, counts in tries.items()}


def _outcome(counts: Counter[Outcome]) -> Outcome:
    if counts["held"] > counts["failed"] + counts["unjudged"]:
        return "held"
    return "failed" if counts["failed"] >= max(1, counts["unjudged"]) else "unjudged"


def _is_settled(rate_per_s: float, trials: Sequence[Trial]) -> bool:
    """Whether nothing is to be learnt from another try of a rate."""
    own = [trial.outcome for trial in trials if trial.rate_per_s == rate_per_s]
    return len(own) >= (_FEWEST_TRIES if len(set(own)) == 1 else _MOST_TRIES)
