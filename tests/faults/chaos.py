"""Kills, stops and hangs up on runs at seeded random moments of every phase, and judges the end.

`python -m tests.faults.chaos` (or `make chaos`) prints tables of outcomes by phase and victim, then
one of faults in whole commands (`tests.faults.commands`), and one of hostile files. Exit code 1 if
anything hung, was left behind, lost or unexplained.
"""

import argparse
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ipcbench.case import Case
from ipcbench.errors import ResultsError
from ipcbench.results import store
from ipcbench.system import machine, process
from ipcbench.workloads import clients_of
from tests.command import environment
from tests.faults import commands, hostile
from tests.faults.director import Director
from tests.faults.injections import CROWDS, DRAWN, OF_A_LAUNCH, PHASES, VICTIMS, Injection, plan
from tests.faults.processes import descendants, left, signal_each, signal_one
from tests.faults.sentences import forked_names, misnamed
from tests.faults.stage import STAGE, TERMINAL, Announcement
from tests.leaks import MARK, kernel_objects, marked_processes, new_mark

PROMPT_S = 5.0
"""Seconds within which a victim's end must be reported, and a run must end that can't go on."""
LAUNCH_LIMIT_S, CROWD_LIMIT_S = 3, 10
"""The `--timeout` of the runs, which a stopped process takes up; many processes take longer."""
_RUN_LIMIT_S = 60.0
_GONE_LIMIT_S = 5.0
_PAUSE_S = 0.3
"""Seconds that a stopped driver, or a stopped run, stays stopped."""
_ROUNDS = 2
ENDS = ("went on", "tried again", "interrupted", "ended", "cleaned", "not met")
"""The possible results of an injection."""


@dataclass(slots=True)
class Outcome:
    """The result of an injection, and the problems found in it."""

    injection: Injection
    result: str = ""
    exit_code: int | None = None
    problems: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


class Run:
    """One run of the rigged command, hit once."""

    def __init__(self, injection: Injection) -> None:
        self.injection = injection
        self.outcome = Outcome(injection)
        self.hit = False
        """Whether the fault met a living process."""
        self._lines: list[tuple[float, str]] = []
        self._limit_s = (
            CROWD_LIMIT_S if clients_of(injection.workload).number > 1 else LAUNCH_LIMIT_S
        )
        self._named = injection.victim
        """The victim as a sentence names it: `client 3 of 4`."""

    def play(self) -> Outcome:
        """Runs the command to its end and checks the result."""
        mark = new_mark()
        before = kernel_objects()
        folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        (folder / "tmp").mkdir()
        try:
            self._play(mark, folder)
            self._judge_file(folder / "run.json")
            self._judge_rest(mark, before, folder)
        finally:
            shutil.rmtree(folder)
        self.outcome.said = [line for _, line in self._lines]
        return self.outcome

    def _play(self, mark: str, folder: Path) -> None:
        injection = self.injection
        self.director = Director(injection, folder)
        self.director.start()
        self._environment = environment(
            {
                MARK: mark,
                STAGE: str(folder / "stage"),
                "TMPDIR": str(folder / "tmp"),
                "XDG_RUNTIME_DIR": str(folder),
                "TERM": "dumb",
                TERMINAL: "1" if injection.victim == "terminal" else "",
            }
        )
        primary, secondary = pty.openpty()
        command = [sys.executable, "-m", "tests.faults.stage", "driver", "compare"]
        command += [*injection.transports, "--sizes=64", f"--workloads={injection.workload}"]
        command += [f"--loop={injection.loop}", f"--rounds={_ROUNDS}", "--values=2"]
        command += ["--min-time=5ms", f"--timeout={self._limit_s}s", "-o", "run.json"]
        terminal = injection.victim == "terminal"
        with subprocess.Popen(
            command,
            cwd=folder,
            env=self._environment,
            stdin=secondary,
            stdout=secondary if terminal else subprocess.DEVNULL,
            stderr=secondary if terminal else subprocess.PIPE,
            start_new_session=True,
        ) as driver:
            os.close(secondary)
            reader = threading.Thread(
                target=self._read,
                args=(primary if terminal else driver.stderr.fileno(),),  # type: ignore[union-attr]
            )
            reader.start()
            ended_s = self._drive(driver, primary)
            self.outcome.exit_code = driver.returncode
            if not terminal or not self.hit:
                reader.join()
            self.director.stop()
        if not terminal or not self.hit:
            os.close(primary)
        else:
            reader.join()
        self._judge_end(ended_s)

    def _drive(self, driver: "subprocess.Popen[bytes]", primary: int) -> float:
        """Waits for the moment, injects the fault, waits for the end, and returns its time."""
        self._hit_s = float("inf")
        deadline = time.monotonic() + _RUN_LIMIT_S
        while driver.poll() is None and self.director.aimed is None:
            if time.monotonic() > deadline:
                break
            time.sleep(0.0005)
        aimed = self.director.aimed
        if aimed is not None:
            time.sleep(self.injection.delay_s)
            self._hit_s = time.monotonic()
            self.hit = self._inject(driver, aimed, primary)
        try:
            driver.wait(max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._problem("hang: the run didn't end")
            for pid in descendants(driver.pid):
                signal_one(pid, signal.SIGKILL)
            driver.wait()
        return time.monotonic()

    def _inject(self, driver: "subprocess.Popen[bytes]", aimed: Announcement, primary: int) -> bool:
        number = signal.Signals[f"SIG{self.injection.signal}"]
        victim = self.injection.victim
        if victim == "terminal":
            alive = driver.poll() is None
            os.close(primary)
            return alive
        if victim == "worker":
            return signal_one(aimed["pid"], number)
        if victim in ("server", "client"):
            return self._inject_into_launch(aimed, number)
        if victim == "all":
            pids = descendants(driver.pid)
            alive = signal_each(pids, number)
            if number == signal.SIGSTOP:
                time.sleep(_PAUSE_S)
                signal_each(pids[::-1], signal.SIGCONT)
            return alive
        alive = driver.poll() is None and signal_one(driver.pid, number)
        if number == signal.SIGSTOP:
            time.sleep(_PAUSE_S)
            signal_one(driver.pid, signal.SIGCONT)
        return alive

    def _inject_into_launch(self, aimed: Announcement, number: signal.Signals) -> bool:
        """Signals a server of the aimed launch, or a client that isn't its worker."""
        wanted = forked_names(self.injection.workload, Case.parse(aimed["case"]).transport)
        forked = process.children(aimed["pid"])  # in the order of the forks, as are their names
        having = [name for name in wanted if self.injection.victim in name]
        self._named = having[int(self.injection.place * len(having))]
        place = wanted.index(self._named)
        return place < len(forked) and signal_one(forked[place], number)

    def _read(self, descriptor: int) -> None:
        """Records each line of output with its time."""
        rest = b""
        while True:
            try:
                part = os.read(descriptor, 65536)
            except OSError:
                return
            if not part:
                return
            *lines, rest = (rest + part).split(b"\n")
            now = time.monotonic()
            self._lines += [(now, line.decode("utf-8", "replace").rstrip()) for line in lines]

    def _problem(self, what: str) -> None:
        self.outcome.problems.append(what)

    def _judge_end(self, ended_s: float) -> None:
        """Checks exit code, time and messages of the run after the fault."""
        injection, code = self.injection, self.outcome.exit_code
        after_hit = [(at - self._hit_s, line) for at, line in self._lines if at >= self._hit_s]
        if any("Traceback" in line or "internal error" in line for _, line in self._lines):
            self._problem("traceback")
        if not self.hit:
            self.outcome.result = "not met"
            if code != 0:
                self._problem(f"exit code {code} without a fault")
            return
        if injection.victim in OF_A_LAUNCH:
            self._judge_peer(after_hit)
            return
        if injection.signal == "STOP":
            self.outcome.result = "went on"
            if code != 0:
                self._problem(f"exit code {code} after a pause")
            return
        if ended_s - self._hit_s > PROMPT_S:
            self._problem(f"slow: ended {ended_s - self._hit_s:.1f} s after the fault")
        number = -int(signal.Signals[f"SIG{injection.signal}"])
        self.outcome.result = "interrupted" if code == 130 else "ended"
        # The kernel takes a signal for a process that has ended and isn't waited for yet. Behind
        # the last table all is done and saved, which the judgement of the file holds it to.
        done = {0} if injection.phase == "rendering" else set()
        if injection.signal == "KILL":
            expected = {number} | done
        elif injection.victim == "terminal":
            expected = {130, number} | done  # nobody can read any more how it ended
        else:
            # Behind the last table there is nothing left to interrupt.
            expected = {130, number, 0} if done else {130}
            told = any(f"interrupted by SIG{injection.signal}" in line for _, line in after_hit)
            if code == 130 and not told:
                self._problem("no sentence")
        if code not in expected:
            self._problem(f"exit code {code}")

    def _judge_peer(self, after_hit: Sequence[tuple[float, str]]) -> None:
        """Checks that a launch that lost a process is retried, and that a line says why."""
        injection = self.injection
        told = [(at, line) for at, line in after_hit if line.startswith("trying again: ")]
        if self.outcome.exit_code != 0:
            self._problem(f"exit code {self.outcome.exit_code}: one fault must not fail a case")
        if not told:
            self.outcome.result = "went on"  # it had ended its work, or doesn't mind the signal
            return
        self.outcome.result = "tried again"
        at, line = told[0]
        if at > PROMPT_S + (self._limit_s if injection.signal == "STOP" else 0):
            self._problem(f"slow: told {at:.1f} s after the fault")
        aimed = self.director.aimed
        assert aimed is not None
        if problem := misnamed(line, injection, aimed, self._named):
            self._problem(f"unclear: {problem}: {line}")

    def _judge_file(self, path: Path) -> None:
        """Checks that the file has every saved launch, and every planned one after a full run."""
        launches = planned = 0
        if path.exists():
            try:
                results = store.load(path)
                launches = len(list(results.launches()))
                planned = _ROUNDS * len(results.intent.cases) if results.intent else 0
            except ResultsError as error:
                self._problem(f"lost: {error}")
        if launches < self.director.saved:
            self._problem(f"lost: {self.director.saved} launches saved, {launches} in the file")
        if self.outcome.exit_code == 0 and launches != planned:
            self._problem(f"lost: {launches} launches of {planned}")
        temporary = [p.name for p in path.parent.glob(".run.json.*")]
        if temporary and self.injection.signal != "KILL":
            self._problem(f"leftover: {', '.join(temporary)}")

    def _judge_rest(self, mark: str, before: set[str], folder: Path) -> None:
        """Checks that no process, kernel object or directory is left.

        If every process got KILL, `clean` removes what they left first.
        """
        deadline = time.monotonic() + _GONE_LIMIT_S
        while processes := marked_processes(mark):
            if time.monotonic() > deadline:
                self._problem(f"leftover: {', '.join(sorted(processes))}")
                break
            time.sleep(0.01)
        if self.injection.victim == "all" and self.injection.signal == "KILL":
            cleaning = subprocess.run(
                [sys.executable, "-m", "ipcbench", "clean"],
                env=self._environment,
                capture_output=True,
                text=True,
                timeout=60,
            )
            if cleaning.returncode != 0:
                self._problem(f"clean: exit code {cleaning.returncode}: {cleaning.stderr}")
            elif "removed:" in cleaning.stdout:
                self.outcome.result = "cleaned"
        while found := left(before, folder):
            if time.monotonic() > deadline:
                self._problem(f"leftover: {', '.join(sorted(found))}")
                break
            time.sleep(0.01)


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yields a table by phase and victim: counts of injections, and of those with problems."""
    yield f"{'phase':<18}" + "".join(f"{victim:>12}" for victim in VICTIMS)
    for phase in PHASES:
        cells = []
        for victim in VICTIMS:
            here = [
                one
                for one in outcomes
                if one.injection.phase == phase and one.injection.victim == victim
            ]
            bad = sum(bool(one.problems) for one in here)
            cells.append(f"{len(here)}{f' ({bad} bad)' if bad else ''}" if here else "-")
        yield f"{phase:<18}" + "".join(f"{cell:>12}" for cell in cells)
    yield ""
    yield f"{'ends':<10}" + "".join(f"{end:>13}" for end in ENDS)
    ends = Counter((one.injection.victim, one.result) for one in outcomes)
    for victim in VICTIMS:
        yield f"{victim:<10}" + "".join(f"{ends[victim, end] or '-':>13}" for end in ENDS)
    yield ""
    kinds = ("hang", "leftover", "lost", "traceback", "slow", "unclear")
    counts: Mapping[str, int] = Counter(
        problem.partition(":")[0] for one in outcomes for problem in one.problems
    )
    others = sum(count for kind, count in counts.items() if kind not in kinds)
    yield ", ".join(f"{kind} {counts.get(kind, 0)}" for kind in kinds) + f", other {others}"


def play(injections: Sequence[Injection]) -> Iterator[Outcome]:
    """Yields the outcome of each injection, one after the other."""
    for injection in injections:
        yield Run(injection).play()


def main() -> int:
    """Runs all injections, writes the report, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--injections", type=int, default=500, help="faults (default: 500)")
    parser.add_argument("--commands", type=int, default=60, help="faults of whole commands (60)")
    parser.add_argument("--files", type=int, default=10_000, help="hostile files (10,000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only-crowds", action="store_true", help="of many clients alone")
    parser.add_argument("--only", type=int, metavar="N", help="one injection, told in full")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where the report goes, too")
    args = parser.parse_args()
    injections = plan(args.injections, args.seed, CROWDS if args.only_crowds else DRAWN)
    if args.only is not None:
        told = Run(injections[args.only]).play()
        _tell(told)
        return int(bool(told.problems))
    began_s = time.monotonic()
    outcomes = []
    for outcome in play(injections):
        outcomes.append(outcome)
        if outcome.problems:
            _tell(outcome)
        elif len(outcomes) % 25 == 0:
            print(f"{len(outcomes)} of {len(injections)} injections", file=sys.stderr, flush=True)
    injected_s = time.monotonic() - began_s
    ended = []
    for fault in commands.plan(args.commands, args.seed):
        ended.append(commands.play(fault))
        if ended[-1].problems:
            commands.tell(ended[-1])
    commands_s = time.monotonic() - began_s - injected_s
    files = hostile.run(args.files, args.seed)
    files_s = time.monotonic() - began_s - injected_s - commands_s
    text = "\n".join(
        [
            f"{len(outcomes)} injections, seed {args.seed}, {injected_s:.0f} s",
            f"on {_machine()}",
            *_not_looked_for(),
            "",
            *table(outcomes),
            "",
            f"{len(ended)} faults of whole commands, seed {args.seed}, {commands_s:.0f} s",
            "",
            *commands.table(ended),
            "",
            f"{args.files} hostile files, seed {args.seed}, {files_s:.0f} s",
            "",
            hostile.table(files),
        ]
    )
    print(text)
    if args.output is not None:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(text + "\n", encoding="utf-8")
    wrong = any(one.problems for one in outcomes) or any(one.problems for one in ended)
    return int(wrong or any(one.verdict == "wrong" for one in files))


def _not_looked_for() -> Iterator[str]:
    """Yields a line if POSIX queues can't be listed, which takes a mounted /dev/mqueue."""
    if not os.path.ismount("/dev/mqueue"):
        yield "POSIX queues: not looked for, /dev/mqueue isn't mounted"


def _machine() -> str:
    about = machine.this_machine()
    today = datetime.now().astimezone().date().isoformat()
    parts = (about.cpu_model, f"{about.cpu_count} CPUs", about.virtualisation, about.kernel)
    return ", ".join([*parts, about.python, today])


def _tell(outcome: Outcome) -> None:
    """Prints an outcome in full."""
    print(f"{outcome.injection}\n  {outcome.result}, exit code {outcome.exit_code}")
    print("\n".join(f"  ! {problem}" for problem in outcome.problems))
    print("\n".join(f"  | {line}" for line in outcome.said), flush=True)


if __name__ == "__main__":
    sys.exit(main())
