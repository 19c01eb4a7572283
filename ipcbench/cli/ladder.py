"""The command of the ladder: what each layer on a socket costs, over each family of sockets."""

from argparse import Namespace
from collections.abc import Sequence

from ipcbench.cli import compare, options, requests
from ipcbench.cli.parser import Handler, Parser
from ipcbench.run.request import Request
from ipcbench.rungs import RUNGS

_BUDGET_S = 280.0
"""Leaves time for the tables: the command ends within 5 minutes."""
_SLOW = "http-std-default"
"""A rung of 44 ms a message over TCP, which is a timer's time, whatever the size."""

USUAL_LADDER = Request(
    question="ladder",
    rungs=tuple(rung.name for rung in RUNGS),
    families=("unix", "inet"),
    at_first=tuple(
        name for rung in RUNGS if rung.name == _SLOW for name in rung.transports.values()
    ),
    workloads=("latency",),
    sizes=(64, 1024, 64 * 1024),
    usual_placements=("same-core",),
    preset="ladder",
    budget_s=_BUDGET_S,
)
"""Every rung over AF_UNIX and AF_INET, as many rounds as fit.

Both ends are on one CPU: then a round trip is the work of both ends and two switches, and what a
layer adds is its own work. Across CPUs of a virtual machine it is mostly the wake-up of an idle
one, several times as long as the socket, and wandering. Threads of a library share that CPU with
their end, so that their switches are in the price, and nothing overlaps.
"""


def _ladder(args: Namespace, words: Sequence[str]) -> int:
    settle(args)
    return compare.measured(args, USUAL_LADDER, "ipcbench ladder", ["ipcbench", *words])


def settle(args: Namespace) -> None:
    """Makes --quick its number of rounds, at most as many as fit the budget."""
    from ipcbench.run.plan import PRESETS

    if args.preset == "quick" and args.rounds is None:
        args.rounds = PRESETS["quick"].rounds


def add_ladder_arguments(parser: Parser, usual: Request = USUAL_LADDER) -> None:
    """Adds the options of `ladder`, which its bench script takes as well."""
    what = parser.add_argument_group("what is measured")
    options.add_ladder(what, usual)
    much = parser.add_argument_group("how much is measured")
    options.add_presets(much)
    options.add_effort(
        much,
        usual,
        rounds="as fit",
        values="5",
        min_time="10ms",
        budget=options.OPTIONS["--budget"].typed(usual.budget_s),
    )
    options.add_results(parser.add_argument_group("results"))
    options.add_run(parser)
    requests.set_usual(parser, usual)
    parser.set_defaults(ladder=True, tables=False)
    parser.add_examples(
        ("", "all, in 5 minutes"),
        ("--rungs raw,http-std --sizes 64", "HTTP, over the socket"),
        ("--families unix,inet,inet6 --budget 15m", "IPv6 too"),
    )


LADDER = Handler(add_ladder_arguments, _ladder)
