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
from ipcbench.measure.measurement import Measurement, OfLoad, OfPair
from ipcbench.measure.pair import refused
from ipcbench.measure.tether import Tether
from ipcbench.system import process
from ipcbench.system.cpus import parse_cpus, placement_cpus
from ipcbench.system.signals import ENDING_SIGNALS, accept_signals
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
        measurement = _measurement_of(case)(case, args, resources)
        bench = runner.bench_time_func(case.id, measurement.time, metadata=_describe(case))
        if bench is None or not args.worker:
            return
        facts = measurement.finish()
        if args.output and facts:
            # pyperf copies the metadata before the first value and writes the file before it
            # returns, so what only the finished pair knows is added to the file afterwards.
            bench.update_metadata(facts)
            bench.dump(args.output, replace=True)


def _measurement_of(case: Case) -> type[Measurement]:
    """What a launch of the case does."""
    if case.clients.number > 1:  # what these need is imported for few cases
        if case.clients.are_readers or case.arrivals is not None:
            from ipcbench.measure.hub_measurement import OfReaders, OfSpreadLoad

            return OfReaders if case.arrivals is None else OfSpreadLoad
        from ipcbench.measure.crowd_measurement import OfCrowd

        return OfCrowd
    return OfPair if case.arrivals is None else OfLoad


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
