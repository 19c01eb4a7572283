"""Plug-ins that don't do what they say: each gets its sentence, and nothing is left behind."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from ipcbench.system.scratch import OWNER
from ipcbench.transports.base import LEDGER
from tests.command import QUICK, ipcbench
from tests.leaks import LEFT_ON_PURPOSE
from tests.plugged import on_path, package

pytestmark = pytest.mark.early

AT_WORK = "(timed batch|payload check)"
"""The phases of a seventh message: a slow machine calibrates with fewer before the check."""
LIARS = {
    "drops": ("Drops", "round-trips", r"it hangs, and was killed", r"took longer than 3 s"),
    "doubles": (
        *("Doubles", "round-trips", r"round trip \d+ of 20 brought back another message"),
        r"came back changed|took longer than 3 s \(--timeout\) in the timed batch",
    ),
    "reorders": (
        *("Reorders", "stream", r"of a stream's messages they came in another order"),
        r"\d+ of 32 messages reached the server changed",
    ),
    "corrupts": (
        *("Corrupts", "round-trips", r"round trip 7 of 20 brought back another message"),
        r"(message \d+ of the check|last message) (reached the server|came back) changed",
    ),
    "hangs-in-send": (
        *("HangsInSend", "round-trips", r"it hangs, and was killed"),
        r"took longer than 3 s \(--timeout\) in the timed batch",
    ),
    "hangs-in-receive": (
        *("HangsInReceive", "round-trips", r"it hangs, and was killed"),
        r"took longer than 3 s \(--timeout\) in the timed batch",
    ),
    "hangs-in-link": (
        *("HangsInLink", "link", r"it hangs, and was killed"),
        r"took longer than 3 s \(--timeout\) in the set-up",
    ),
    "exits": (
        *("Exits", "round-trips", r"it ends the process that uses it, which ended with code 7"),
        rf"the worker ended with code 7 in the {AT_WORK}",
    ),
    "aborts": (
        *(
            "Aborts",
            "round-trips",
            r"it ends the process that uses it, which was killed by SIGABRT",
        ),
        rf"the worker was killed by SIGABRT in the {AT_WORK}",
    ),
    "segfaults": (
        *(
            "Segfaults",
            "round-trips",
            r"ends the process that uses it, which was killed by SIGSEGV",
        ),
        rf"the worker was killed by SIGSEGV in the {AT_WORK}",
    ),
    "times-itself": (
        *("TimesItself", "clock", r"the timed loop says 0\.0+ s of a batch that took 0\.\d+ s"),
        r"the timed loop says 0\.0+ s of a batch that took 0\.\d+ s",
    ),
    "boasts": (
        *("Boasts", "evidence", r"refuted: the claim is posix-shm, posix-sem"),
        r"evidence refuted: the claim is posix-shm, posix-sem",
    ),
}
"""By name: the class, the first rule that it breaks, and what `check` and `compare` say of it."""

ENDING = {
    "hangs-in-send": r"failed: not done after 10 s: it hangs, and was killed",
    "hangs-in-link": r"failed: not done after 10 s: it hangs, and was killed",
    "segfaults": r"failed: it ends the process that uses it, which was killed by SIGSEGV",
}
"""Those that would end or stop a process that uses them, and what `evidence` says of them."""

HARMLESS = {
    "always-ready": (*("AlwaysReady", "ready", r"the server is ready before anything was sent"),),
    "takes-by-looking": (
        *("TakesByLooking", "ready", r"is ready after the client has sent, and isn't a moment"),
    ),
    "leaves": ("Leaves", "link", r"it leaves behind what it didn't note: /dev/shm/liar-"),
    "leaves-a-process": ("LeavesAProcess", "link", r"it leaves processes running: process \d+"),
}
"""Those whose messages are right."""

WAITED_FOR = frozenset(("doubles", "hangs-in-link", "hangs-in-receive", "hangs-in-send"))
"""Those that take as long as another one that ends by a time limit, and tell no more."""
ALL = "IPCBENCH_TEST_ALL" in os.environ


def _some(names: Iterable[str]) -> list[str]:
    """The liars of these to try: all only where nobody waits for it, as in `make chaos`."""
    return [name for name in names if ALL or name not in WAITED_FOR]


FAST = ("--patience", "1s", "--no-lock")


@pytest.fixture(scope="module")
def plugged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which the liars are plug-ins."""
    folder = tmp_path_factory.mktemp("plugged")
    told = {name: of[0] for name, of in (LIARS | HARMLESS).items()}
    told |= {"notes": "Notes", "modest": "Modest", "chatters": "Chatters", "unix": "Unix"}
    package(folder, "liars", {name: f"liars:{kind}" for name, kind in told.items()})
    return on_path(folder)


def _said(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", [*_some(LIARS), *HARMLESS])
def test_check_names_the_rule_that_a_liar_breaks(name: str, plugged: dict[str, str]) -> None:
    _, rule, sentence, *_ = (LIARS | HARMLESS)[name]
    done = ipcbench("check", name, "--rule", rule, *FAST, extra=plugged)
    assert done.returncode == 3, done.stdout + done.stderr
    assert re.search(f"{rule} +BROKEN .*{sentence}", _said(done.stdout)), done.stdout
    assert done.stdout.splitlines()[-1] == "1 rule broken, of 1 transport"
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", _some(LIARS))
def test_compare_shows_no_number_of_a_liar(
    name: str, plugged: dict[str, str], tmp_path: Path
) -> None:
    workload = "throughput" if name == "reorders" else "latency"
    done = ipcbench(
        *("compare", name, *QUICK, "--sizes=64", f"--workloads={workload}", "--timeout=3s"),
        *("--no-lock", "-o", "run.json"),
        cwd=tmp_path,
        extra=plugged,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    (line,) = (one for one in done.stdout.splitlines() if one.startswith("failed: "))
    assert re.search(LIARS[name][3], line), line
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ENDING if ALL else ["segfaults"])  # `explain` tries a hang
def test_evidence_survives_a_liar(name: str, plugged: dict[str, str]) -> None:
    done = ipcbench("evidence", name, "modest", extra=plugged)
    assert done.returncode == 3, done.stderr
    assert re.search(ENDING[name], done.stdout), done.stdout
    counts = done.stdout.splitlines()[-1].split(", ")
    assert sorted(counts) == ["failed: 1", "not witnessed: 1"]


def test_explain_survives_a_liar(plugged: dict[str, str]) -> None:
    done = ipcbench("explain", "hangs-in-link", "modest", extra=plugged)
    assert done.returncode == 0, done.stderr
    assert "package:                  liars 1.0" in done.stdout
    assert re.search(r"knobs in force here: +unknown: not done after 10 s", done.stdout)


@pytest.fixture
def liars_objects() -> Iterator[Callable[[], list[Path]]]:
    """Lists what liars have left since; removes it, as only the transport itself could have."""

    def there() -> set[Path]:
        return set(Path("/dev/shm").glob(f"{LEFT_ON_PURPOSE}*"))

    before = there()
    yield lambda: sorted(there() - before)
    for path in there() - before:
        path.unlink()


def test_compare_says_what_a_plugin_left_behind(
    plugged: dict[str, str], tmp_path: Path, liars_objects: Callable[[], list[Path]]
) -> None:
    arguments = ("compare", "leaves", *QUICK, "--sizes=64", "--workloads=latency", "--no-lock")
    done = ipcbench(*arguments, "-o", "run.json", cwd=tmp_path, extra=plugged)
    assert done.returncode == 0, done.stderr
    left = liars_objects()
    assert left
    for path in left:
        assert f"rm {path}" in _said(done.stderr)


@pytest.mark.usefixtures("liars_objects")
def test_clean_removes_what_a_dead_run_of_a_plugin_noted(
    plugged: dict[str, str], tmp_path: Path
) -> None:
    left = Path("/dev/shm/liar-noted-5")
    left.touch()
    dead = tmp_path / "ipcbench-0123456789ab"
    dead.mkdir()
    (dead / OWNER).write_text("1 1")
    (dead / LEDGER).write_text("+ liar-file 5\n")
    done = ipcbench("clean", extra=plugged | {"TMPDIR": str(tmp_path)})
    assert "removed: liar-file 5" in done.stdout
    assert not left.exists()
    assert not dead.exists()


def test_what_isnt_claimed_is_never_proved(plugged: dict[str, str]) -> None:
    done = ipcbench("check", "modest", "--rule", "claim", "--rule", "evidence", extra=plugged)
    assert done.returncode == 0
    assert "evidence not tried the kernel proves its claim not witnessed" in _said(done.stdout)
    assert "not witnessed: the transport makes no claim" in _said(
        ipcbench("evidence", "modest", extra=plugged).stdout
    )


def test_what_a_plugin_prints_doesnt_disturb(plugged: dict[str, str], tmp_path: Path) -> None:
    arguments = ("compare", "chatters", *QUICK, "--sizes=64", "--workloads=latency", "--no-lock")
    done = ipcbench(*arguments, "-o", "run.json", cwd=tmp_path, extra=plugged)
    assert done.returncode == 0, done.stderr
    assert "chatter\n" not in done.stdout + done.stderr


def test_a_built_in_transport_wins_over_a_plugin_of_its_name(plugged: dict[str, str]) -> None:
    listed = _said(ipcbench("list", extra=plugged).stdout)
    assert "transport 'unix' of liars 1.0 is passed over: one of that name is built in" in listed
    assert "package: ipcbench itself" in _said(ipcbench("explain", "unix", extra=plugged).stdout)


BAD = {
    "explodes": ("raise RuntimeError('no\\nluck')", r"RuntimeError: no luck"),
    "leaves-early": ("raise SystemExit(3)", r"can't be loaded: SystemExit: 3"),
    "aborts-early": ("import os; os.abort()", r"which was killed by SIGABRT"),
    "isnt-there": ("", r"AttributeError: module 'isnt_there' has no attribute 'Made'"),
    "a-number": ("Made = 7", r"a_number:Made is int, and no Transport"),
    "misnamed": ("from liars import Drops as Made", r"calls itself 'drops', and its entry point"),
    "unfinished": ("from liars import Unfinished as Made", r"it has no `summary`"),
    "abstract": ("from liars import Abstract as Made", r"can't be loaded: TypeError: Can't"),
}


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment with plug-ins that can't be used, and one that two packages provide."""
    folder = tmp_path_factory.mktemp("bad")
    for name, (source, _) in BAD.items():
        (folder / f"{name.replace('-', '_')}.py").write_text(source + "\n")
    package(folder, "bad", {name: f"{name.replace('-', '_')}:Made" for name in BAD})
    package(folder, "one", {"drops": "liars:Drops"})
    package(folder, "other", {"drops": "liars:Drops"}, "2.0")
    return on_path(folder)


def test_plugins_that_cant_be_used_are_a_line_each_in_the_list(bad: dict[str, str]) -> None:
    done = ipcbench("list", extra=bad)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    listed = _said(done.stdout)
    for name, (_, reason) in BAD.items():
        _, _, told = listed.partition(f"transport '{name}' of bad 1.0 can't be used: ")
        assert re.search(reason, told.partition(" transport ")[0]), done.stdout
    assert "transport 'drops' is provided by one 1.0 and other 2.0; uninstall all but one" in listed


@pytest.mark.parametrize("name", [*BAD, "drops"])
def test_a_run_that_names_one_is_refused_in_one_line(name: str, bad: dict[str, str]) -> None:
    done = ipcbench("compare", name, "unix", *QUICK, "--no-lock", extra=bad)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert re.search(BAD[name][1] if name in BAD else "one 1.0 and other 2.0", line)


def test_a_run_that_names_none_is_not_disturbed(bad: dict[str, str], tmp_path: Path) -> None:
    arguments = ("compare", "pipe", *QUICK, "--sizes=64", "--workloads=latency", "--no-lock")
    done = ipcbench(*arguments, "-o", "run.json", cwd=tmp_path, extra=bad)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("off", [("--no-plugins",), ()])
def test_plugins_can_be_turned_off(off: tuple[str, ...], bad: dict[str, str]) -> None:
    extra = bad | ({} if off else {"IPCBENCH_NO_PLUGINS": "1"})
    assert "bad 1.0" not in ipcbench("list", *off, extra=extra).stdout
    for command in ("explain", "evidence", "compare", "check"):
        done = ipcbench(command, "explodes", *off, extra=extra)
        assert done.returncode == 2, command
        assert re.fullmatch(r"ipcbench: unknown transport 'explodes'; .*\n", done.stderr)
