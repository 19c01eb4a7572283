"""What `transports.base` promises, for every transport that is listed, driven by every loop.

A transport is tested here the moment it is listed in the registry. The rules are those of
`ipcbench.testing`, which other packages try on theirs.
"""

from pathlib import Path

import pytest

from ipcbench.case import LOOPS, Case, Loop
from ipcbench.errors import PeerDied
from ipcbench.measure import peer
from ipcbench.measure.pair import Pair
from ipcbench.system.scratch import outstanding
from ipcbench.testing.check import RULES
from ipcbench.testing.subject import NotTried, Rule, Subject, joined
from ipcbench.transports.base import LEDGER, Traffic, Transport, Workspace
from ipcbench.transports.registry import get_transport
from ipcbench.workloads import WORKLOADS, Workload
from tests.contract.rules import keep
from tests.contract.tuned import TERMS, all_transports


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("transport", all_transports(), ids=lambda transport: transport.name)
def test_every_transport_keeps_every_rule(transport: Transport, rule: Rule, tmp_path: Path) -> None:
    keep(rule, transport, tmp_path)


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("term", TERMS)
def test_knobs_that_are_set_are_in_force_at_both_ends(
    term: str, loop: Loop, workload: Workload, tmp_path: Path
) -> None:
    tuned = get_transport(term)
    asked = dict(tuned.settings)
    if Traffic(64, workload).alternates and "slots" in asked:
        asked["slots"] = "1"  # the ends take turns: one each way
    try:
        with joined(Subject(tuned, tmp_path), 64, workload, loop) as ends:
            for end in ends:
                effective = dict(end.effective())
                assert effective | asked == effective
                assert set(effective) <= {knob.name for knob in tuned.all_knobs}
    except NotTried as reason:
        pytest.skip(str(reason))


def test_a_servers_death_that_is_seen_as_its_pair_is_closed_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    transport = get_transport("sysv-shm")
    if reason := transport.unavailable():
        pytest.skip(reason)
    case = Case("latency", transport.name, 64, "python", "free")

    def seeing_a_death() -> None:
        monkeypatch.undo()
        raise PeerDied("the server was killed by SIGKILL in the timed batch")

    with Pair(case, None, Workspace(tmp_path)) as pair:
        pair.run(10)
        monkeypatch.setattr(peer, "forget_children", seeing_a_death)
    assert not outstanding((tmp_path / LEDGER).read_text(encoding="ascii"))
