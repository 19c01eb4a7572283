"""How many messages a second, and how many bytes, arrive at the other end of a one-way stream?"""

import sys

from ipcbench.__main__ import ask
from ipcbench.run.request import Request

USUAL = Request(
    question="throughput",
    workloads=("throughput",),
    sizes=(64, 1024, 64 * 1024),
    loops=("python", "native"),
    placements=("same-core", "cross-core"),
    rounds=8,
    min_time_s=0.01,
)

if __name__ == "__main__":
    sys.exit(ask(__doc__, USUAL))
