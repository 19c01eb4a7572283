"""The command of the open loop: response times at given rates, and how far one may go."""

from argparse import Namespace
from collections.abc import Sequence

from ipcbench.cli import compare, options, requests
from ipcbench.cli.parser import Handler, Parser
from ipcbench.run.request import Request
from ipcbench.transports.registry import groups

USUAL_LOAD = Request(
    question="load",
    workloads=("load",),
    rates=("10%", "20%", "40%", "60%", "80%", "90%", "95%"),
    arrivals=("constant",),
    usual_transports=("unix", "inet", "pipe", "sysv-shm"),
    sizes=(1024,),
    usual_placements=("cross-core",),
    preset="load",
    budget_s=170.0,
)
"""Four mechanisms at shares of their own peaks, as many rounds as fit three minutes."""


def _load(args: Namespace, words: Sequence[str]) -> int:
    return compare.measured(args, USUAL_LOAD, "ipcbench load", ["ipcbench", *words])


def _add_load_arguments(parser: Parser) -> None:
    parser.add_argument(
        "transports",
        nargs="*",
        metavar="TRANSPORT",
        help=f"names (unix:sndbuf=4k) or {', '.join(f'@{group}' for group in groups())}"
        f" (default: {', '.join(USUAL_LOAD.usual_transports)})",
    )
    what = parser.add_argument_group("what is measured")
    options.add_load(what, USUAL_LOAD)
    much = parser.add_argument_group("how much is measured")
    options.add_effort(
        much, USUAL_LOAD, rounds="as fit", values="3", min_time="100ms", budget="170s"
    )
    options.add_results(parser.add_argument_group("results"))
    options.add_run(parser)
    requests.set_usual(parser, USUAL_LOAD)
    parser.set_defaults(hgrm=None)
    parser.add_examples(
        ("", "the usual ones, up to their peaks, in 3 minutes"),
        ("unix inet --rates 1k,10k,50k", "at rates of your own"),
        ("unix --arrivals poisson --work 50us", "a server that computes"),
        ("unix pipe --slo 'p99<200us'", "the highest rate that keeps it"),
    )


LOAD = Handler(_add_load_arguments, _load)
