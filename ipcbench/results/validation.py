"""Validates the text of a results file. Pure.

A file may come from anybody. Each value that a frame, a statistic or a table reads is checked for
its type and range, the size and depth of the file are bounded (`bounded_json`), and all text is
sanitised for display. Every error is a ResultsError that names the case and the key; its message
continues a sentence that begins with the file's name.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import pyperf

from ipcbench.case import Case, cpus_placement, placement_of_cpus
from ipcbench.errors import ResultsError, UsageError
from ipcbench.results.bounded_json import (
    brief,
    brief_error,
    check,
    excess_of,
    items_of,
    object_at,
    parsed_json,
    wrong,
)
from ipcbench.results.intent import Intent
from ipcbench.results.metadata import FORMAT_KEY, LOOPS, REQUIRED, rule_of
from ipcbench.results.migration import FORMAT, READABLE, upgraded
from ipcbench.results.rules import NAME_PATTERN, TEXT, like, number, one_of
from ipcbench.terms import TERM_PATTERN
from ipcbench.text import printable

OUR_KEY = "ipcbench"
"""Top-level key of a file for the data that pyperf has no place for."""

Status = Literal["n/a", "failed"]
"""The kind of reason why a case has no number: it is impossible, or its launch failed."""

_JOURNAL_KEY = "journal"
"""Key beside the plan: the token of the journal that belongs to the file."""
_PYPERF_VERSION = "1.0"
_MOST_CASES = 20_000
_MOST_LAUNCHES = 100_000
"""Launches of one case; ipcbench would take days to measure more."""
_MOST_NAMES = 256
"""Distinct transports, sizes or CPUs in one file; they are the rows and columns of tables."""
_MOST_KEYS = 1_000
"""Distinct metadata names in one file; each is a column of the frame of launches."""
_LARGEST_SIZE = 2**48
_LONGEST_NAME = 400

_TIME = number(1e-15, 1e9)
"""Seconds a message. No machine comes near the bounds; arithmetic within them can't overflow."""
_TOKEN = like(re.compile("[0-9a-f]{16}", re.ASCII), "16 hexadecimal digits")
_WARMUP_TIME = number(0, 1e9)


def parsed(text: str) -> Mapping[str, Any]:
    """Parses a JSON text of bounded depth and size into its outermost object.

    Raises ResultsError.
    """
    if excess := excess_of(text):
        raise ResultsError(f"holds {excess}; report its runs one by one")
    data = parsed_json(text)
    if not isinstance(data, dict) or "benchmarks" not in data:
        raise ResultsError("is not a pyperf file; give a file that ipcbench wrote")
    return data


class JournalEntries(NamedTuple):
    """Launches and reasons that a journal adds to its file, validated in form only."""

    launches: Sequence[Mapping[str, Any]] = ()
    unmeasured: Sequence[object] = ()


def may_have_journal(text: str) -> bool:
    """Whether the text of a file may name a journal; most don't, and needn't be parsed twice."""
    return f'"{_JOURNAL_KEY}"' in text and OUR_KEY in text


def read_token(data: Mapping[str, Any]) -> str | None:
    """Reads the token of the journal that belongs to a file; None for none. Raises ResultsError."""
    token = object_at(data.get(OUR_KEY, {}), "the file", OUR_KEY).get(_JOURNAL_KEY)
    if token is None:
        return None
    check(_TOKEN, token, "the file", _JOURNAL_KEY)
    return str(token)


def read_journal(text: str, token: str | None) -> JournalEntries:
    """Reads the lines of a journal, if it has this token. Raises ResultsError for a bad one.

    The last line is dropped if it isn't whole: a process was killed, or the power cut, as it was
    written.
    """
    header, *lines = text.split("\n")[:-1] or [""]  # what follows the last end of a line is torn
    if token is None or _header_token(header) != token:
        return JournalEntries()
    if excess := excess_of(text):
        raise ResultsError(f"has a journal of {excess}")
    launches: list[Mapping[str, Any]] = []
    unmeasured: list[object] = []
    for place, line in enumerate(lines, 2):
        where = f"line {place} of its journal"
        try:
            entry = parsed_json(line)
        except ResultsError:
            if place == len(lines) + 1:
                break
            raise
        match object_at(entry, "the file", where):
            case {"launch": launch, **others} if not others:
                launches.append(object_at(launch, where, "launch"))
            case {"unmeasured": item, **others} if not others:
                unmeasured.append(item)
            case _:
                raise ResultsError(f"has a journal that can't be read: {where} is no entry")
    return JournalEntries(launches, unmeasured)


def _header_token(line: str) -> object:
    """The token in the first line of a journal; None if that is no header of a readable one."""
    try:
        header = parsed_json(line)
    except ResultsError:
        return None
    is_header = isinstance(header, dict) and header.get("ipcbench_journal") in READABLE
    return header.get("token") if is_header else None


def read_suite(
    data: Mapping[str, Any], more: Sequence[Mapping[str, Any]] = ()
) -> pyperf.BenchmarkSuite | None:
    """Reads the launches from a file's data, and `more` of its journal; None if there are none.

    Raises ResultsError.
    """
    benchmarks = items_of(data["benchmarks"], "the file", "benchmarks", _MOST_CASES)
    if data.get("version") != _PYPERF_VERSION:
        shown = brief(data.get("version"))
        raise ResultsError(f"is not a readable pyperf file: its version is {shown}, not 1.0")
    for one in benchmarks:
        _check_ours(data, one)
    common = _metadata_of(data, "the file")
    groups = [
        _launches_of(one, f"benchmark {number}", common) for number, one in enumerate(benchmarks, 1)
    ]
    later = _by_name(more)
    for group in groups:
        group.extend(later.pop(str(group[0][1].get("name")), []))
    groups = [*groups, *later.values()]
    if len(groups) > _MOST_CASES:
        raise ResultsError(f"holds more than {_MOST_CASES} cases")
    read = [_benchmark(group, f"benchmark {number}") for number, group in enumerate(groups, 1)]
    cases = [Case.parse(bench.get_name()) for bench in read]
    _check_different(cases, "benchmarks")
    _check_names(cases)
    _check_keys(read)
    return pyperf.BenchmarkSuite(read) if read else None


def read_unmeasured(
    data: Mapping[str, Any], more: Sequence[object] = ()
) -> Sequence[tuple[Case, Status, str]]:
    """Reads the cases without a number, of the file and `more` of its journal.

    Yields each with status and reason. Raises ResultsError.
    """
    if OUR_KEY not in data:
        return []
    ours = object_at(data[OUR_KEY], "the file", OUR_KEY)
    if ours.get("format", FORMAT) not in READABLE:
        raise _other_format(ours["format"])
    items = items_of(ours.get("unmeasured", []), "the file", "unmeasured", _MOST_CASES)
    items = items_of([*items, *more], "the file", "unmeasured", _MOST_CASES)
    read = [_unmeasured(item, number) for number, item in enumerate(items, 1)]
    cases = [case for case, _, _ in read]
    _check_different(cases, "unmeasured cases")
    _check_names(cases)
    return read


def read_intent(data: Mapping[str, Any]) -> Intent | None:
    """Reads the run's plan from a file's data; None if there is none. Raises ResultsError."""
    plan = object_at(data.get(OUR_KEY, {}), "the file", OUR_KEY).get("plan")
    try:
        return None if plan is None else Intent.parse(plan)
    except ResultsError as error:
        raise ResultsError(brief_error(error)) from error


def _unmeasured(item: object, number: int) -> tuple[Case, Status, str]:
    where = f"unmeasured case {number}"
    fields = object_at(item, "the file", where)
    case = _case(fields.get("case"), where)
    check(TEXT, fields.get("reason"), case.id, "reason")
    check(one_of(*get_args(Status)), fields.get("status"), case.id, "status")
    return case, fields["status"], fields["reason"]


_Launches = list[tuple[Mapping[str, Any], dict[str, Any]]]
"""Launches as a file has them, each with its metadata in the current format."""


def _by_name(launches: Sequence[Mapping[str, Any]]) -> dict[str, _Launches]:
    """The launches of a journal by the name of their case."""
    groups: dict[str, _Launches] = {}
    for place, launch in enumerate(launches, 1):
        where = f"launch {place} of its journal"
        metadata = upgraded(_metadata_of(launch, where))
        groups.setdefault(_case(metadata.get("name"), where).id, []).append((launch, metadata))
    return groups


def _launches_of(data: object, where: str, common: Mapping[str, Any]) -> _Launches:
    """The launches of a benchmark; at least one."""
    fields = object_at(data, "the file", where)
    shared = {**common, **_metadata_of(fields, where)}
    launches = items_of(fields.get("runs"), where, "runs", _MOST_LAUNCHES)
    if not launches:
        raise wrong(where, "runs", launches, "a list of launches")
    every: _Launches = []
    for one in launches:
        launch = object_at(one, where, "a launch")
        every.append((launch, upgraded({**shared, **_metadata_of(launch, where)})))
    return every


def _benchmark(every: _Launches, where: str) -> pyperf.Benchmark:
    if len(every) > _MOST_LAUNCHES:
        raise ResultsError(f"holds too much: {where} has more than {_MOST_LAUNCHES} launches")
    case = _case(every[0][1].get("name"), where)
    runs = [
        _run(launch, metadata, f"{case.id}, launch {place}")
        for place, (launch, metadata) in enumerate(every, 1)
    ]
    _check_launches(case, [metadata for _, metadata in every])
    try:
        return pyperf.Benchmark(runs)
    except (ValueError, TypeError) as error:
        raise ResultsError(f"contradicts itself: {case.id}: {brief_error(error)}") from error


def _check_ours(data: Mapping[str, Any], benchmark: object) -> None:
    """Raises ResultsError if another program wrote this benchmark, or in another format.

    Comes before every other check, since those assume ipcbench's metadata.
    """
    runs = benchmark.get("runs") if isinstance(benchmark, dict) else None
    launch = runs[0] if isinstance(runs, list) and runs else None
    levels = [one.get("metadata") for one in (data, benchmark, launch) if isinstance(one, dict)]
    found: dict[str, Any] = {}
    for level in levels:
        found |= level if isinstance(level, dict) else {}
    name, written = found.get("name"), found.get(FORMAT_KEY)
    if name is not None and written is None:
        raise ResultsError(f"isn't ipcbench's: {brief(name)} is not one of its cases")
    if written is not None and written not in READABLE:
        raise _other_format(written)


def _run(launch: Mapping[str, Any], metadata: Mapping[str, Any], where: str) -> pyperf.Run:
    missing = [key for key in REQUIRED if key not in metadata]
    if missing:
        raise ResultsError(f"lacks something: {where} has no {missing[0]}")
    values = items_of(launch.get("values"), where, "values")
    if not values:
        raise wrong(where, "values", values, "a list of times")
    for value in values:
        check(_TIME, value, where, "a value")
    warmups = items_of(launch.get("warmups", []), where, "warmups")
    for warmup in warmups:
        if len(items_of(warmup, where, "a warmup", 2)) != 2:
            raise wrong(where, "a warmup", warmup, "a list of a count and a time")
        check(LOOPS, warmup[0], where, "loops of a warmup")
        check(_WARMUP_TIME, warmup[1], where, "a warmup")
    try:
        return pyperf.Run(
            values,
            warmups=[tuple(warmup) for warmup in warmups],
            metadata=dict(metadata),
            collect_metadata=False,
        )
    except (ValueError, TypeError) as error:  # pyperf's own rules for its own metadata
        raise ResultsError(f"holds a wrong value: {where}: {brief_error(error)}") from error


def _check_launches(case: Case, launches: Sequence[Mapping[str, Any]]) -> None:
    """Raises ResultsError unless these are distinct launches of one case."""
    seen = set()
    shared = {**case._asdict(), "name": case.id, "role": launches[0]["role"]}
    for place, metadata in enumerate(launches, 1):
        where = f"{case.id}, launch {place}"
        if metadata[FORMAT_KEY] != FORMAT:
            raise _other_format(metadata[FORMAT_KEY])
        for key, same in shared.items():
            if key in metadata and metadata[key] != same:
                raise wrong(where, key, metadata[key], repr(same))
        launch = metadata["run_id"], metadata["round"]
        if launch in seen:
            raise ResultsError(f"holds a launch twice: {where} is round {launch[1]} once more")
        seen.add(launch)


def _metadata_of(fields: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The metadata at one level of a file, each value checked, all text sanitised."""
    return {
        key: _metadatum(key, value, where)
        for key, value in object_at(fields.get("metadata", {}), where, "metadata").items()
    }


def _metadatum(key: str, value: object, where: str) -> object:
    if NAME_PATTERN.fullmatch(key) is None:
        raise ResultsError(f"holds a wrong name: {where}: {brief(key)} is not a metadata's name")
    check(rule_of(key), value, where, key)
    return printable(value.strip()) if isinstance(value, str) else value


def _case(name: object, where: str) -> Case:
    """The case with this id. Raises ResultsError unless it is spelled as ipcbench spells it."""
    if not isinstance(name, str) or len(name) > _LONGEST_NAME:
        raise wrong(where, "its case", name, "a case's name")
    try:
        case = Case.parse(name)
    except (UsageError, ValueError) as error:
        raise ResultsError(f"isn't ipcbench's: {brief_error(error)}") from error
    cpus = placement_of_cpus(case.placement)
    spelled = case if cpus is None else case._replace(placement=cpus_placement(*cpus))
    if spelled.id != name or not TERM_PATTERN.fullmatch(case.transport):
        raise ResultsError(f"isn't ipcbench's: {brief(name)} is not how it writes a case")
    if case.message_size_bytes > _LARGEST_SIZE:
        raise wrong(case.id, "message size", case.message_size_bytes, "one that memory can hold")
    fixed = case.definition.fixed_size_bytes
    if fixed is not None and case.message_size_bytes != fixed:
        size = "one byte" if fixed == 1 else f"{fixed} bytes"
        wanted = f"the {size} of a {case.workload}"
        raise wrong(case.id, "message size", case.message_size_bytes, wanted)
    return case


def _check_different(cases: Sequence[Case], what: str) -> None:
    seen = set()
    for case in cases:
        if case in seen:
            raise ResultsError(f"holds a case twice: two {what} are {case.id}")
        seen.add(case)


def _check_names(cases: Iterable[Case]) -> None:
    """Raises ResultsError if the cases name too much for a table."""
    transports, sizes, interpreters = set(), set(), set()
    cpus: set[int] = set()
    for case in cases:
        transports.add(case.transport)
        sizes.add(case.message_size_bytes)
        interpreters.add(case.interpreter)
        cpus.update(placement_of_cpus(case.placement) or ())
    for what, names in (
        ("transports", transports),
        ("sizes", sizes),
        ("interpreters", interpreters),
        ("CPUs", cpus),
    ):
        if len(names) > _MOST_NAMES:
            raise ResultsError(f"holds {len(names)} {what}; at most {_MOST_NAMES} can be shown")


def _check_keys(benchmarks: Iterable[pyperf.Benchmark]) -> None:
    keys: set[str] = set()
    for metadata in _every_metadata(benchmarks):
        keys |= metadata.keys()
        if len(keys) > _MOST_KEYS:
            raise ResultsError(f"holds more than {_MOST_KEYS} different names of metadata")


def _every_metadata(benchmarks: Iterable[pyperf.Benchmark]) -> Iterator[dict[str, Any]]:
    return (run.get_metadata() for bench in benchmarks for run in bench.get_runs())


def _other_format(written: object) -> ResultsError:
    return ResultsError(f"has format {brief(written)}; this ipcbench reads format 1 to {FORMAT}")
