"""The command of the ladder: what each layer on a socket costs, over each family of sockets."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ipcbench.cli import compare, options, requests
from ipcbench.cli.messages import Messages
from ipcbench.cli.parser import Handler, Parser
from ipcbench.run.request import Request
from ipcbench.rungs import BARE, BY_NAME, CLIENT, LEAN, RUNGS

_BUDGET_S = 280.0
"""Leaves time for the tables: the command ends within 5 minutes."""
_BUDGET_OF_CROWDS_S = 420.0
"""The same with many clients, for launches enough for a verdict."""
_SERVERS = (
    *("raw", "framed", "epoll", "asyncio-sock", "asyncio-protocol", "asyncio-streams"),
    *("uvloop-protocol", "uvloop-streams", "http-std", "http-uvicorn", "http-aiohttp"),
)
"""Rungs that are usual with many clients: those that servers are built on. A launch of 64 clients
takes 2 seconds, so that all rungs would have too few of them for a verdict."""
_BESIDE = {"http-uvicorn": f"http-uvicorn:{CLIENT}={BARE}:loop=asyncio"}
"""By rung, one that stands beside it with many clients: the same server on the other loop."""
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
    usual = settle(args)
    left_out = [rung.name for rung in RUNGS if rung.name not in _SERVERS]
    if args.concurrency and args.rungs is usual.rungs and args.resume is None:
        Messages(quiet=args.quiet).note(f"left out, --rungs names them: {', '.join(left_out)}")
    return compare.measured(args, usual, "ipcbench ladder", ["ipcbench", *words])


def settle(args: Namespace, usual: Request = USUAL_LADDER) -> Request:
    """Settles what the arguments leave open, and returns the request that is usual for them.

    --quick gets its number of rounds, at most as many as fit the budget. --concurrency has usual
    cases of its own, in place of those that no option names.
    """
    from ipcbench.run.plan import PRESETS

    if args.preset == "quick" and args.rounds is None:
        args.rounds = PRESETS["quick"].rounds
    if not args.concurrency:
        return usual
    of_crowds = _with_many_clients(usual)
    for name in ("rungs", "families", "sizes", "preset", "budget_s"):
        if getattr(args, name) is getattr(usual, name):  # the default itself: nobody typed it
            setattr(args, name, getattr(of_crowds, name))
    return of_crowds


def _with_many_clients(usual: Request) -> Request:
    """The usual request where one server has many clients: fewer cases, each with longer launches.

    The server has a CPU of its own, if there is one, and its clients share another. They are as
    lean as a rung can have them, so that it is the server that runs out, if any end does.
    """
    from ipcbench.terms import Choice
    from ipcbench.transports.registry import TRANSPORTS, get_transport

    def named(rung: str) -> Iterator[str]:
        names = [name for name in BY_NAME[rung].transports.values() if name in TRANSPORTS]
        knobs = [knob for name in names for knob in get_transport(name).knobs]
        kind = next((knob.kind for knob in knobs if knob.name == CLIENT), None)
        known = kind.known() if isinstance(kind, Choice) else ()
        leanest = next((client for client in (BARE, LEAN) if client in known), None)
        yield rung if leanest is None else f"{rung}:{CLIENT}={leanest}"
        if rung in _BESIDE:
            yield _BESIDE[rung]

    return replace(
        usual,
        rungs=tuple(name for rung in usual.rungs if rung in _SERVERS for name in named(rung)),
        families=("unix",),
        sizes=(64,),
        at_first=(),
        usual_placements=(),
        preset="crowds",
        budget_s=_BUDGET_OF_CROWDS_S,
    )


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
        budget=options.OPTIONS["--budget"].typed(usual.budget_s) + ", --concurrency: 420s",
    )
    options.add_results(parser.add_argument_group("results"))
    options.add_run(parser)
    requests.set_usual(parser, usual)
    parser.set_defaults(ladder=True, tables=False)
    parser.add_examples(
        ("", "all, in 5 minutes"),
        ("--rungs raw,http-std --sizes 64", "HTTP, over the socket"),
        ("--families unix,inet,inet6 --budget 15m", "IPv6 too"),
        ("--concurrency 1,8,64", "many clients a server"),
    )


LADDER = Handler(add_ladder_arguments, _ladder)
