"""Runs the tests many times beside busy processes: `make soak`, or `python -m tests.soak`.

A test that is green on a quiet machine and red on a busy one says nothing about either. So the
whole suite runs ten times while four processes at normal priority do nothing but use CPU time. The
first round that is red ends it, and its output is kept.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

OUTPUT = Path("build")
_BUSY = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): sum(range(100_000))"
"""Uses CPU time for as long as this process lives: nothing stays, even if it is killed."""
_END_LIMIT_S = 10


@contextmanager
def busy(count: int) -> Iterator[list[int]]:
    """Runs so many busy processes beside the block, and yields their ids; ends each by its id."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            command = [sys.executable, "-c", _BUSY, str(os.getpid())]
            processes.append(subprocess.Popen(command))
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait(_END_LIMIT_S)


def soak(
    rounds: int, busy_count: int, arguments: Sequence[str], folder: Path = OUTPUT
) -> Path | None:
    """Runs pytest with these arguments up to so many times.

    Returns the file with the output of the first round that is red; None if all are green.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with busy(busy_count):
        for number in range(1, rounds + 1):
            output = folder / f"soak-{number}.txt"
            began_s = time.monotonic()
            with output.open("wb") as file:
                done = subprocess.run(
                    [sys.executable, "-m", "pytest", *arguments],
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
            took = f"{time.monotonic() - began_s:.0f} s"
            if done.returncode != 0:
                print(f"round {number} of {rounds}: red, exit code {done.returncode}, {took}")
                return output
            print(f"round {number} of {rounds}: green, {took}", flush=True)
            output.unlink()
    return None


def main() -> int:
    """Soaks as the command line asks, and returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="how often (default: 10)")
    parser.add_argument("--busy", type=int, default=4, help="busy processes (default: 4)")
    parser.add_argument("arguments", nargs="*", help="for pytest: the tests to run (default: all)")
    given = parser.parse_args()
    red = soak(given.rounds, given.busy, given.arguments)
    if red is None:
        return 0
    print(f"the output is in {red}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
