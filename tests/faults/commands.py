"""Kills and stops whole commands at random moments: `ipcbench load`, of several stages, and `full`.

What `tests.faults.chaos` does to the phases of launches; here a fault comes so long after the first
process of a launch was seen, and meets whatever goes on then.
"""

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ipcbench.system import process
from tests.command import environment
from tests.faults.processes import descendants, left, signal_each, signal_one
from tests.leaks import MARK, kernel_objects, marked_processes, new_mark

COMMANDS = (
    (
        *("load", "unix", "pipe", "--sizes=64", "--rates=20%,2k", "--arrivals=constant,poisson"),
        *("--rounds=2", "--values=2", "--min-time=20ms", "--timeout=20s", "-o", "run.json"),
    ),
    (
        *("load", "sysv-shm", "--sizes=64", "--rates=1k", "--work=50us", "--slo=p50<20ms"),
        "--budget=15s",
        *("--rounds=2", "--values=2", "--min-time=20ms", "--timeout=20s", "-o", "run.json"),
    ),
    ("full", "unix", "pipe", "sysv-shm", "--sizes=1k", "--launches=3"),
)
"""An open loop with several kinds of arrivals, one with a search, and what happens unread."""
FAULTS = {
    "driver": ("KILL", "TERM", "INT", "HUP", "STOP"),
    "member": ("KILL", "TERM"),
    "all": ("KILL", "STOP"),
}
"""The signals that each victim gets; `member` is a process that measures. What is stopped goes on
after a moment."""
ENDS = ("went on", "interrupted", "ended", "cleaned", "not met")
_LASTS_S = {"load": 3.0, "full": 1.5}
"""Rough duration of a command, from its first launch on."""
_RUN_LIMIT_S = 120.0
_LAST_LINES = ("launch 3 of 3", "saved: run.json")
"""What commands say before they show their tables."""
_PROMPT_S = 10.0
"""Seconds in which a command must end that was asked to, on a machine that may be busy."""
_GONE_LIMIT_S = 10.0
_PAUSE_S = 0.3
_LOOK_S = 0.005


@dataclass(frozen=True, slots=True)
class Fault:
    """A command and what is done to it."""

    number: int
    command: tuple[str, ...]
    victim: str
    signal: str
    delay_s: float
    """Seconds from the first process that measures to the fault."""
    place: float
    """Which of the processes that measure is hit: 0 is the first, 1 the last."""


@dataclass(slots=True)
class Outcome:
    """The result of a fault, and the problems found in it."""

    fault: Fault
    result: str = ""
    exit_code: int | None = None
    problems: list[str] = field(default_factory=list)
    said: str = ""


def plan(count: int, seed: int) -> list[Fault]:
    """Plans `count` faults that cycle through all commands, victims and signals."""
    chance = random.Random(seed)
    kinds = [
        (command, victim, name)
        for command in COMMANDS
        for victim, names in FAULTS.items()
        for name in names
    ]
    planned: list[Fault] = []
    while len(planned) < count:
        chance.shuffle(kinds)
        for command, victim, name in kinds[: count - len(planned)]:
            moment, place = chance.uniform(0, _LASTS_S[command[0]]), chance.random()
            planned.append(Fault(len(planned), command, victim, name, moment, place))
    return planned


def tell(outcome: Outcome) -> None:
    """Prints an outcome in full."""
    print(f"{outcome.fault}\n  {outcome.result}, exit code {outcome.exit_code}")
    print("\n".join(f"  ! {problem}" for problem in outcome.problems))
    print("\n".join(f"  | {line}" for line in outcome.said.splitlines()), flush=True)


def play(fault: Fault) -> Outcome:
    """Runs the command, injects the fault, and checks what comes of it."""
    outcome, mark, before = Outcome(fault), new_mark(), kernel_objects()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    (folder / "tmp").mkdir()
    try:
        of_folder = {"TMPDIR": str(folder / "tmp"), "XDG_RUNTIME_DIR": str(folder), MARK: mark}
        with (folder / "said").open("w+", encoding="utf-8", errors="replace") as said:
            driver = subprocess.Popen(
                [sys.executable, "-m", "ipcbench", *fault.command],
                cwd=folder,
                env=environment(of_folder | {"TERM": "dumb"}),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
            was_hit, took_s = _injected(driver, fault, outcome)
            outcome.exit_code = driver.returncode
            said.seek(0)
            outcome.said = said.read()
        _judge(outcome, was_hit=was_hit, took_s=took_s)
        _judge_rest(outcome, mark, before, folder)
    finally:
        shutil.rmtree(folder)
    return outcome


def _injected(
    driver: "subprocess.Popen[bytes]", fault: Fault, outcome: Outcome
) -> tuple[bool, float]:
    """Injects the fault and waits for the end: whether a process was hit, and for how long."""
    deadline = time.monotonic() + _RUN_LIMIT_S
    while driver.poll() is None and not _members(driver.pid) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    time.sleep(fault.delay_s)
    was_hit = driver.poll() is None and _inject(driver.pid, fault)
    hit_s = time.monotonic()
    try:
        driver.wait(max(1.0, deadline - hit_s))
    except subprocess.TimeoutExpired:
        outcome.problems.append("hang: the command didn't end")
        signal_each(descendants(driver.pid), signal.SIGKILL)
        driver.wait()
    return was_hit, time.monotonic() - hit_s


def _members(driver: int) -> list[int]:
    """The processes of launches: below the driver, without the janitor, its first child."""
    below = process.children(driver)[1:]
    return [one for child in below for one in descendants(child)]


def _inject(driver: int, fault: Fault) -> bool:
    number = signal.Signals[f"SIG{fault.signal}"]
    match fault.victim:
        case "driver":
            pids = [driver]
        case "member":
            members = _members(driver)
            pids = members[int(fault.place * len(members)) :][:1]
        case _:
            pids = descendants(driver)
    was_hit = sum(signal_one(pid, number) for pid in pids) > 0
    if number == signal.SIGSTOP:
        time.sleep(_PAUSE_S)
        signal_each(pids[::-1], signal.SIGCONT)
    return was_hit


def _judge(outcome: Outcome, *, was_hit: bool, took_s: float) -> None:
    """Checks the exit code, the time and what was said."""
    fault, code = outcome.fault, outcome.exit_code
    if "Traceback" in outcome.said or "internal error" in outcome.said:
        outcome.problems.append("traceback")
    goes_on = not was_hit or fault.victim == "member" or fault.signal == "STOP"
    outcome.result = "not met" if not was_hit else "went on"
    if goes_on:
        if code != 0:
            outcome.problems.append(f"exit code {code}: one fault must not fail a command")
        return
    if took_s > _PROMPT_S:
        outcome.problems.append(f"slow: ended {took_s:.1f} s after the fault")
    outcome.result = "interrupted" if code == 130 else "ended"
    # A command that shows its tables has nothing left to interrupt: a signal has its usual effect.
    number = -int(signal.Signals[f"SIG{fault.signal}"])
    is_shown = any(line in outcome.said for line in _LAST_LINES)
    expected = (
        {number, 0} if fault.signal == "KILL" else {130, 0} | ({number} if is_shown else set())
    )
    if code not in expected:
        outcome.problems.append(f"exit code {code}")
    if code == 130 and f"interrupted by SIG{fault.signal}" not in outcome.said:
        outcome.problems.append("no sentence")


def _judge_rest(outcome: Outcome, mark: str, before: set[str], folder: Path) -> None:
    """Checks that nothing is left; if all processes got KILL, `clean` removes that first."""
    deadline = time.monotonic() + _GONE_LIMIT_S
    while processes := marked_processes(mark):
        if time.monotonic() > deadline:
            outcome.problems.append(f"leftover: {', '.join(sorted(processes))}")
            break
        time.sleep(_LOOK_S)
    if outcome.fault.victim == "all" and outcome.fault.signal == "KILL":
        done = subprocess.run(
            [sys.executable, "-m", "ipcbench", "clean"],
            env=environment({"TMPDIR": str(folder / "tmp"), "XDG_RUNTIME_DIR": str(folder)}),
            capture_output=True,
            text=True,
            timeout=_RUN_LIMIT_S,
        )
        if done.returncode != 0:
            outcome.problems.append(f"clean: exit code {done.returncode}: {done.stderr}")
        elif "removed:" in done.stdout:
            outcome.result = "cleaned"
    while found := left(before, folder):
        if time.monotonic() > deadline:
            outcome.problems.append(f"leftover: {', '.join(sorted(found))}")
            break
        time.sleep(_LOOK_S)


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yields a table by command and victim: counts of results, and of faults with problems."""
    yield f"{'command':<10}{'victim':<10}" + "".join(f"{end:>13}" for end in (*ENDS, "bad"))
    for name in dict.fromkeys(command[0] for command in COMMANDS):
        for victim in FAULTS:
            own = [
                one
                for one in outcomes
                if one.fault.command[0] == name and one.fault.victim == victim
            ]
            ends = Counter(one.result for one in own)
            counts = [*(ends[end] for end in ENDS), sum(bool(one.problems) for one in own)]
            yield f"{name:<10}{victim:<10}" + "".join(f"{count or '-':>13}" for count in counts)
