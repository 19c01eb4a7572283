"""What ran out is told in words, and nothing else is taken for it."""

import errno
import os
from pathlib import Path

import pytest

from ipcbench.case import Case
from ipcbench.errors import LaunchFailed, explain, explain_start, explain_with_type, is_shortage
from ipcbench.measure import server
from ipcbench.measure.control import Channel, PeerReported
from ipcbench.measure.pair import Pair
from ipcbench.transports.base import Workspace

NO_PROCESS = "this user may start no more processes"


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def test_try_again_is_a_lack_of_processes_only_where_one_is_started() -> None:
    assert explain_start(_error(errno.EAGAIN)).startswith(NO_PROCESS)
    assert explain_start(_error(errno.ENOMEM)) == explain(_error(errno.ENOMEM))
    assert explain(_error(errno.EAGAIN)) == "[Errno 11] Resource temporarily unavailable"
    assert not is_shortage(_error(errno.EAGAIN))


def test_an_error_has_its_name_in_front_unless_something_ran_out() -> None:
    assert explain_with_type(_error(errno.EMFILE)).startswith("this process may open no more files")
    assert explain_with_type(ValueError("odd")) == "ValueError: odd"


def test_a_pair_whose_server_cant_be_started_says_of_what_there_is_too_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fork() -> int:
        raise _error(errno.EAGAIN)

    monkeypatch.setattr(os, "fork", fork)
    case = Case("latency", "socketpair", 64, "python", "free")
    with (
        pytest.raises(LaunchFailed, match=f"hand-shake: {NO_PROCESS}"),
        Pair(case, None, Workspace(tmp_path)),
    ):
        pass


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (_error(errno.EMFILE), "this process may open no more files; raise its limit"),
        (MemoryError(), "no memory is left"),
        (OSError("message 3 is lost"), "OSError: message 3 is lost"),
    ],
)
def test_a_server_tells_its_client_in_words_what_ran_out(error: Exception, says: str) -> None:
    ours, theirs = Channel.pair()
    try:
        server.report_failure(theirs, error)
        with pytest.raises(PeerReported, match=f"^{says}"):
            ours.receive()
    finally:
        ours.close()
        theirs.close()
