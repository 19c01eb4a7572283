"""What `transports.base` promises, for every transport that is listed, driven by every loop.

A transport is tested here the moment it is listed in the registry. The rules are those of
`ipcbench.testing`, which other packages try on theirs.
"""

from pathlib import Path

import pytest

from ipcbench.case import Case
from ipcbench.errors import PeerDied
from ipcbench.measure import peer
from ipcbench.measure.pair import Pair
from ipcbench.system.scratch import outstanding
from ipcbench.testing.subject import Rule, Trial
from ipcbench.transports.base import LEDGER, Transport, Workspace
from ipcbench.transports.registry import get_transport, transports
from tests.contract.rules import TRIALS, keep


@pytest.mark.parametrize(("rule", "trial"), TRIALS)
@pytest.mark.parametrize("transport", transports(), ids=lambda transport: transport.name)
def test_every_transport_keeps_every_rule(
    transport: Transport, rule: Rule, trial: Trial, tmp_path: Path
) -> None:
    keep(rule, trial, transport, tmp_path)


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
