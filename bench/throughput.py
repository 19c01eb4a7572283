"""How many messages a second, and how many bytes, arrive at the other end of a one-way stream?"""

import sys

from ipcbench.__main__ import ask

if __name__ == "__main__":
    sys.exit(
        ask(
            __doc__,
            "throughput",
            workloads="throughput",
            sizes="64,1k,64k",
            loops="python,native",
            placements="same-core,cross-core",
            rounds=8,
            min_time="10ms",
        )
    )
