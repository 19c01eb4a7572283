"""Objections to cases of the open loop, in words. Pure.

Each function gets the launches of one case, and returns a sentence or None.
"""

import pandas as pd

from ipcbench.analysis.load import Judged, judged, lateness_ns
from ipcbench.results.load import ACHIEVED_RATE_KEY, OFFERED_RATE_KEY
from ipcbench.units import display_growth, display_rate, display_time

_NO_PERCENTILES = "so its response times say how long was measured, and are not shown"


def overloaded(group: pd.DataFrame) -> str | None:
    """The system didn't answer what was offered, and the generator isn't the reason."""
    found = judged(group)
    if found is None or found.state != "overloaded" or found.is_generator_late:
        return None
    answered, offered = (
        display_rate(group[key].median()) for key in (ACHIEVED_RATE_KEY, OFFERED_RATE_KEY)
    )
    return f"it answered {answered} of {offered}{_growing(found)}, {_NO_PERCENTILES}"


def not_steady(group: pd.DataFrame) -> str | None:
    """The response time grew while it was measured."""
    found = judged(group)
    if found is None or found.state != "not steady":
        return None
    advice = "try a lower rate, or longer launches (--min-time)"
    return f"it answered nearly all{_growing(found)}, {_NO_PERCENTILES}; {advice}"


def generator_late(group: pd.DataFrame) -> str | None:
    """Messages were sent late, and not since those before were unanswered."""
    found, late_ns = judged(group), lateness_ns(group, 0.99)
    if found is None or late_ns is None or not found.is_generator_late:
        return None
    late = display_time(late_ns * 1e-9)
    return (
        f"one in a hundred of its messages was sent {late} late or later, though those before were"
        " answered: the generator held it up, and not the mechanism; try a lower rate or --loop"
        " native, or end other work"
    )


def _growing(found: Judged) -> str:
    """The growth of the response time in words; empty where it doesn't grow."""
    growth = display_growth(found.slope.value)
    return f", and its {growth}" if growth else ""
