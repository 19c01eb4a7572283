"""The pyperf program for one case: `python -m ipcbench.measure.worker latency/unix/1k`.

The driver runs it once a launch with `--worker`; by hand it is a plain pyperf program and takes
all of pyperf's options. It is the client of the pair. It loads no pandas, rich or numpy.
"""

import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

import pyperf

from ipcbench import __version__
from ipcbench.case import Case
from ipcbench.errors import (
    EXIT_CASES_FAILED,
    EXIT_INTERNAL,
    Interrupted,
    IpcbenchError,
    UsageError,
    explain,
    is_shortage,
)
from ipcbench.measure.crowd import Crowd
from ipcbench.measure.pair import Pair, refused
from ipcbench.measure.responses import Responses, mean_response_s
from ipcbench.measure.tether import SAMPLES, PhaseNote, Tether
from ipcbench.system import process
from ipcbench.system.cpus import parse_cpus, placement_cpus
from ipcbench.system.signals import ENDING_SIGNALS, accept_signals
from ipcbench.transports.base import Workspace
from ipcbench.transports.registry import get_transport

MODULE = "ipcbench.measure.worker"


def main() -> int:
    """Runs the worker and returns its exit code; a failure is one line on stderr."""
    for ending in ENDING_SIGNALS:
        signal.signal(ending, _interrupt)
    accept_signals()
    runner = pyperf.Runner(program_args=("-m", MODULE), add_cmdline_args=_repeat_arguments)
    _add_arguments(runner.argparser)
    try:
        _measure(runner, runner.parse_args())
    except IpcbenchError as error:
        print(f"{MODULE}: {error}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if is_shortage(error):
            print(f"{MODULE}: {explain(error)}", file=sys.stderr)
            return EXIT_CASES_FAILED
        print(f"{MODULE}: internal error: {type(error).__name__}: {error}", file=sys.stderr)
        return EXIT_INTERNAL
    return 0


class Measurement:
    """The time function that pyperf calls; it starts the pair at the first call and keeps it."""

    def __init__(self, case: Case, args: Any, resources: ExitStack) -> None:
        self._case = case
        self._args = args
        self._resources = resources
        self._pair: Pair | Crowd | None = None
        self._note: PhaseNote
        self._messages = 0
        self._batches = 0
        self._responses = Responses()

    def time(self, messages: int) -> float:
        """Waits for a turn and times a batch of this many messages, in seconds."""
        if self._pair is None:
            self._pair = self._started()
        else:
            self._pair.wait_for_turn()
        self._messages = messages
        self._batches += 1
        if isinstance(self._pair, Crowd):
            return self._of_crowd(self._pair, messages)
        elapsed = self._pair.run(messages)
        if self._case.arrivals is not None:
            if self._batches > self._args.warmups:
                self._responses.add(self._pair.last_batch, self._pair.delivered_count)
            return mean_response_s(self._pair.last_batch) * messages
        if self._args.calibrate_loops:
            # The batch is to be that much shorter.
            return elapsed + messages * self._case.rhythm.gap_s
        # Of a window each message takes as long as the whole of it (Little's law).
        return elapsed * self._case.flow.window

    def finish(self) -> dict[str, int | float | str]:
        """Times single round trips, runs the launch's last check, and returns the pair's facts."""
        if self._pair is None:
            return {}
        if isinstance(self._pair, Crowd):
            return self._finish_crowd(self._pair)
        args = self._args
        if args.samples and args.directory and self._case.definition.samples:
            wanted = max(args.samples, self._case.flow.fewest_messages)
            samples_ns = self._pair.sample(min(wanted, self._messages))
            (args.directory / SAMPLES).write_bytes(samples_ns.tobytes())
        self._pair.check()
        self._note.write("save of its values")
        if self._case.arrivals is None:
            return self._pair.facts()
        if args.samples and args.directory:
            for name, samples_ns in self._responses.samples_ns().items():
                (args.directory / name).write_bytes(samples_ns.tobytes())
        return self._pair.facts() | self._responses.facts()

    def _of_crowd(self, crowd: Crowd, messages: int) -> float:
        """Times a batch of many clients, whose messages each take what the common window tells."""
        if self._args.calibrate_loops:
            return crowd.calibrate(messages)
        is_kept = self._batches > self._args.warmups
        return crowd.run(messages, is_kept=is_kept) * messages

    def _finish_crowd(self, crowd: Crowd) -> dict[str, int | float | str]:
        """Keeps the times of the common windows, runs the last check, and returns the facts."""
        args = self._args
        if args.samples and args.directory and self._case.definition.samples:
            (args.directory / SAMPLES).write_bytes(crowd.samples_ns().tobytes())
        crowd.check()
        self._note.write("save of its values")
        return crowd.facts()

    def _started(self) -> Pair | Crowd:
        args, tether = self._args, self._args.tether
        if tether is not None:
            directory = args.directory
            tether.wait_for_turn()
        else:
            # By hand there is no driver to clean up after this process.
            from ipcbench.system.scratch import scratch

            directory = self._resources.enter_context(scratch()).directory
        cpus = args.cpus or placement_cpus(self._case.placement)
        self._note = PhaseNote(directory)
        workspace, note = Workspace(directory), self._note.write
        if self._case.clients.number > 1:
            return self._resources.enter_context(Crowd(self._case, cpus, workspace, tether, note))
        pair = Pair(self._case, cpus, workspace, tether, note, seed=args.seed)
        return self._resources.enter_context(pair)


def _measure(runner: pyperf.Runner, args: Any) -> None:
    if args.tether is not None:
        process.die_with_parent(args.tether.driver_pid)
        os.umask(0o077)  # a launch's files are for the driver alone, which writes the results
    case = Case.parse(args.case)
    reason = get_transport(case.transport).unavailable()
    if reason is not None:
        raise UsageError(f"{case.transport} can't run here: {reason}")
    reason = refused(case)
    if reason is not None:
        raise UsageError(f"{case.id} can't be measured: {reason}")
    if args.worker:
        placement_cpus(case.placement, args.cpus)
    with ExitStack() as resources:
        measurement = Measurement(case, args, resources)
        bench = runner.bench_time_func(case.id, measurement.time, metadata=_describe(case))
        if bench is None or not args.worker:
            return
        facts = measurement.finish()
        if args.output and facts:
            # pyperf copies the metadata before the first value and writes the file before it
            # returns, so what only the finished pair knows is added to the file afterwards.
            bench.update_metadata(facts)
            bench.dump(args.output, replace=True)


def _describe(case: Case) -> dict[str, int | str]:
    transport = get_transport(case.transport)
    package: dict[str, int | str] = {}
    if transport.origin is not None:
        package["transport_package"] = str(transport.origin)
    # Only a free-threaded build can do without the lock, and an extension may bring it back there.
    gil: dict[str, int | str] = {}
    if "free-threading" in sys.version:
        gil["python_gil"] = "on" if getattr(sys, "_is_gil_enabled", lambda: True)() else "off"
    return (
        package
        | gil
        | {
            "ipcbench_version": __version__,
            "role": transport.role,
            "workload": case.workload,
            "transport": case.transport,
            "message_size_bytes": case.message_size_bytes,
            "loop": case.loop,
            "placement": case.placement,
        }
    )


def _add_arguments(parser: Any) -> None:
    parser.description = "Measures one ipcbench case; a plain pyperf program."
    parser.add_argument("case", help="what to measure, for example latency/unix/1k")
    parser.add_argument(
        "--cpus",
        type=parse_cpus,
        metavar="C,S",
        help="CPUs of the client and the server (default: chosen for the case's placement)",
    )
    parser.add_argument("--directory", type=Path, help="private directory; for the driver")
    parser.add_argument(
        "--samples",
        type=int,
        default=0,
        metavar="N",
        help="single round trips to time, at most one batch of them; for the driver",
    )
    parser.add_argument("--seed", default="", help="seed of the times at which an open loop sends")
    parser.add_argument("--tether", type=Tether.parse, help="what ties to the driver; for it alone")


def _repeat_arguments(command: list[str], args: Any) -> None:
    """Passes ipcbench's own arguments on to the workers that pyperf's manager starts."""
    command.append(args.case)
    if args.cpus:
        command += ["--cpus", ",".join(map(str, args.cpus))]
    if args.seed:
        command += ["--seed", args.seed]


def _interrupt(signum: int, _frame: FrameType | None) -> None:
    raise Interrupted(f"the worker was ended by {signal.Signals(signum).name}")


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # all is closed: taking the interpreter apart would only cost each launch time
