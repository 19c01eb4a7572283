"""How long is a full round trip, by mechanism and message size?"""

import sys

from ipcbench.__main__ import ask
from ipcbench.run.request import Request

USUAL = Request(
    question="latency",
    workloads=("latency",),
    sizes=(64, 1024, 64 * 1024),
    loops=("python", "native"),
    placements=("same-core", "cross-core"),
    rounds=8,
    min_time_s=0.01,
)

if __name__ == "__main__":
    sys.exit(ask(__doc__, USUAL))
