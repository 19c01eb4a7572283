"""Options of the commands that measure or report: one table, and the parsers of their values.

Each option is a row that says what it is about. Those about what is measured fill a field of
`run.request.Request` each, which their `dest` names; no other list of them is kept.
`requests` makes a request of parsed arguments, and arguments of a request.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, assert_never

from ipcbench import units
from ipcbench.case import (
    DEFAULT_PLACEMENT,
    LOOPS,
    PLACEMENTS,
    parse_loop,
    parse_placement,
    parse_workload,
)
from ipcbench.errors import UsageError, unknown_name
from ipcbench.run.pythons import parse_pythons
from ipcbench.run.request import Request
from ipcbench.rungs import FAMILIES, RUNGS, Family
from ipcbench.system.cpus import parse_cpus
from ipcbench.terms import Term
from ipcbench.workloads import (
    ARRIVALS,
    CLIENTS,
    RATE,
    SERVER,
    SERVER_MODELS,
    WORK,
    WORKLOADS,
    Workload,
)

_Name = TypeVar("_Name", bound=str | int)

Scope = Literal["measured", "run", "shown"]
"""What an option is about: what is measured and how much; where a run's file goes and how it is
watched; or what is shown and written of results."""


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the table."""

    scope: Scope
    flags: tuple[str, ...]
    help: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What argparse is told of it."""
    typed: Callable[[Any], str] = str
    """A value as it is typed."""

    @property
    def dest(self) -> str:
        """The name of its value among parsed arguments; of a measured one, a field of Request."""
        return str(self.settings.get("dest", self.flags[-1].lstrip("-").replace("-", "_")))


def listed(kind: str, example: str, parse: Callable[[str], _Name]) -> Callable[[str], Any]:
    """Returns a parser of a comma-separated list of unequal names; it raises UsageError."""

    def read(text: str) -> tuple[_Name, ...]:
        chosen: list[_Name] = []
        for part in text.split(","):
            if not part.strip():
                raise UsageError(f"the list of {_several(kind)} has an empty name; write {example}")
            name = parse(part.strip())
            if name in chosen:
                raise UsageError(f"{kind} {name!r} is named twice; name it once")
            chosen.append(name)
        return tuple(chosen)

    return read


def _several(kind: str) -> str:
    """The plural of a kind of names."""
    if kind.endswith("s"):
        return kind
    return f"{kind.removesuffix('y')}ies" if kind.endswith("y") else f"{kind}s"


def whole(option: str, *, at_least: int) -> Callable[[str], int]:
    """Returns a parser of a whole number of at least `at_least`; it raises UsageError."""

    def read(text: str) -> int:
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit()) or int(digits) < at_least:
            raise UsageError(f"{option} {digits!r} is not a whole number of at least {at_least}")
        return int(digits)

    return read


def _number(option: str, at_least: int) -> dict[str, Any]:
    return {"type": whole(option, at_least=at_least), "metavar": "N"}


def _typed_sizes(sizes: Iterable[int]) -> str:
    return ",".join(map(units.format_size, sizes))


def _about(workload: Workload) -> str:
    """The name of a workload, and its gist."""
    match workload:
        case "latency":
            gist = "round trip"
        case "throughput":
            gist = "one way"
        case "connect":
            gist = "set-up"
        case "load":
            gist = "rate"
        case _:
            assert_never(workload)
    return f"{workload} ({gist})"


def _parse_family(text: str) -> Family:
    """The family of this name. Raises UsageError for another one."""
    for family in FAMILIES:
        if family == text:
            return family
    raise unknown_name("family", text, FAMILIES)


def _parse_rung(text: str) -> str:
    """The rung that is written so, which may have knobs: `raw:delay=5us`. Raises UsageError."""
    known = [rung.name for rung in RUNGS]
    if Term.parse(text).name not in known:
        raise unknown_name("rung", text, known)
    return text


def _parse_clients(text: str) -> int:
    """A number of clients of one server. Raises UsageError."""
    try:
        return int(CLIENTS.kind.canonical(text))
    except UsageError as error:
        raise UsageError(
            f"{text!r} is no number of clients: write {CLIENTS.kind.described()}"
        ) from error


def _typed_numbers(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


def parse_rate_or_share(text: str) -> str:
    """The one spelling of a rate or of a share of the peak. Raises UsageError."""
    if not text.endswith("%"):
        return RATE.kind.canonical(text)
    share = units.parse_percent(text)
    if share < _LEAST_OF_PEAK:
        raise UsageError(
            f"{text!r} of what can be answered is far too little; write"
            f" {units.format_percent(_LEAST_OF_PEAK)} or more, or a rate like 10"
        )
    if share > _MOST_OF_PEAK:
        raise UsageError(
            f"{text!r} of what can be answered is far too much; write up to"
            f" {units.format_percent(_MOST_OF_PEAK)}, or a rate like 10k"
        )
    return units.format_percent(share)


def _parse_arrivals(text: str) -> str:
    try:
        return ARRIVALS.kind.canonical(text)
    except UsageError as error:
        raise unknown_name("arrivals", text, ("constant", "poisson")) from error


def _parse_server(text: str) -> str:
    try:
        return SERVER.kind.canonical(text)
    except UsageError as error:
        raise unknown_name("server", text, SERVER_MODELS) from error


def parse_objective(text: str) -> str:
    """The one spelling of an objective. Raises UsageError."""
    from ipcbench.analysis.objective import Objective  # loads pandas

    return str(Objective.parse(text))


def _parse_work(text: str) -> str:
    return WORK.kind.canonical(text)


_LEAST_OF_PEAK = 0.0001
"""Below it a launch would have a few messages, if any."""
_MOST_OF_PEAK = 1.5
"""Beyond it nothing is learnt, and each batch takes the longer."""
_LIST = {"metavar": "LIST"}
_FILE = {"type": Path, "metavar": "FILE"}
_FLAG = {"action": "store_true"}
_TIME = {"type": units.parse_duration, "metavar": "TIME"}

OPTIONS: Mapping[str, Option] = {
    option.flags[-1]: option
    for option in (
        Option(
            "measured",
            ("--sizes",),
            "message sizes in bytes; k is 1024 (default: {sizes})",
            _LIST | {"type": units.parse_sizes},
            _typed_sizes,
        ),
        Option(
            "measured",
            ("--workloads",),
            f"{', '.join(map(_about, WORKLOADS))} (default: {{workloads}})",
            _LIST | {"type": listed("workload", "latency,throughput", parse_workload)},
            ",".join,
        ),
        Option(
            "measured",
            ("--loop",),
            f"timed loop: {', '.join(LOOPS)} or both (default: {{loops}})",
            _LIST | {"dest": "loops", "type": listed("loop", "python,native", parse_loop)},
            ",".join,
        ),
        Option(
            "measured",
            ("--placement",),
            f"where both ends run: {', '.join(PLACEMENTS)} (default: {{usual_placements}})",
            _LIST
            | {
                "dest": "placements",
                "type": listed("placement", "same-core,cross-core", parse_placement),
            },
            ",".join,
        ),
        Option(
            "measured",
            ("--cpus",),
            "CPUs of the client and the server (default: chosen for the placement)",
            {"type": parse_cpus, "metavar": "C,S"},
            lambda cpus: ",".join(map(str, cpus)),
        ),
        Option(
            "measured",
            ("--families",),
            f"families of sockets: {', '.join(FAMILIES)} (default: {{families}})",
            _LIST | {"type": listed("family", "unix,inet", _parse_family)},
            ",".join,
        ),
        Option(
            "measured",
            ("--rungs",),
            "rungs of the ladder, each over the next lower one of them (default: all)",
            _LIST | {"type": listed("rung", "raw,http-std", _parse_rung)},
            ",".join,
        ),
        Option(
            "measured",
            ("--concurrency",),
            "numbers of clients of one server, like 1,8,64{of_clients} (default: one client alone)",
            _LIST | {"type": listed("client count", "1,8,64", _parse_clients)},
            _typed_numbers,
        ),
        Option(
            "measured",
            ("--rates",),
            "messages a second (10k), or shares of each one's own peak (50%%) (default: {rates})",
            _LIST | {"type": listed("rate", "10%,50%,90%", parse_rate_or_share)},
            ",".join,
        ),
        Option(
            "measured",
            ("--arrivals",),
            "when messages are sent: constant, poisson or both (default: {arrivals})",
            _LIST | {"type": listed("arrivals", "constant,poisson", _parse_arrivals)},
            ",".join,
        ),
        Option(
            "measured",
            ("--in-flight",),
            "most messages that are unanswered at once (default: up to 64, as many as fit)",
            _number("--in-flight", 1),
        ),
        Option(
            "measured",
            ("--server",),
            "how it serves several: threads, epoll or fork (default: as each does it best)",
            {"type": _parse_server, "metavar": "HOW"},
        ),
        Option(
            "measured",
            ("--work",),
            "how long the server computes before each reply (default: not)",
            {"type": _parse_work, "metavar": "TIME"},
        ),
        Option(
            "measured",
            ("--slo",),
            "also find the highest rate that keeps this, like 'p99<200us'",
            {"dest": "objective", "type": parse_objective, "metavar": "OBJECTIVE"},
        ),
        Option(
            "measured",
            ("--vary",),
            "compare values of a knob, like unix:sndbuf=4k,64k or"
            " latency:gap=0,1ms; again for another",
            {"action": "append", "metavar": "TERM"},
        ),
        Option(
            "measured",
            ("--grid",),
            "every combination of the values of --vary, not one at a time",
            _FLAG,
        ),
        Option(
            "measured",
            ("--matrix",),
            "round trips of one transport over every pair of CPUs",
            _FLAG,
        ),
        Option(
            "measured",
            ("--python",),
            "measure with these interpreters, in turns: LABEL=a/bin/python,b/bin/python",
            _LIST | {"dest": "pythons", "type": parse_pythons},
            ",".join,
        ),
        Option(
            "measured",
            ("--quick",),
            "little: 6 rounds of 3 batches of 10 ms",
            {"dest": "preset", "action": "store_const", "const": "quick"},
        ),
        Option(
            "measured",
            ("--rigorous",),
            "much: 20 rounds of 10 batches of 50 ms",
            {"dest": "preset", "action": "store_const", "const": "rigorous"},
        ),
        Option(
            "measured",
            ("--budget",),
            "as many rounds as fit, for example 60s (default: {budget})",
            _TIME | {"dest": "budget_s"},
            units.format_duration,
        ),
        Option(
            "measured",
            ("--target",),
            "until ratios are this exact (2%%), or --budget ends",
            {"dest": "target_ratio", "type": units.parse_percent, "metavar": "SHARE"},
            units.format_percent,
        ),
        Option(
            "measured",
            ("--rounds",),
            "launches of each case (default: {rounds})",
            _number("--rounds", 1),
        ),
        Option(
            "measured",
            ("--values",),
            "timed batches in each launch (default: {values})",
            _number("--values", 1),
        ),
        Option(
            "measured",
            ("--warmups",),
            "batches before those, not counted (default: {warmups})",
            _number("--warmups", 0),
        ),
        Option(
            "measured",
            ("--min-time",),
            "what a batch should take (default: {min_time})",
            _TIME | {"dest": "min_time_s"},
            units.format_duration,
        ),
        Option(
            "measured",
            ("--timeout",),
            "when to give a launch up (default: {timeout_s})",
            _TIME | {"dest": "timeout_s"},
            units.format_duration,
        ),
        Option(
            "measured",
            ("--seed",),
            "of the order of launches (default: chosen, and recorded)",
            _number("--seed", 0),
        ),
        Option(
            "measured",
            ("--baseline",),
            "what ratios are against (default: inet)",
            {"metavar": "TRANSPORT"},
        ),
        Option(
            "run",
            ("-o", "--output"),
            "pyperf JSON (default: new, with a CSV, in results/)",
            _FILE,
        ),
        Option(
            "run",
            ("--resume",),
            "go on with a run that was cut short, by its own plan, in its own file",
            _FILE,
        ),
        Option("run", ("--save",), "also keep the run as a named baseline", {"metavar": "NAME"}),
        Option("run", ("--against",), "then compare with a named baseline", {"metavar": "NAME"}),
        Option(
            "run",
            ("--fail-if",),
            "a change that must not be, like 'latency>5%%' or 'throughput<-10%%',"
            " 'latency/unix/*>5%%', 'p99>20%%', 'cpu>5%%', 'slower>5%%', 'faster>10%%'",
            {"dest": "gates", "action": "append", "default": [], "metavar": "GATE"},
        ),
        Option("run", ("--junit",), "write the gates' answers as JUnit XML", _FILE),
        Option(
            "run",
            ("--github",),
            "add a summary to the step of a GitHub workflow, and annotations on stderr",
            _FLAG,
        ),
        Option("run", ("--events",), "write what happens as lines of JSON", _FILE),
        Option("run", ("--no-lock",), "measure although another run does, too", _FLAG),
        Option("run", ("--no-plugins",), "take no transport of another package", _FLAG),
        Option("shown", ("--percentiles",), "also show percentiles of single round trips", _FLAG),
        Option("shown", ("--details",), "also show what a message costs in CPU time", _FLAG),
        Option("shown", ("--overview",), "first show one table of all: a row a transport", _FLAG),
        Option("shown", ("--csv",), "also write a CSV, one row a case; - is stdout", _FILE),
        Option(
            "shown",
            ("--json",),
            "also write what is shown as JSON, in base units; - is stdout",
            _FILE,
        ),
        Option(
            "shown",
            ("--markdown",),
            "also write the tables for a pull request; - is stdout",
            _FILE,
        ),
        Option("shown", ("--html",), "also write a page with pictures (extra html)", _FILE),
        Option(
            "shown",
            ("--svg",),
            "also write the pictures into a folder (extra html)",
            {"type": Path, "metavar": "DIR"},
        ),
        Option("shown", ("--png",), "the same in pixels", {"type": Path, "metavar": "DIR"}),
        Option("shown", ("--force",), "replace files that exist", _FLAG),
        Option("shown", ("--quiet",), "say nothing but tables and errors", _FLAG),
    )
}
"""Every option that a request, a run or a report takes, by its long name."""

MEASURED = {option.dest: option for option in OPTIONS.values() if option.scope == "measured"}
"""An option of each field of Request that one fills, by the field's name."""


def add(container: "argparse._ActionsContainer", *names: str, **defaults: str) -> None:
    """Adds these options of the table; `defaults` are what their help says of them."""
    for name in names:
        option = OPTIONS[name]
        text = option.help.format(**defaults) if "{" in option.help else option.help
        container.add_argument(*option.flags, help=text, **option.settings)


def add_cases(what: "argparse._ActionsContainer", usual: Request) -> None:
    """Adds the options that choose the cases."""
    placements = usual.placements or usual.usual_placements or (DEFAULT_PLACEMENT,)
    add(
        what,
        *("--sizes", "--workloads", "--loop", "--placement", "--cpus", "--python"),
        **_typed(usual, "sizes", "workloads", "loops"),
        usual_placements=",".join(placements),
    )


def add_ladder(what: "argparse._ActionsContainer", usual: Request) -> None:
    """Adds the options that choose the cases of the ladder."""
    placements = usual.placements or usual.usual_placements or (DEFAULT_PLACEMENT,)
    add(
        what,
        *("--sizes", "--families", "--rungs", "--concurrency", "--placement", "--cpus", "--python"),
        **_typed(usual, "sizes", "families"),
        of_clients="; if nothing else is named: servers' rungs over unix, 64 bytes, across cores",
        usual_placements=",".join(placements),
    )


def add_load(what: "argparse._ActionsContainer", usual: Request) -> None:
    """Adds the options that choose the cases of an open loop."""
    placements = usual.placements or usual.usual_placements or (DEFAULT_PLACEMENT,)
    rates = ",".join(usual.rates).replace("%", "%%")
    add(
        what,
        *("--rates", "--arrivals", "--slo", "--work", "--in-flight", "--concurrency", "--server"),
        *("--sizes", "--loop", "--placement", "--cpus"),
        **_typed(usual, "arrivals", "sizes", "loops"),
        rates=rates,
        of_clients="; messages go over so many links in turn",
        usual_placements=",".join(placements),
    )


def add_presets(much: "argparse._ArgumentGroup") -> None:
    """Adds --quick and --rigorous."""
    add(much.add_mutually_exclusive_group(), "--quick", "--rigorous")


def add_effort(
    much: "argparse._ActionsContainer",
    usual: Request,
    *,
    rounds: str,
    values: str,
    min_time: str,
    budget: str,
) -> None:
    """Adds the options for rounds, batches and budget; `rounds`, ... are what the help says."""
    add(
        much,
        *("--budget", "--target", "--rounds", "--values", "--warmups", "--min-time"),
        *("--timeout", "--seed"),
        **_typed(usual, "warmups", "timeout_s"),
        rounds=rounds,
        values=values,
        min_time=min_time,
        budget=budget,
    )


def add_results(out: "argparse._ActionsContainer") -> None:
    """Adds the options for the result file, baselines and documents."""
    add(out, "--output", "--resume", "--save", "--against")
    add_gates(out)
    add_report_arguments(out)
    add(out, "--force")


def add_gates(out: "argparse._ActionsContainer") -> None:
    """Adds the options for gates, and for whom their answers are written."""
    add(out, "--fail-if", "--junit", "--github")


def add_report_arguments(parser: "argparse._ActionsContainer") -> None:
    """Adds the options for tables and documents."""
    add(
        parser,
        *("--baseline", "--percentiles", "--details", "--overview"),
        *("--csv", "--json", "--markdown", "--html", "--svg", "--png"),
    )
    parser.set_defaults(claims=False, ladder=False, tables=True)


def add_run(parser: "argparse._ActionsContainer") -> None:
    """Adds the options for watching a run."""
    add(parser, "--quiet", "--events", "--no-lock", "--no-plugins")
    parser.set_defaults(with_page=False)


def _typed(usual: Request, *names: str) -> dict[str, str]:
    return {name: MEASURED[name].typed(getattr(usual, name)) for name in names}
