"""The table of rungs: a tree in the order of its rows."""

from ipcbench.rungs import FAMILIES, RUNGS


def test_every_rung_follows_the_one_below_it() -> None:
    above: set[str | None] = {None}
    for rung in RUNGS:
        assert rung.below in above, rung.name
        above.add(rung.name)


def test_only_the_socket_itself_has_no_rung_below() -> None:
    assert [rung.name for rung in RUNGS if rung.below is None] == ["raw"]


def test_no_two_rungs_share_a_name_or_a_transport() -> None:
    names = [rung.name for rung in RUNGS]
    assert len(names) == len(set(names))
    transports = [name for rung in RUNGS for name in rung.transports.values()]
    assert len(transports) == len(set(transports))


def test_every_rung_exists_over_unix_and_tcp() -> None:
    for rung in RUNGS:
        assert {"unix", "inet"} <= set(rung.transports) <= set(FAMILIES), rung.name
