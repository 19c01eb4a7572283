"""Fixtures for all tests: nothing may be left behind, and the hypothesis profile."""

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.command import preloaded
from tests.leaks import MARK, TEMPORARY_PREFIX, new_mark, nothing_left

collect_ignore = ["data"]  # its packages have tests of their own

# Where Python may not write bytecode, each of a thousand processes would compile the whole package.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The tests share two cores with what they measure: a slow example says nothing about the code.
settings.register_profile("ipcbench", deadline=None)
settings.load_profile("ipcbench")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts what takes long first.

    At the end one process would be left with it while the others have nothing to do.
    """
    items.sort(key=lambda item: item.get_closest_marker("early") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests side by side are handed out as `tests.scheduling` says."""
    from tests.scheduling import Scheduling  # where there is xdist alone

    return Scheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def _state_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes what the user's own selftest kept, or waits for another's lock."""
    base = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(base / "state"))
        patch.setenv("XDG_RUNTIME_DIR", str(base))
        yield


@pytest.fixture(scope="session", autouse=True)
def _collected_tests_are_no_garbage() -> Iterator[None]:
    """The collector looks at what a test has made, not at the million objects of all tests.

    A full collection of those takes 0.1 s, and the contract asks for thousands. A pair freezes
    what there is, and lets go of all of it when it is closed: in this process it would undo this.
    """
    gc.collect()
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "freeze", lambda: None)
        patch.setattr(gc, "unfreeze", lambda: None)
        yield
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def _command_line_is_at_hand() -> Iterator[None]:
    """The process that is forked for commands is there before any test, and after all of them."""
    process = preloaded()
    yield
    process.close()


@pytest.fixture(scope="session")
def temporary_folder() -> Iterator[Path]:
    """A temporary folder of this session's own: whatever is in it, its tests have made."""
    folder = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    temporary_folder: Path,
) -> Iterator[None]:
    """No process, segment, semaphore, queue, socket file or directory outlives a test."""
    base = tmp_path_factory.getbasetemp()  # first: it is where pytest always has it
    monkeypatch.setenv("TMPDIR", str(temporary_folder))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary_folder))
    mark = new_mark()
    monkeypatch.setenv(MARK, mark)
    with nothing_left(mark, [temporary_folder, base]):
        yield
