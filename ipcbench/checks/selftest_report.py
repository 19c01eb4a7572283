"""The results of a selftest, and the same as lines of text and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ipcbench.checks import truths_of_fairness
from ipcbench.checks.truths import TOLERANCE, Truth
from ipcbench.checks.truths_of_fairness import Fairness
from ipcbench.system import machine
from ipcbench.units import display_percent, display_time

DELAYS_NS = (500, 1_000, 2_000, 5_000, 20_000, 100_000)
PROVED_DELAYS_NS = (5_000, 20_000, 100_000)
"""Delays that must be measured within TOLERANCE."""
MOST_FALSE = 0.05
_DETECTED = 19 / 20


@dataclass(frozen=True, slots=True)
class Delay:
    """A known delay, and its measured value."""

    known_s: float
    found_s: float
    low_s: float
    high_s: float
    round_trip_ratio: float
    """The delay as a share of the round trip that it was added to."""
    detected_ratio: float
    """The share of tries of 30 s that found the delay."""

    @property
    def error(self) -> float:
        """Relative error of the measured delay."""
        return abs(self.found_s / self.known_s - 1)


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a selftest; times in seconds, shares as ratios."""

    comparisons: int
    false_verdicts: int
    within_run_floor: float
    between_runs_floor: float
    delays: Sequence[Delay]
    loop_s: float
    clock_s: float
    pipe_round_trip_s: float
    took_s: float
    truths: Sequence[Truth] = ()
    """Of what the ends do between messages."""
    fairness: Sequence[Fairness] = ()
    """Of how evenly a server serves its clients."""

    @property
    def false_share(self) -> float:
        """Share of false verdicts among all comparisons of equal things."""
        return self.false_verdicts / self.comparisons

    @property
    def sensitivity(self) -> Delay | None:
        """The smallest slow-down that was found in at least 19 of 20 tries of 30 s."""
        found = (delay for delay in self.delays if delay.detected_ratio >= _DETECTED)
        return min(found, key=lambda delay: delay.known_s, default=None)

    @property
    def proved(self) -> bool:
        """Whether false verdicts and errors of delays are within their limits."""
        return (
            self.false_share <= MOST_FALSE
            and all(
                delay.error <= TOLERANCE
                for delay in self.delays
                if round(delay.known_s * 1e9) in PROVED_DELAYS_NS
            )
            and all(truth.holds for truth in self.truths)
            and all(truth.holds for truth in self.fairness)
        )


def as_json(report: Report, seed: int) -> str:
    """The report as JSON: base units, and the noise floor that `compare` will use."""
    here = machine.this_machine()
    data = asdict(report) | {
        "format": 1,
        "seed": seed,
        "proved": report.proved,
        "false_ratio": report.false_share,
        "noise_floor": {
            "within_run_ratio": report.within_run_floor,
            "between_runs_ratio": report.between_runs_floor,
        },
        "machine": here._asdict(),
    }
    return json.dumps(data, indent=2) + "\n"


def render(report: Report) -> list[str]:
    """The report as lines of text."""
    here = machine.this_machine()
    where = f"{here.cpu_model}, {here.cpu_count} CPUs, {here.virtualisation}"
    equal = (
        f"equal things: {report.false_verdicts} false verdicts in {report.comparisons} comparisons"
        f" ({display_percent(report.false_share)}, at most {display_percent(MOST_FALSE)})"
    )
    loops = display_percent(2 * report.loop_s / report.pipe_round_trip_s)
    floors = (display_percent(report.within_run_floor), display_percent(report.between_runs_floor))
    facts = (
        f"smallest slow-down found in 19 of 20 tries of 30 s: {_sensitivity(report)}",
        f"noise floor: {floors[0]} within a run, {floors[1]} between runs",
        (
            f"the loop: {display_time(report.loop_s)} a message (null); both ends' are {loops}"
            " of a 64 B pipe round trip on one core"
        ),
        f"a clock read: {display_time(report.clock_s)}, once a message in the sampled burst",
        f"took {report.took_s:.0f} s",
    )
    return [
        f"{where}; {here.kernel}; {here.python}",
        "",
        _line(report.false_share <= MOST_FALSE, equal),
        *(
            _line(delay.error <= TOLERANCE, _delay_text(delay))
            for delay in report.delays
            if round(delay.known_s * 1e9) in PROVED_DELAYS_NS
        ),
        *(_line(truth.holds, _truth_text(truth)) for truth in report.truths),
        *(_line(truth.holds, truths_of_fairness.text(truth)) for truth in report.fairness),
        *(f"{'':5} {fact}" for fact in facts),
    ]


def _delay_text(delay: Delay) -> str:
    return (
        f"known delay of {display_time(delay.known_s)}: found {display_time(delay.found_s)}"
        f" ({display_time(max(0.0, delay.low_s))} to {display_time(delay.high_s)}),"
        f" off by {display_percent(delay.error)}"
    )


def _truth_text(truth: Truth) -> str:
    found, low, high = (_signed_time(one) for one in (truth.found_s, truth.low_s, truth.high_s))
    known = display_time(truth.known_s) if truth.known_s else "nothing"
    most = display_time(truth.allowed_s)
    least, off = ("at least ", "less") if truth.is_bound else ("", "off")
    text = f"{truth.what}: {least}{known} is known"
    return f"{text}, found {found} ({low} to {high}), at most {most} {off}"


def _signed_time(seconds: float) -> str:
    """A time for people, which may be below 0 where it is a difference."""
    return display_time(seconds) if seconds >= 0 else f"-{display_time(-seconds)}"


def _sensitivity(report: Report) -> str:
    finest = report.sensitivity
    if finest is None:
        return f"none of up to {display_time(DELAYS_NS[-1] * 1e-9)}"
    return (
        f"{display_time(finest.known_s)} on a round trip of"
        f" {display_time(report.pipe_round_trip_s)}, {display_percent(finest.round_trip_ratio)}"
    )


def _line(holds: bool, text: str) -> str:
    return f"{'ok' if holds else 'FAILS':5} {text}"
