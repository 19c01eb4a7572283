"""How long is a full round trip, by mechanism and message size?"""

import sys

from ipcbench.__main__ import ask

if __name__ == "__main__":
    sys.exit(
        ask(
            __doc__,
            "latency",
            workloads="latency",
            sizes="64,1k,64k",
            loops="python,native",
            placements="same-core,cross-core",
            rounds=8,
            min_time="10ms",
        )
    )
