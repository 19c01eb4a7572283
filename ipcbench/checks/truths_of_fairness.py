"""How evenly a server serves its clients, where that is known beforehand, beside what was measured.

A server that waits for each of its clients in turn gives the first one as much more as it is told
to, on any machine, and so Jain's index of what they get is known by arithmetic.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ipcbench.analysis import frame, launch_frame
from ipcbench.analysis.crowd_flags import UNFAIR
from ipcbench.analysis.crowds import FAIR, JAIN_KEY, MOST_CLIENT_KEY, UsualClient, usual_client
from ipcbench.case import Case
from ipcbench.checks.truths import measured
from ipcbench.measure.common_window import fairness
from ipcbench.results.store import Results
from ipcbench.run.request import Effort
from ipcbench.system.cpus import default_placement
from ipcbench.transports.base import TURNS
from ipcbench.transports.registry import get_transport

CLIENTS = 4
FAVOURS = (1, 3)
"""Messages of the first client in a turn: as many as of each other one, and more."""
_WORKLOAD = f"latency:clients={CLIENTS}:server=epoll"
_TRANSPORT = "unix"
_SIZE_BYTES = 64
_ALLOWED_RATIO = 0.02
"""Most that the index may be off. A window may begin and end within a turn: a client can have a
message more or less than its part, of a hundred or more."""
ROUNDS = 6
"""Most rounds that are needed: an interval takes so many launches, and chance has hardly a part."""
EFFORT = Effort(values=2, warmups=1, min_time_s=0.03, samples=0)


@dataclass(frozen=True, slots=True)
class Fairness:
    """Jain's index of a server's clients that is known beforehand, what was measured, and said."""

    what: str
    known_ratio: float
    found_ratio: float
    low_ratio: float
    high_ratio: float
    allowed_ratio: float
    """The most that both may differ by."""
    known_most_client: int | None
    """The client that gets more than all others; None where all get the same."""
    found_most_client: int | None
    """The one that had most in most launches."""
    is_flagged: bool
    """Whether the case has the flag `unfair`."""

    @property
    def must_be_flagged(self) -> bool:
        """Whether the known index is that of an unfair server."""
        return self.known_ratio < FAIR

    @property
    def holds(self) -> bool:
        """Whether the index is what is known, and the flag raised where it has to be."""
        return (
            abs(self.found_ratio - self.known_ratio) <= self.allowed_ratio
            and self.is_flagged == self.must_be_flagged
            and self.known_most_client in (None, self.found_most_client)
        )


def cases() -> list[Case]:
    """The cases to measure; empty where the transport isn't there."""
    if get_transport(_TRANSPORT).unavailable() is not None:
        return []
    return [case_of(favour) for favour in FAVOURS]


def case_of(favour: int) -> Case:
    """The case whose server takes so many messages of the first client in a turn."""
    name = f"{_TRANSPORT}:{TURNS.name}={favour}"
    return Case(_WORKLOAD, name, _SIZE_BYTES, placement=default_placement())


def truths(results: Results) -> list[Fairness]:
    """What is known of these cases, beside what was measured and flagged."""
    launches = launch_frame.launches(results)
    flagged = {one.case for one in frame.analyse(results).objections if one.flag == UNFAIR}
    found = []
    for favour in FAVOURS:
        case = case_of(favour)
        own = launches[launches["case"] == case.id]
        most = usual_client(own, MOST_CLIENT_KEY)
        found.append(_of(favour, list(own[JAIN_KEY]), most, is_flagged=case.id in flagged))
    return found


def _of(
    favour: int, jains: Sequence[float], most: UsualClient | None, *, is_flagged: bool
) -> Fairness:
    """What is known of a server that favours the first client so, beside these launches' index."""
    shares = fairness((favour, *(1 for _ in range(CLIENTS - 1))))
    found, low, high = measured(jains)
    return Fairness(
        what=f"Jain's index, {CLIENTS} clients{_favoured(favour)}",
        known_ratio=1.0 if shares is None else shares.jain,
        found_ratio=found,
        low_ratio=low,
        high_ratio=high,
        allowed_ratio=_ALLOWED_RATIO,
        known_most_client=1 if favour > 1 else None,
        found_most_client=None if most is None else most.number,
        is_flagged=is_flagged,
    )


def _favoured(favour: int) -> str:
    return " served in turn" if favour == 1 else f", the first served {favour} times as often"


def text(truth: Fairness) -> str:
    """What is known and what was found, for people."""
    if not truth.is_flagged:
        flag = "not flagged"
    elif truth.found_most_client is None:
        flag = f"flagged {UNFAIR}"
    else:
        flag = f"flagged {UNFAIR}: client {truth.found_most_client} had most"
    wanted = "to be" if truth.must_be_flagged else "not to be"
    because = "" if truth.is_flagged == truth.must_be_flagged else f", and is {wanted}"
    return (
        f"{truth.what}: {truth.known_ratio:.3f} is known, found {truth.found_ratio:.3f}"
        f" ({truth.low_ratio:.3f} to {truth.high_ratio:.3f}), at most"
        f" {truth.allowed_ratio:.3f} off; {flag}{because}"
    )
