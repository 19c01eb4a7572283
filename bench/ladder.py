"""What does each layer that programs put on a socket cost, and what does its family save there?"""

import sys

from ipcbench.__main__ import ask
from ipcbench.run.request import Request
from ipcbench.rungs import RUNGS

USUAL = Request(
    question="ladder",
    rungs=tuple(rung.name for rung in RUNGS),
    families=("unix", "inet"),
    workloads=("latency",),
    sizes=(64,),
    usual_placements=("same-core",),
    preset="ladder",
    budget_s=150.0,
)

if __name__ == "__main__":
    sys.exit(ask(__doc__, USUAL))
