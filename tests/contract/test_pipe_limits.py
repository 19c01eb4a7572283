"""A pipe that the user may not enlarge: said with the limit, and nothing is left open."""

import errno
import fcntl
from pathlib import Path
from typing import NoReturn

import pytest

from ipcbench.system.process import open_descriptors
from ipcbench.transports.base import Traffic, Unavailable, Workspace
from ipcbench.transports.registry import get_transport


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="the size of a pipe can't be set")
def test_pipes_that_may_not_be_enlarged_are_closed_and_the_limit_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    transport = get_transport("pipe-1m")
    monkeypatch.setattr(fcntl, "fcntl", refuse)
    before = open_descriptors()
    with pytest.raises(Unavailable, match=r"pipe-user-pages-soft"):
        transport.link(Traffic(64, "latency"), Workspace(tmp_path))
    assert open_descriptors() == before
