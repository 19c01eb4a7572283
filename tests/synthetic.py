"""Makes a large synthetic run, to measure the size of its page: `python -m tests.synthetic`."""

import random
import sys
import time
from pathlib import Path

from ipcbench.results import store
from ipcbench.results.histogram import HISTOGRAM_KEY, Histogram
from ipcbench.results.store import Metadata, Results
from ipcbench.run.choice import plan
from tests.command import ipcbench
from tests.replay import RUN_METADATA, launch

_SIZES = tuple(2**power for power in range(6, 26, 2))
_TRANSPORTS = ("unix", "inet", "inet6", "pipe", "sysv-shm")
_SAMPLES = 400


def large(cases: int, rounds: int, facts: Metadata | None = None) -> Results:
    """Results of that many cases with that many launches each, times and samples of chance.

    `facts` are metadata of every launch.
    """
    chance = random.Random(3)
    results = Results()
    planned = plan(
        _TRANSPORTS,
        ("latency", "throughput"),
        _SIZES,
        placements=("same-core", "cross-core"),
    )[:cases]
    for round_number in range(1, rounds + 1):
        for number, case in enumerate(planned):
            time_s = 1e-5 * (1 + case.message_size_bytes / 5e3) * chance.lognormvariate(0, 0.2)
            measured = launch(case, [time_s * chance.lognormvariate(0, 0.02) for _ in range(9)])
            sampled = (int(time_s * 1e9 * chance.lognormvariate(0, 0.3)) for _ in range(_SAMPLES))
            elapsed_s = round_number * 60 + number * 0.3
            metadata: Metadata = {"round": round_number, "run_elapsed_s": elapsed_s}
            if case.workload == "latency":
                metadata[HISTOGRAM_KEY] = str(Histogram.of(sampled))
            results.add_launch(case, measured, RUN_METADATA | (facts or {}) | metadata)
    return results


def main(path: Path) -> None:
    """Writes a run of 200 cases of 20 launches, and prints the time and size of its page."""
    store.save(large(200, 20), path)
    page = path.with_suffix(".html")
    began_s = time.monotonic()
    done = ipcbench("report", str(path), "--html", str(page), "--force")
    if done.returncode:
        sys.exit(done.stderr)
    took_s = time.monotonic() - began_s
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; {page}: {page.stat().st_size / 1e6:.1f} MB")
    print(f"report --html took {took_s:.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
