"""Hostile result files, as many as wanted: each must be shown or refused in one line.

    python -m tests.faults.hostile --count 10000 --seed 1

A file is known by the seed and its index, so that what went wrong can be made again:

    python -m tests.faults.hostile --seed 1 --only 4711 > hostile.json
"""

import argparse
import copy
import csv
import io
import json
import os
import re
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple
from unittest.mock import patch

from ipcbench.case import Case
from ipcbench.cli.commands import parser
from ipcbench.cli.main import main as ipcbench
from ipcbench.errors import EXIT_GATE_TRIPPED, EXIT_NOT_JUDGED, EXIT_OK, EXIT_USAGE
from ipcbench.results.histogram import FROM_SENDING_KEY, HISTOGRAM_KEY, LATENESS_KEY
from ipcbench.results.intent import Intent
from ipcbench.results.load import OBJECTIVE_KEY
from ipcbench.results.store import Metadata, dumps
from tests.synthetic import Answers, open_loop

ROOT = Path(__file__).parent.parent.parent
DATA = ROOT / "tests/data"
RESULTS = ROOT / "results/amd-epyc-2cpu-kvm"
_A_PAGE_IN = 40
"""A page is made of one in this many files, since its pictures take a second or more."""
HISTOGRAM_KEYS = (HISTOGRAM_KEY, FROM_SENDING_KEY, LATENESS_KEY)
_MARKUP = re.compile("<script(>|&gt;)alert")
"""The markup of TEXTS, which no page and no Markdown may contain."""
FORMULA_STARTS = tuple("=+-@\t\r")
CSV_HEADER = "case,workload,"
JSON_START = '{\n "format": 1,'
PAGE_START = "<!DOCTYPE html>"
MARKDOWN_STARTS = ("**", "- ")
"""Starts of a Markdown document: a table's title, or a reason if there is no table."""

Json = Any
Verdict = Literal["shown", "refused", "wrong"]


class HostileFile(NamedTuple):
    """A hostile file, with the way it was made and its name."""

    kind: str
    name: str
    content: bytes


class Outcome(NamedTuple):
    """The verdict on one command given one file."""

    number: int
    kind: str
    command: str
    verdict: Verdict
    said: str


# What a value may be replaced by. RAW texts get into the file as they are, without quotes.

RAW = {
    "@RAW-1E999@": "1e999",
    "@RAW-MINUS-1E999@": "-1e999",
    "@RAW-TINY@": "1e-400",
    "@RAW-NAN@": "NaN",
    "@RAW-INFINITY@": "-Infinity",
    "@RAW-DIGITS@": "9" * 5000,
    "@RAW-MANY-DIGITS@": "1" + "0" * 400,
    "@RAW-DEEP@": "[" * 50 + "]" * 50,
    "@RAW-VERY-DEEP@": '{"a":' * 20_000 + "1" + "}" * 20_000,
    "@RAW-SURROGATE@": '"\\ud800"',
    "@RAW-TWICE@": '{"a": 1, "a": 2}',
}
TEXTS = (
    "",
    " ",
    "\n",
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b31m",
    "a\rb\x08c\x7f\x00",
    "\u202egpj.exe",
    "\u2028line\u2029paragraph\x85next",
    "\udcff\ud800",
    "[bold red]markup[/bold red]",
    "[/nonsense]",
    "[link=http://example.org]here[/link] :boom:",
    "=cmd|' /C calc'!A0",
    "@SUM(A1)",
    "+1-1",
    "-2+3",
    "\t=1",
    "＝1",  # noqa: RUF001
    '"quoted",\nand; more',
    "../../../../etc/passwd",
    "/etc/passwd",
    "..",
    "<script>alert(1)</script>",
    "%s %n {0} {x!r}",
    "\\",
    "x" * 5_000,
    "\U0010ffff\ufeff\u200b",
    "null",
    "1",
)
NUMBERS = (0, -1, 1, 0.0, -0.0, 5e-324, 1e-300, 1e300, 1.7e308, 2**31, 2**53 + 1, 2**63, 2**64, 0.5)
EXTREMES = (1e-15, 2e-15, 1e9, 9.9e8, 1, 1e-9)
OTHERS: tuple[Json, ...] = (
    None,
    True,
    False,
    [],
    {},
    [[]],
    [{}],
    {"": ""},
    [0],
    ["x"],
    {"a": [{"b": [1]}]},
)
CASES = (
    "latency/unix/64",
    "latency/unix/65536/python/cross-core",
    "latency/unix/0/python/cross-core",
    "latency/[red]x[/red]/64/python/cross-core",
    "latency/\x1b[31m/64/python/cross-core",
    "latency/../64/python/cross-core",
    "latency/=1+1/64/python/cross-core",
    "latency/-x/64/python/cross-core",
    "latency/new-one/64/python/cross-core",
    "latency/unix/99999999999999g/python/cross-core",
    f"latency/unix/{'9' * 5000}/python/cross-core",
    "latency/unix/64/python/cpus-0-99999",
    "latency/unix/64/python/cpus-007-1",
    "throughput/memcpy/64/python/cross-core",
    "connect/unix/1/python/cross-core",
    "load:rate=20000/unix/64/python/cross-core",
    "load:rate=0/unix/64/python/cross-core",
    "load:rate=20k/unix/64/python/cross-core",
    "latency/inet/64/native/same-core",
    "latency/unix/64/python/cross-core/head",
    "latency/unix/64/python/cross-core/=1+1",
    "latency/unix/64/python/cross-core/[red]",
    "latency/unix/64/python/cross-core/",
    "a/b/c",
    "////",
    "timeit",
)
HISTOGRAMS = (
    "1 2 1:1 2:1",
    "0 0 0:1",
    "2 1 1:1",
    "1 1 999999:1",
    "5 5 5:999999999999999999",
    "999999999999999999 999999999999999999 6910:1",
    "999999999999999999 999999999999999999 6784:1",
    "1 3 3:1 1:1",
    "1 3 1:1 1:5 3:1",
    "1 2 3:-1",
    "1 2",
)


def hostile_file(index: int, seed: int) -> HostileFile:
    """The hostile file of this number; the same for the same seed."""
    random = Random(f"{seed}/{index}")
    kind, mutate = random.choice(KINDS)
    name = "hostile.json"
    made = mutate(random)
    if kind == "name of the file":
        name = random.choice(("\x1b[2J.json", "a\nb.json", "[red].json", "\u202ex.json", "=1.json"))
    content = made if isinstance(made, bytes) else made.encode("utf-8", "surrogatepass")
    return HostileFile(kind, name, content)


@cache
def bases() -> tuple[str, ...]:
    """Small real files: parts of those that are committed, one for each thing that is shown."""
    run, both = DATA / "run.json", RESULTS / "2026-11-24-1a31ff0/latency.json"
    matrix = _part(run, "latency/(unix)/64/python")
    matrix["benchmarks"] = [copy.deepcopy(matrix["benchmarks"][0]) for _ in range(2)]
    for cpu, bench in enumerate(matrix["benchmarks"]):
        placement = f"cpus-0-{cpu}"
        bench["metadata"] |= {"name": f"latency/unix/64/python/{placement}", "placement": placement}
    matrix["metadata"].pop("placement", None)
    ratios = _part(run, "latency/(unix|inet|null)/64/")
    ratios["ipcbench"]["unmeasured"] = [
        {"case": "latency/fifo/64/python/cross-core", "status": "failed", "reason": "it broke"},
        {"case": "latency/mq/64/python/cross-core", "status": "n/a", "reason": "no such thing"},
    ]
    ratios["ipcbench"]["plan"] = Intent(
        cases=tuple(bench["metadata"]["name"] for bench in ratios["benchmarks"]),
        rounds=6,
        seed=11,
        values=2,
        warmups=1,
        min_time_s=0.005,
        timeout_s=30.0,
        baseline="inet",
        cpus={"cross-core": (0, 1)},
        target_ratio=None,
        budget_s=None,
    ).as_json()
    for bench in ratios["benchmarks"]:
        bench["runs"][0]["metadata"] |= {"evidence": "no record", "retried_after": "it died"}
        bench["runs"][1]["metadata"]["evidence"] = "proved: bytes crossed one socket"
    failures = {"version": "1.0", "benchmarks": [], "ipcbench": ratios["ipcbench"]}
    parts = (
        ratios,
        failures,
        matrix,
        _part(run, "throughput/(inet|memcpy)/64k/"),
        _part(both, "latency/(unix|inet)/64/.*"),
        _part(RESULTS / "2026-11-24-58cd074/connect.json", "connect/(unix|inet)/"),
        _part(RESULTS / "2026-11-24-d5c599b/target.json", "latency/(unix|inet)/64"),
        _part(RESULTS / "2026-11-24-c08cce5/one-core.json", "latency/(null|inet)/64"),
        _open_loop(),
    )
    return tuple(json.dumps(part) for part in parts)


def _open_loop() -> Json:
    """A file of the open loop, with every state that a rate can have."""
    steady = Answers(range(1_000, 101_000, 100))
    answers = {
        "load": steady,
        "load:rate=10000": steady._replace(lateness_ns=range(1_000, 101_000, 100)),
        "load:rate=20000": steady._replace(slopes=(0.01,)),
        "load:rate=50000": steady._replace(answered_share=0.5, slopes=(0.5,)),
    }
    cases = {Case(workload, "unix", 64): one for workload, one in answers.items()}
    peaks = {Case("latency:window=4", "unix", 64): 1e-4}
    facts: Metadata = {OBJECTIVE_KEY: "p99<200us"}
    return json.loads(dumps(open_loop(cases, 6, peaks, facts)))


def _part(path: Path, names: str) -> Json:
    """The file with only the benchmarks of these names, and no more than seven launches of each."""
    data = json.loads(path.read_text(encoding="utf-8"))
    common = data["metadata"].get("name", "")
    data["benchmarks"] = [
        bench
        for bench in data["benchmarks"]
        if re.match(names, bench["metadata"].get("name", common))
    ][:4]
    assert data["benchmarks"], f"{path}: no {names}"
    for bench in data["benchmarks"]:
        del bench["runs"][7:]
    return data


# Mutations: each makes a text or bytes from what the generator gives.


def _structure(random: Random) -> str:
    """Deletes, doubles, replaces, renames or moves parts of a file at any depth, a few times."""
    data = json.loads(random.choice(bases()))
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        _disturb(random, data)
    return _written(data)


def _disturb(random: Random, data: Json) -> None:
    places = list(_places(data))
    if not places:
        return
    holder, key = random.choice(places)
    what = random.choice(("delete", "replace", "replace", "double", "rename", "move", "wrap"))
    if what == "delete":
        del holder[key]
    elif what == "replace":
        holder[key] = _nasty(random)
    elif what == "move":
        other, place = random.choice(places)
        if holder[key] is not other:
            other[place] = copy.deepcopy(holder[key])
    elif what == "double" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif what == "rename" and isinstance(holder, dict):
        holder[random.choice((*TEXTS, "runs", "name", "values", "metadata"))] = holder.pop(key)
    else:
        holder[key] = [holder[key]]


def _places(data: Json) -> Iterator[tuple[Json, Any]]:
    """Every container and key below a value; of long lists only some."""
    waiting = [data]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        for key in keys:
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])
            yield holder, key


def _nasty(random: Random) -> Json:
    pool: Sequence[Json] = random.choice((TEXTS, NUMBERS, OTHERS, tuple(RAW), EXTREMES, CASES))
    return copy.deepcopy(random.choice(pool))


def _texts(random: Random) -> str:
    """Puts a hostile text for display in the metadata or in a reason."""
    data = json.loads(random.choice(bases()))
    for _ in range(random.choice((1, 2, 4))):
        places = [(h, k) for h, k in _places(data) if isinstance(h[k], str)]
        shown = [(h, k) for h, k in places if k in _SHOWN_KEYS]
        holder, key = random.choice(shown or places)
        holder[key] = random.choice(("", "x")) + random.choice((*TEXTS, *RAW))
    return _written(data)


_SHOWN_KEYS = {
    *("baseline", "machine", "cpu_model", "kernel", "python", "virtualisation", "reason", "seed"),
    *(
        "evidence",
        "retried_after",
        "governor",
        "ipcbench_version",
        "date",
        "cpus_seen_client",
        "cpus_seen_server",
        "command",
    ),
}


def _numbers(random: Random) -> str:
    data = json.loads(random.choice(bases()))
    for _ in range(random.choice((1, 2, 8))):
        places = [(h, k) for h, k in _places(data) if isinstance(h[k], int | float)]
        if places:
            holder, key = random.choice(places)
            holder[key] = random.choice((*NUMBERS, *RAW, True))
    return _written(data)


def _extremes(random: Random) -> str:
    """Numbers that are allowed, as far from each other as they may be."""
    data = json.loads(random.choice(bases()))
    for holder, key in _places(data):
        if isinstance(holder, list) and isinstance(holder[key], float) and random.random() < 0.5:
            holder[key] = random.choice(EXTREMES)
        elif isinstance(holder[key], int | float) and random.random() < 0.2:
            if str(key).endswith("_per_message"):
                holder[key] = random.choice((0, 1e12, 1e-300))
            elif str(key).endswith("_per_s"):
                holder[key] = random.choice((1e-9, 1e12, 1.0))
            elif str(key).endswith(("_ratio", "_s")):
                holder[key] = random.choice((1e-9, 1e9, 1.0))
            elif key in {"loops", "messages_checked"}:
                holder[key] = random.choice((1, 10**11))
    return _written(data)


def _names(random: Random) -> str:
    data = json.loads(random.choice(bases()))
    named = [(h, k) for h, k in _places(data) if k in {"name", "case"}]
    for holder, key in random.sample(named, min(len(named), random.choice((1, 1, 2)))):
        holder[key] = random.choice(CASES)
    for bench in data["benchmarks"]:
        for told in ("transport", "workload", "placement", "loop", "message_size_bytes"):
            bench.get("metadata", {}).pop(told, None)
            data.get("metadata", {}).pop(told, None)
    return _written(data)


def _histograms(random: Random) -> str:
    data = json.loads(random.choice(bases()))
    for holder, key in list(_places(data)):
        if str(key) in HISTOGRAM_KEYS and random.random() < 0.5:
            holder[key] = random.choice((*HISTOGRAMS, _flipped(random, holder[key])))
    return _written(data)


def _flipped(random: Random, text: str) -> str:
    at = random.randrange(len(text))
    return text[:at] + random.choice("0123456789: -x") + text[at + 1 :]


def _doubled(random: Random) -> str:
    """Cases, launches and reasons that stand in a file twice."""
    data = json.loads(random.choice(bases()))
    lists = [data["benchmarks"], data.get("ipcbench", {}).get("unmeasured", [])]
    lists += [bench["runs"] for bench in data["benchmarks"]]
    found = random.choice([one for one in lists if one])
    found.insert(random.randrange(len(found)), copy.deepcopy(random.choice(found)))
    return _written(data)


def _crowds(random: Random) -> str:
    """More transports, sizes, CPUs or names of metadata than anybody measures."""
    data = json.loads(bases()[0])
    first, count = data["benchmarks"][0], random.choice((3, 3, 3, 300))
    what = random.choice(("{n}/64/python/free", "x/{n}/python/free", "x/1/python/cpus-0-{n}", ""))
    for told in ("transport", "message_size_bytes", "placement"):
        first["metadata"].pop(told, None)
        data["metadata"].pop(told, None)
    for number in range(1, count):
        if what:
            bench = copy.deepcopy(first)
            bench["runs"] = bench["runs"][:1]
            bench["metadata"]["name"] = f"latency/{what.format(n=number)}"
            data["benchmarks"].append(bench)
        else:
            first["runs"][0]["metadata"] |= {f"k{number}-{more}": 1 for more in range(10)}
    return _written(data)


def _bytes_flipped(random: Random) -> bytes:
    content = bytearray(random.choice(bases()).encode())
    for _ in range(random.choice((1, 1, 3, 20))):
        content[random.randrange(len(content))] = random.randrange(256)
    return bytes(content)


def _cut(random: Random) -> str:
    text = random.choice(bases())
    return text[: random.randrange(len(text))]


def _spliced(random: Random) -> str:
    """A piece of one file in another, or a piece taken out, or a token put in."""
    text, other = random.choice(bases()), random.choice(bases())
    at, start = random.randrange(len(text)), random.randrange(len(other))
    piece = random.choice((other[start : start + random.randrange(200)], *RAW.values(), "NaN", "}"))
    return text[:at] + piece + text[at + random.choice((0, 1, len(piece))) :]


def _swapped(random: Random) -> str:
    """A number in the text replaced by another token."""
    text = random.choice(bases())
    numbers = list(re.finditer(r"-?[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?", text))
    chosen = random.choice(numbers)
    token = random.choice((*RAW.values(), "0", "-1", "1e308", '"1"', "null", "[]", "1e-323"))
    return text[: chosen.start()] + token + text[chosen.end() :]


def _anything(random: Random) -> str:
    """Random JSON, with names that a results file has."""
    return _written(_random_json(random, 5))


def _random_json(random: Random, depth: int) -> Json:
    if depth == 0 or random.random() < 0.15:
        return _nasty(random)
    count = random.randrange(4)
    if random.random() < 0.3:
        return [_random_json(random, depth - 1) for _ in range(count)]
    found = {random.choice(_WORDS): _random_json(random, depth - 1) for _ in range(count + 1)}
    if depth == 5:
        found |= {"version": "1.0", "benchmarks": [_random_json(random, depth - 1)]}
    return found


_WORDS = (
    *("benchmarks", "version", "metadata", "ipcbench", "runs", "values", "warmups", "name"),
    *("unmeasured", "case", "format", "ipcbench_format", "plan", "cases", "cpus"),
)


def _refused_or_not(random: Random) -> str:
    return random.choice((random.choice(bases()), "{}", '{"benchmarks": []}'))


def _written(data: Json) -> str:
    text = json.dumps(data)
    for mark, raw in RAW.items():
        text = text.replace(f'"{mark}"', raw)
    return text


KINDS: tuple[tuple[str, Callable[[Random], str | bytes]], ...] = (
    ("structure", _structure),
    ("structure", _structure),
    ("texts", _texts),
    ("texts", _texts),
    ("numbers", _numbers),
    ("extremes", _extremes),
    ("names of cases", _names),
    ("histograms", _histograms),
    ("doubled", _doubled),
    ("crowds", _crowds),
    ("bytes flipped", _bytes_flipped),
    ("cut", _cut),
    ("spliced", _spliced),
    ("swapped", _swapped),
    ("any JSON", _anything),
    ("name of the file", _refused_or_not),
)


# Each file is given to both commands, in this process.


def run(count: int, seed: int, first: int = 0) -> list[Outcome]:
    """The outcomes of `report` and of `diff` for each of `count` files."""
    outcomes: list[Outcome] = []
    with _workplace() as folder:
        for index in range(first, first + count):
            outcomes += _tried(folder, index, seed)
    return outcomes


@contextmanager
def _workplace() -> Iterator[Path]:
    """A temporary working folder that also holds a good file."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as name:
        folder = Path(name)
        (folder / "good.json").write_text(bases()[0])
        # To build the parser of the command line anew for each would take a tenth of the time.
        same_parser = patch("ipcbench.cli.parser", cache(parser))
        with chdir(folder), patch.dict(os.environ, {"COLUMNS": "80"}), same_parser:
            yield folder


def _tried(folder: Path, index: int, seed: int) -> Iterator[Outcome]:
    made = hostile_file(index, seed)
    path = Path(made.name)
    path.write_bytes(made.content)
    commands = list(_commands(Random(f"{seed}/{index}/commands"), made.name))
    for command in commands:
        verdict, said = judged(command)
        yield Outcome(index, made.kind, " ".join(command), verdict, said)
    path.unlink()


def _commands(random: Random, name: str) -> Iterator[list[str]]:
    """One `report` and one `diff`, with options now and then."""
    options = random.choice(
        (
            [],
            [],
            ["--details", "--percentiles", "--overview"],
            ["--csv=out.csv", "--force"],
            ["--csv=-"],
            ["--markdown=-"],
            ["--json=-"],
            ["--hgrm=out.hgrm", "--force"],
            ["--baseline=unix"],
            ["--claims"],
            ["good.json"],
        )
    )
    if random.randrange(_A_PAGE_IN) == 0:
        options = ["--html=out.html", "--force"]
    yield ["report", name, *options]
    files = random.choice((["good.json", name], [name, "good.json"], [name, name]))
    gates = ["--fail-if=latency>5%", "--fail-if=p99>5%", "--fail-if=cpu latency/*>5%"]
    told = [*gates, "--junit=out.xml", "--force"]
    yield ["diff", *files, *random.choice(([], gates, told, ["--json=-"]))]


def judged(command: Sequence[str]) -> tuple[Verdict, str]:
    """The verdict on a finished command, and the problem if it is `wrong`."""
    for old in Path.cwd().glob("out*"):
        old.unlink()
    out, err = _stream(), _stream()
    with warnings.catch_warnings(record=True) as warned, redirect_stdout(out), redirect_stderr(err):
        warnings.simplefilter("always")
        try:
            code = ipcbench(command)
        except BaseException as error:
            return "wrong", f"{type(error).__name__}: {error}"
    if warned:
        return "wrong", f"warned: {warned[0].message}"
    return _judged(code, _text(out), _text(err))


def _judged(code: int, out: str, err: str) -> tuple[Verdict, str]:
    lines = err.split("\n")[:-1]
    written = [path.read_text(encoding="utf-8") for path in Path.cwd().glob("out*")]
    for text in (out, err, *written):
        seen = text.replace("\n", "")
        if not seen.isprintable():
            return "wrong", f"shows {next(one for one in seen if not one.isprintable())!r}"
        if text.startswith((PAGE_START, *MARKDOWN_STARTS)) and _MARKUP.search(text):
            return "wrong", f"markup of a file's: {_MARKUP.pattern}"
    tables_on_stderr = out.startswith((CSV_HEADER, JSON_START, *MARKDOWN_STARTS))
    if not tables_on_stderr and not all(line.startswith("ipcbench: ") for line in lines):
        return "wrong", f"on stderr: {err[:500]}"
    if code == EXIT_USAGE and len(lines) == 1 and not out and not written:
        return "refused", lines[0]
    if code not in {EXIT_OK, EXIT_GATE_TRIPPED, EXIT_NOT_JUDGED}:
        return "wrong", f"exit code {code}, {len(lines)} lines: {err[:500]}"
    if out.startswith(JSON_START):
        try:
            json.loads(out, parse_constant=_refuse)
        except ValueError as error:
            return "wrong", f"no JSON: {error}"
    tables = [out] if out.startswith(CSV_HEADER) else []
    tables += [path.read_text(encoding="utf-8") for path in Path.cwd().glob("out.csv")]
    for row in (row for table in tables for row in csv.reader(io.StringIO(table))):
        for cell in row:
            if cell.startswith(FORMULA_STARTS) and not _is_number(cell):
                return "wrong", f"a formula: {cell[:60]!r}"
    return "shown", ""


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _stream() -> io.TextIOWrapper:
    """A stream that takes what a terminal in UTF-8 would take, and no lone surrogate."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode("utf-8")


def table(outcomes: Sequence[Outcome]) -> str:
    """Outcomes by how the files came to be."""
    counts = Counter((one.kind, one.verdict) for one in outcomes)
    lines = [f"{'mutation':<18}{'shown':>8}{'refused':>9}{'wrong':>7}"]
    for kind in sorted({one.kind for one in outcomes}):
        shown, refused, wrong = (counts[kind, verdict] for verdict in ("shown", "refused", "wrong"))
        lines.append(f"{kind:<18}{shown:>8}{refused:>9}{wrong:>7}")
    total = Counter(one.verdict for one in outcomes)
    lines.append(f"{'all':<18}{total['shown']:>8}{total['refused']:>9}{total['wrong']:>7}")
    return "\n".join(lines)


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.faults.hostile", description=__doc__)
    options.add_argument("--count", type=int, default=10_000, help="how many files")
    options.add_argument("--first", type=int, default=0, help="the index of the first")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", type=int, metavar="INDEX", help="write this file to stdout")
    args = options.parse_args()
    if args.only is not None:
        made = hostile_file(args.only, args.seed)
        sys.stdout.buffer.write(made.content)
        return 0
    began_s = time.monotonic()
    outcomes = run(args.count, args.seed, args.first)
    took_s = time.monotonic() - began_s
    print(table(outcomes))
    print(f"{args.count} files, seed {args.seed}, {args.count / took_s:.0f} a second")
    wrong = [one for one in outcomes if one.verdict == "wrong"]
    for one in wrong[:20]:
        print(f"wrong: --seed {args.seed} --only {one.number} ({one.kind}): {one.command!r}")
        print(f"       {one.said!r}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
