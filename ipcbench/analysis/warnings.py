"""Objections to the measured numbers: rules that raise a flag, with a sentence and advice.

A rule gets the launches of one case and returns a sentence or None. It takes into account what the
user did already and doesn't advise it again.
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, assert_never

import pandas as pd

from ipcbench.analysis import crowd_flags, load_flags
from ipcbench.analysis.crowds import READERS_COLUMN
from ipcbench.analysis.launch_frame import MACHINE, Measurements
from ipcbench.analysis.load import (
    GENERATOR_LATE,
    NOT_STEADY,
    OVERLOADED,
    is_open_loop,
    is_part,
    judged,
)
from ipcbench.analysis.precision import precisions
from ipcbench.analysis.traps import trapped
from ipcbench.case import Case, is_on_one_cpu
from ipcbench.results.collection import Collection
from ipcbench.results.metadata import ASKED_KEY, MECHANISM
from ipcbench.results.store import RETRIED_KEY
from ipcbench.results.surroundings import (
    PERIODS_KEY,
    QUOTA_KEY,
    SMALL_PIPE,
    SOFT_PIPE_PAGES_KEY,
    THROTTLED,
    THROTTLED_KEY,
    THROTTLED_TIME_KEY,
)
from ipcbench.terms import parse_settings
from ipcbench.text import counted
from ipcbench.units import display_percent, display_size, display_time
from ipcbench.workloads import DEFINITIONS, Workload

_UNSTABLE = 0.10
_DRIFT = 0.10
_MODES_APART = 1.25
_MOST_FAULTS_A_VALUE = 10
_MOST_INVOLUNTARY = 0.05
_MANY_ROUNDS = 20
_MOST_BUSY = 0.1
_SURELY_FASTER = 1.1
_USUAL_PIPE_BYTES = 65536
"""The capacity of a pipe of 16 pages of 4 KiB; larger pages make larger pipes (pipe(7))."""
_USUAL_SOFT_PAGES = 16384
"""The default of fs.pipe-user-pages-soft (pipe(7))."""
IMPRECISE = "imprecise"
_FEWEST = 6
"""Fewest launches from which a shape can be distinguished from chance."""


class Objection(NamedTuple):
    """An objection to the numbers of one case, with the flag it raises."""

    flag: str
    case: str
    says: str
    machine: str
    """The key of the machine that the numbers are of."""


class FlagRule(NamedTuple):
    """A flag, and the function from a case's launches to the sentence that raises it, or None."""

    flag: str
    says: Callable[[pd.DataFrame], str | None]


def objections(results: Measurements, launches: pd.DataFrame) -> list[Objection]:
    """All objections to the cases with a number, machine by machine."""
    if launches.empty:
        return []
    found: list[Objection] = []
    for machine, own in launches.groupby(MACHINE, sort=False):
        found += [*_imprecise(results, own, str(machine)), *_suspect(own)]
        found += [*_trapped(own, str(machine)), *_of_cases(own)]
    return found + list(_partial(results, launches))


def _suspect(launches: pd.DataFrame) -> Iterator[Objection]:
    """Mechanisms that are faster than one copy of the payload, so that some of it was not moved."""
    medians = launches.groupby("case")["time_s"].median()
    counted = launches[launches["is_counted"] & (launches["role"] == MECHANISM)]
    for name, machine in counted[["case", MACHINE]].drop_duplicates().itertuples(index=False):
        case = Case.parse(str(name))
        ceiling = medians.get(case._replace(transport="memcpy").id)
        if ceiling is None or not _takes_a_copy(case.workload_name):
            continue
        if medians[name] < ceiling / _SURELY_FASTER:
            says = (
                f"it is {ceiling / medians[name]:.2f}x as fast as one copy of the payload;"
                " don't believe it before you know why"
            )
            yield Objection("suspect", case.id, says, machine)


def _trapped(launches: pd.DataFrame, machine: str) -> Iterator[Objection]:
    """Mechanisms in a known trap."""
    is_compared = launches["is_counted"] & (launches["role"] == MECHANISM) & ~is_part(launches)
    for one in trapped(launches[is_compared]):
        yield Objection(one.flag, one.case, one.says, machine)


def _takes_a_copy(workload: Workload) -> bool:
    """Whether a time of this workload can't be less than that of one copy of the payload."""
    quantity = DEFINITIONS[workload].quantity
    match quantity:
        case "message":
            return True
        case "round_trip" | "connection" | "response":  # which `memcpy` doesn't measure
            return False
        case _:
            assert_never(quantity)


def _imprecise(results: Measurements, launches: pd.DataFrame, machine: str) -> Iterator[Objection]:
    """Cases that are less precise than `--target` asked for."""
    target = launches["target_ratio"].max() if "target_ratio" in launches else None
    if target is None or pd.isna(target):
        return
    for one in precisions(results, str(launches["baseline"].iloc[-1]), machine):
        if not one.reaches(target):
            width = "unknown" if one.half_width is None else display_percent(one.half_width)
            says = (
                f"its interval's half width is {width} and {display_percent(target)} was asked"
                " for; give it a larger --budget"
            )
            yield Objection(IMPRECISE, one.case, says, machine)


def _of_cases(launches: pd.DataFrame) -> list[Objection]:
    counted = launches[launches["is_counted"]]
    return [
        objection
        for name, group in counted.groupby("case", sort=False)
        for objection in _of_case(str(name), group)
    ]


def _partial(results: Measurements, launches: pd.DataFrame) -> Iterator[Objection]:
    """Cases that have a number from some of the files only."""
    counted = launches[launches["is_counted"]]
    machines = dict(zip(counted["case"], counted[MACHINE], strict=True))
    for gap in results.gaps if isinstance(results, Collection) else ():
        item = gap.unmeasured
        says = f"it has no number in {gap.file} ({item.status}: {item.reason})"
        yield Objection("partial", item.case.id, says, machines[item.case.id])


def summarised(found: list[Objection]) -> list[str]:
    """A line a flag: the flag, the first case with its sentence, and the count of the others."""
    return [f"{flag}: {says}" for flag, says in by_flag(found).items()]


def by_flag(found: list[Objection]) -> dict[str, str]:
    """A line a flag, by flag: the first case with its sentence, and the count of the others."""
    lines = {}
    for flag in dict.fromkeys(warning.flag for warning in found):
        same = [warning for warning in found if warning.flag == flag]
        more = f" (and {counted(len(same) - 1, 'more case')})" if len(same) > 1 else ""
        lines[flag] = f"{same[0].case}: {same[0].says}{more}"
    return lines


def flags_by_case(found: list[Objection]) -> dict[tuple[str, str], str]:
    """The flags by machine and case, as the CSV has them: `unstable;bimodal`."""
    flags: dict[tuple[str, str], dict[str, None]] = {}
    for warning in found:
        flags.setdefault((warning.machine, warning.case), {})[warning.flag] = None
    return {key: ";".join(names) for key, names in flags.items()}


def _of_case(name: str, group: pd.DataFrame) -> Iterator[Objection]:
    is_mechanism = group["role"].iloc[0] == MECHANISM
    rules: Sequence[FlagRule] = RULES
    if is_open_loop(group["workload"].iloc[0]):
        found = judged(group)
        # Past the knee the times tell how long was measured, and their shape nothing.
        is_steady = found is None or found.state == "ok"
        rules = (*OF_OPEN_LOOPS, *(rule for rule in RULES if is_steady or rule not in OF_SHAPES))
    for rule in rules:
        says = rule.says(group) if is_mechanism else None
        if says is not None:
            yield Objection(rule.flag, name, says, str(group[MACHINE].iloc[0]))


def _unstable(group: pd.DataFrame) -> str | None:
    if len(group) < _FEWEST:
        return None
    lower, upper = group["time_s"].quantile([0.25, 0.75])
    share = (upper - lower) / group["time_s"].median()
    if share <= _UNSTABLE:
        return None
    advice = (
        "this machine is not quiet: try another time"
        if len(group) >= _MANY_ROUNDS
        else "try more --rounds or a quieter machine"
    )
    return f"half of its launches spread over {display_percent(share)}; {advice}"


def _bimodal(group: pd.DataFrame) -> str | None:
    """Flags two clusters, each of a quarter of the launches or more, further apart than wide."""
    times = sorted(group["time_s"])
    least = max(2, len(times) // 4)
    if len(times) < _FEWEST + 2:
        return None
    for cut in range(least, len(times) - least + 1):
        widest = max(times[cut - 1] / times[0], times[-1] / times[cut])
        gap = times[cut] / times[cut - 1]
        if gap > _MODES_APART and gap > widest:
            ratio = statistics.median(times[cut:]) / statistics.median(times[:cut])
            return (
                f"its launches have two modes {ratio:.2f}x apart;"
                " neither is the median: read the launches in the JSON"
            )
    return None


_MANY = {"client": "clients_count", "server": READERS_COLUMN}
"""Columns of how many processes there are on a side."""


def _drift(group: pd.DataFrame) -> str | None:
    if len(group) < _FEWEST:
        return None
    ordered = group.sort_values(["run_elapsed_s"])["time_s"].tolist()
    third = len(ordered) // 3
    early, late = ordered[:third], ordered[-third:]
    change = statistics.median(late) / statistics.median(early) - 1
    apart = max(early) < min(late) or min(early) > max(late)
    if abs(change) <= _DRIFT or not apart:
        return None
    way = "slower" if change > 0 else "faster"
    return (
        f"became {display_percent(abs(change))} {way} from the first rounds to the last;"
        " ratios are paired by round, times are not"
    )


def _warming(group: pd.DataFrame) -> str | None:
    change = statistics.median(group["last_to_first_ratio"]) - 1
    if len(group) < _FEWEST or abs(change) <= _DRIFT:
        return None
    way = "slower" if change > 0 else "faster"
    return (
        f"its batches become {display_percent(abs(change))} {way} within a launch;"
        " try more --warmups"
    )


def _wrong_cpu(group: pd.DataFrame) -> str | None:
    for side in ("client", "server"):
        if f"cpus_seen_{side}" not in group or f"cpu_{side}" not in group:
            continue
        pinned = group[f"cpu_{side}"].astype("Int64").astype(str)
        seen = group[f"cpus_seen_{side}"]
        strayed = (pinned != seen) & seen.notna() & group[f"cpu_{side}"].notna()
        if strayed.any():
            wanted, got = pinned[strayed].iloc[0], seen[strayed].iloc[0]
            return f"its {side} was pinned to CPU {wanted} and ran on {got}; try other --cpus"
    return None


def _faults(group: pd.DataFrame) -> str | None:
    for side in ("client", "server"):
        key = f"page_faults_{side}_count"
        if key not in group:
            continue
        # Each of many has its own, and who is at all of their links has those of one of one.
        count = group[_MANY[side]].max() if _MANY[side] in group else 1
        ends = max(1, count)
        each = (group[key] / group["values_count"]).median() / ends
        if each > _MOST_FAULTS_A_VALUE:
            return (
                f"{each:.0f} page faults a batch in its {side};"
                " the time holds the kernel's mapping of memory too: free memory, or fewer bytes"
            )
    return None


def _crowded(group: pd.DataFrame) -> str | None:
    if is_on_one_cpu(str(group["placement"].iloc[0])):
        return None  # there each end pushes the other off, which is what is measured
    if _has_many(group):
        return None  # and so do many of one CPU
    for side in ("client", "server"):
        key = f"involuntary_switches_{side}_per_message"
        if key in group and (share := group[key].median()) > _MOST_INVOLUNTARY:
            return (
                f"its {side} was pushed off its CPU in {display_percent(share)} of messages;"
                " end other work, or try other --cpus"
            )
    return None


def _has_many(group: pd.DataFrame) -> bool:
    """Whether there are many clients or readers in these launches."""
    return any(key in group and bool(group[key].max() > 1) for key in _MANY.values())


def _loaded(group: pd.DataFrame) -> str | None:
    if "cpu_busy_before_run_ratio" not in group:
        return None
    busy = group["cpu_busy_before_run_ratio"].max()
    if busy <= _MOST_BUSY:
        return None
    return f"others used {display_percent(busy)} of the CPUs just before the run; end other work"


def _retried(group: pd.DataFrame) -> str | None:
    if RETRIED_KEY not in group:
        return None
    reasons = group[RETRIED_KEY].dropna()
    if reasons.empty:
        return None
    return (
        f"launches that failed and were tried once more: {len(reasons)} of {len(group)};"
        f" the first: {reasons.iloc[0]}"
    )


def _strangers(group: pd.DataFrame) -> str | None:
    count = group["server_strangers_count"].sum() if "server_strangers_count" in group else 0
    if not count:
        return None
    dropped = counted(int(count), "stranger was", "strangers were")
    return f"{dropped} dropped: something on this machine connects to our ports; find and end it"


def _throttled(group: pd.DataFrame) -> str | None:
    if THROTTLED_KEY not in group:
        return None
    stops, periods = (int(group[key].sum()) for key in (THROTTLED_KEY, PERIODS_KEY))
    if not stops:
        return None
    quota = group[QUOTA_KEY].iloc[0] if QUOTA_KEY in group else "unknown"
    return (
        f"a CPU quota ({quota}) stopped it in {stops} of {counted(periods, 'period')} of its"
        f" batches, for {display_time(group[THROTTLED_TIME_KEY].sum())} of CPU time in all;"
        " measure without the quota: ipcbench doctor says who can lift it"
    )


def _small_pipe(group: pd.DataFrame) -> str | None:
    """Flags pipes that the kernel made smaller than usual, where no size was asked for."""
    key = "client_pipe_size_bytes"
    if key not in group or "size" in _asked_knobs(group):
        return None
    least = group[key].min()
    if pd.isna(least) or least >= _USUAL_PIPE_BYTES:
        return None
    pages = group[SOFT_PIPE_PAGES_KEY].iloc[0] if SOFT_PIPE_PAGES_KEY in group else None
    limit = "" if pages is None or pd.isna(pages) else f", which is {counted(int(pages), 'page')}"
    return (
        f"its pipe holds {display_size(least)} in place of the usual"
        f" {display_size(_USUAL_PIPE_BYTES)}: this user's pipes reached fs.pipe-user-pages-soft"
        f"{limit}; end programs that hold pipes, or have root raise it: sysctl -w"
        f" fs.pipe-user-pages-soft={_USUAL_SOFT_PAGES}"
    )


def _asked_knobs(group: pd.DataFrame) -> dict[str, str]:
    """The knobs that were set of a case's transport; empty in files of before."""
    asked = [] if ASKED_KEY not in group else group[ASKED_KEY].dropna().tolist()
    return parse_settings(str(asked[0])) if asked else {}


OF_OPEN_LOOPS = (
    FlagRule(GENERATOR_LATE, load_flags.generator_late),
    FlagRule(OVERLOADED, load_flags.overloaded),
    FlagRule(NOT_STEADY, load_flags.not_steady),
)
"""The rules that look at a case of the open loop, beside RULES."""

OF_SHAPES = (
    FlagRule("unstable", _unstable),
    FlagRule("bimodal", _bimodal),
    FlagRule("drift", _drift),
    FlagRule("warming", _warming),
)
"""The rules that look at how a case's times are spread."""

RULES = (
    *OF_SHAPES,
    FlagRule("wrong-cpu", _wrong_cpu),
    FlagRule("page-faults", _faults),
    FlagRule("crowded", _crowded),
    FlagRule(crowd_flags.UNFAIR, crowd_flags.unfair),
    FlagRule(crowd_flags.FULL_QUEUE, crowd_flags.full_queue),
    FlagRule("load", _loaded),
    FlagRule(THROTTLED, _throttled),
    FlagRule(SMALL_PIPE, _small_pipe),
    FlagRule("retried", _retried),
    FlagRule("strangers", _strangers),
)
"""Every rule that looks at a single case, in the order in which flags are listed."""
