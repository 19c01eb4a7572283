"""The one table of metadata: what is recorded of a launch, and who makes what of it. Pure.

A new fact is a row here. A name without a row is allowed where its ending tells its unit, or as any
number or text: pyperf records what it likes, and a transport the sizes of its own buffers.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, get_args

from ipcbench.errors import UsageError
from ipcbench.results import load
from ipcbench.results.histogram import HISTOGRAM_KEY
from ipcbench.results.keys import Key
from ipcbench.results.rules import (
    NAME_PATTERN,
    SCALAR,
    TEXT,
    ValueRule,
    histogram,
    like,
    number,
    one_of,
    whole,
)
from ipcbench.results.surroundings import OF_LAUNCHES, OF_RUNS
from ipcbench.terms import SETTINGS_PATTERN, TERM_PATTERN, parse_settings
from ipcbench.units import display_age, display_percent, display_size
from ipcbench.workloads import MOST_CLIENTS, SERVER_MODELS

Role = Literal["mechanism", "floor", "ceiling", "control"]
"""A transport's part in the tables; `control`, in early files, is both floor and ceiling."""
MECHANISM: Role = "mechanism"
"""The role of what is compared; every other one is that of a control, which bounds it.

Where the baseline is a control, the controls are compared, too.
"""

FORMAT_KEY = "ipcbench_format"
QUESTION_KEY = "question"
"""Metadata of what the run was to answer: `compare`, `claims`, or the name of a bench script."""
AGAIN_KEY = "again"
"""Metadata of the command that measures the same cases in the same order."""
INTERPRETERS_KEY = "interpreters"
"""Metadata of the labels of a run's interpreters, with commas between, the first one first."""
RETRIED_KEY = "retried_after"
"""Metadata of a launch that was a retry: the reason why the first try failed."""

ASKED_KEY = "knobs_asked"
"""Metadata of the transport's knobs that were set, as behind its name: `sndbuf=4k:rcvbuf=4k`."""
CLIENT_KNOBS_KEY = "knobs_client"
"""Metadata of all its knobs that could be read back at the client, with the values in force."""
SERVER_KNOBS_KEY = "knobs_server"
"""The same at the server."""

PACKAGE_KEY = "transport_package"
"""Metadata of the package, with its version, that a transport of another package comes from."""
THREADS_CLIENT_KEY = "threads_client_count"
"""Metadata of the threads that the client's process has between its batches."""
THREADS_SERVER_KEY = "threads_server_count"
"""Metadata of the same at the server."""

PLUGINS_KEY = "plugins"
"""Metadata of all such packages of a run, with what each is for: `seqpair of outside 1.0`."""

EVIDENCE_KEY = "evidence"
"""Metadata of what the kernel's tables showed, in words."""
OUTCOME_KEY = "evidence_outcome"
"""Metadata of what that means, one of OUTCOMES."""
CONFIRMED = "proved"
OUTCOMES = (CONFIRMED, "refuted", "not witnessed")

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_LABELS = re.compile(rf"{NAME_PATTERN.pattern}(,{NAME_PATTERN.pattern})*", re.ASCII)
LOOPS = whole(1, 10**11)


def _are_settings(value: object) -> bool:
    if not isinstance(value, str) or SETTINGS_PATTERN.fullmatch(value) is None:
        return False
    try:
        return bool(parse_settings(value))
    except UsageError:
        return False


def _private(name: str) -> Key:
    return Key(name, "run", None, is_private=True)


_NAME = like(NAME_PATTERN, "a name")
_CPU = whole(0, 99_999)
_THREADS = whole(1, 10**6)
_CLIENT = whole(1, MOST_CLIENTS)
_SETTINGS = ValueRule("knobs with their values, each knob once", _are_settings)
_ROLE = one_of(*get_args(Role))

KEYS = (
    # Of a run, in the order in which a page has them.
    Key("run_id", "run", "run", _NAME, is_required=True, is_inherited=True),
    Key(QUESTION_KEY, "run", "question", TEXT, is_inherited=True),
    Key("command", "run", "command", TEXT, is_required=True, is_inherited=True),
    Key(AGAIN_KEY, "run", None, TEXT, is_inherited=True),
    Key("seed", "run", "seed", whole(0), 17, is_required=True),
    Key("baseline", "run", "baseline", like(TERM_PATTERN, "the name of a transport"), None, True),
    Key(
        INTERPRETERS_KEY,
        "run",
        "interpreters",
        like(_LABELS, "labels of interpreters with commas between"),
        is_inherited=True,
    ),
    Key("target_ratio", "run", "precision asked for", number(1e-9, 1e9)),
    Key("ipcbench_version", "run", "ipcbench", TEXT, 16, is_required=True, cautions=True),
    Key("code_version", "run", "code", TEXT, is_same_to_resume=True),
    Key("versions", "run", "libraries", TEXT, is_same_to_resume=True, cautions=True),
    Key(PLUGINS_KEY, "run", "plug-ins", TEXT, is_same_to_resume=True),
    Key("perf_version", "run", "pyperf"),
    Key("python", "run", "Python", TEXT, 15, True, cautions=True, is_same_to_resume=True),
    Key("python_compiler", "run", "Python's compiler", cautions=True),
    Key(
        "machine",
        "run",
        "machine",
        like(_SLUG, "a machine's name of lower-case words and hyphens"),
        9,
        is_required=True,
        cautions=True,
        is_same_to_resume=True,
    ),
    Key("cpu_model", "run", "CPU", TEXT, 10, is_required=True, is_same_to_resume=True),
    Key("cpu_count", "run", "CPUs", whole(1, 10**6), 11, is_required=True),
    Key("virtualisation", "run", "virtualisation", TEXT, 12, is_required=True),
    Key("governor", "run", "CPU governor", TEXT, 13, cautions=True),
    Key("cpu_freq", "launch", "CPU frequency"),
    Key("cpu_config", "run", "CPU settings", cautions=True),
    Key("cache_l1d_bytes", "run", "L1d cache", cautions=True),
    Key("cache_l2_bytes", "run", "L2 cache", cautions=True),
    Key("cache_l3_bytes", "run", "L3 cache", cautions=True),
    Key("kernel", "run", "kernel", TEXT, 14, True, cautions=True, is_same_to_resume=True),
    Key("platform", "run", "platform"),
    Key("aslr", "run", "address layout", cautions=True),
    Key("timer", "run", "clock"),
    *OF_RUNS,
    *load.OF_RUNS,
    Key("cpu_busy_before_run_ratio", "run", "CPUs busy before the run"),
    Key("noise_floor_ratio", "run", "noise floor of the machine"),
    Key("noise_floor_between_runs_ratio", "run", "noise floor between runs"),
    Key("noise_floor_age_s", "run", "age of the noise floor"),
    Key("noise_floor_kernel", "run", "kernel of the noise floor", TEXT),
    # Of a run, shown in another way or of no interest.
    Key("unit", "run", None, one_of("second")),
    Key("inner_loops", "run", "", whole(1, 1)),
    Key("cpu_quota", "run", None),  # pyperf's, of the process's own cgroup alone
    Key("python_version", "run", None),
    Key("python_implementation", "run", None),
    Key("cpu_model_name", "run", None),
    Key(FORMAT_KEY, "run", None, is_required=True),
    _private("hostname"),
    _private("python_executable"),
    _private("python_config_args"),
    _private("python_cflags"),
    _private("boot_time"),
    # Of a launch. One that is shown is so only where all launches of a run agree.
    Key("name", "launch", None, TEXT, is_required=True),
    Key("workload", "launch", None),
    Key("transport", "launch", None),
    Key("message_size_bytes", "launch", None),
    Key("loop", "launch", None),
    Key("placement", "launch", None),
    Key("interpreter", "launch", None),
    Key("python_gil", "launch", "GIL", one_of("on", "off"), cautions=True),
    Key("role", "launch", None, _ROLE, is_required=True),
    Key("round", "launch", None, whole(1, 10**9), is_required=True),
    Key("loops", "launch", None, LOOPS, is_required=True),
    Key("run_elapsed_s", "launch", None, is_required=True),
    Key("messages_checked", "launch", None, whole(0, 10**12), is_required=True),
    Key("date", "launch", None, TEXT, 18),
    Key("duration", "launch", None),
    Key(EVIDENCE_KEY, "launch", None, TEXT),
    Key(OUTCOME_KEY, "launch", None, one_of(*OUTCOMES)),
    Key(RETRIED_KEY, "launch", "", TEXT),
    Key(HISTOGRAM_KEY, "launch", None, histogram("round trips")),
    Key("cpu_client", "launch", None, _CPU, 0, cautions=True, said="client's CPU"),
    Key("cpu_server", "launch", None, _CPU, 1, cautions=True, said="server's CPU"),
    Key("cpus_seen_client", "launch", None, TEXT, 2),
    Key("cpus_seen_server", "launch", None, TEXT, 3),
    Key(
        "client_so_sndbuf_bytes",
        "launch",
        "client's SO_SNDBUF",
        None,
        4,
        cautions=True,
        knob="sndbuf",
    ),
    Key(
        "server_so_rcvbuf_bytes",
        "launch",
        "server's SO_RCVBUF",
        None,
        5,
        cautions=True,
        knob="rcvbuf",
    ),
    Key("client_pipe_size_bytes", "launch", "client's pipe", None, 6, cautions=True, knob="size"),
    Key(
        "client_shared_memory_size_bytes",
        "launch",
        "client's shared memory",
        None,
        7,
        cautions=True,
    ),
    Key("client_so_rcvbuf_bytes", "launch", "client's SO_RCVBUF", cautions=True, knob="rcvbuf"),
    Key("server_so_sndbuf_bytes", "launch", "server's SO_SNDBUF", cautions=True, knob="sndbuf"),
    Key("server_pipe_size_bytes", "launch", "server's pipe", cautions=True, knob="size"),
    Key("client_ring_slots_count", "launch", None, None, 8, cautions=True, said="ring slots"),
    Key(ASKED_KEY, "launch", None, _SETTINGS, 19),
    Key(
        CLIENT_KNOBS_KEY,
        "launch",
        None,
        _SETTINGS,
        20,
        cautions=True,
        is_missed=True,
        said="knobs in force (congestion control)",
    ),
    Key(SERVER_KNOBS_KEY, "launch", None, _SETTINGS, 21, cautions=True),
    Key("cpu_busy_client_ratio", "launch", None, said="share of the time that the client ran"),
    Key("cpu_queued_client_ratio", "launch", None, said="and waited for a CPU"),
    Key("cpu_busy_server_ratio", "launch", None, said="share of the time that the server ran"),
    Key("cpu_queued_server_ratio", "launch", None, said="and waited for a CPU"),
    Key("gap_in_force_s", "launch", None, said="the gap before a message"),
    Key("window_filled_ratio", "launch", None, said="messages in flight, as a share of the window"),
    Key("clients_count", "launch", None, said="clients of one server"),
    Key("readers_count", "launch", None, said="readers of one writer"),
    Key(
        "server_model",
        "launch",
        None,
        one_of(*SERVER_MODELS),
        cautions=True,
        said="how the server serves its clients",
    ),
    Key("crowd_messages_per_s", "launch", None, number(0, 1e12), said="of all clients together"),
    Key("crowd_window_s", "launch", None, said="the time in which all clients were at work"),
    Key("crowd_batches_repeated_count", "launch", None, said="batches with no time common to all"),
    Key("fairness_jain_ratio", "launch", None, number(0, 1), said="Jain's index of the clients"),
    Key("fairness_least_ratio", "launch", None, number(0, 1), said="the least served, to the mean"),
    Key("fairness_most_ratio", "launch", None, said="the most served, to the mean"),
    Key("fairness_least_client", "launch", None, _CLIENT, said="number of the least served"),
    Key("fairness_most_client", "launch", None, _CLIENT, said="number of the most served"),
    Key("rss_server_bytes", "launch", None, said="memory of the server, shared pages too"),
    Key("pss_server_bytes", "launch", None, said="memory of the server, its share of each page"),
    Key("private_server_bytes", "launch", None, said="memory of the server alone"),
    Key("link_idle_bytes", "launch", None, said="memory of an idle link in the kernel"),
    Key("link_limit_bytes", "launch", None, said="memory of a link with full buffers"),
    Key("link_slabs_bytes", "launch", None, said="inodes and open files of a link"),
    Key("link_memory", "launch", None, TEXT, said="how the memory of a link was read"),
    Key("connect_failures", "launch", None, TEXT, said="failures of connect by errno"),
    Key("connect_failures_count", "launch", None, said="failures of connect"),
    Key("listen_overflows_count", "launch", None, said="connections a full queue dropped"),
    Key("listen_drops_count", "launch", None, said="connections that listeners dropped"),
    Key("cpuidle_client", "launch", None, TEXT, said="idle states of the client's CPU"),
    Key("cpuidle_server", "launch", None, TEXT, said="idle states of the server's CPU"),
    Key(PACKAGE_KEY, "launch", None, TEXT, 22, cautions=True, said="transport's package"),
    Key(THREADS_CLIENT_KEY, "launch", None, _THREADS, cautions=True, said="client's threads"),
    Key(THREADS_SERVER_KEY, "launch", None, _THREADS, cautions=True, said="server's threads"),
    *OF_LAUNCHES,
    *load.OF_LAUNCHES,
    Key("load_avg_1min", "launch", None),
    Key("mem_max_rss", "launch", None),
    Key("runnable_threads", "launch", None),
    Key("cpu_affinity", "launch", None),
    Key("command_max_rss", "launch", None, is_private=True),
    Key("uptime", "launch", None, is_private=True),
)
"""Every fact whose name is known."""

BY_NAME: Mapping[str, Key] = {key.name: key for key in KEYS}

_RULES_BY_ENDING = (
    ("_per_message", number(0, 1e12)),
    ("_s", number(0, 1e12)),
    ("_ratio", number(0, 1e9)),
    ("_count", whole(0, 10**12)),
    ("_bytes", whole(0, 10**15)),
)
"""Requirements by the unit that a name ends in."""

COLUMNS = tuple(
    key.name
    for key in sorted(
        (key for key in KEYS if key.column is not None), key=lambda key: key.column or 0
    )
)
"""Facts that the CSV repeats beside the numbers of each case, in its order."""

LATER_COLUMNS = (THREADS_CLIENT_KEY, THREADS_SERVER_KEY)
"""Such facts that are at the end of the CSV, where columns of before keep their places."""

REQUIRED = tuple(key.name for key in KEYS if key.is_required)
"""Facts that every launch must have."""

CAUTIONED = tuple(key for key in KEYS if key.cautions)
"""Facts that must be equal in two runs for a change between them to be due to the code."""

SAME_TO_RESUME = tuple(key.name for key in KEYS if key.is_same_to_resume)
"""Facts that must be unchanged to resume a run."""

INHERITED = tuple(key.name for key in KEYS if key.is_inherited)
"""Facts that the new launches of a resumed run have from the recorded ones."""

PRIVATE = frozenset(key.name for key in KEYS if key.is_private)
"""Facts that pyperf records and no file keeps."""

TITLES: Mapping[str, str] = {key.name: key.title for key in KEYS if key.title}
"""Titles of facts, in the order of a page; other facts follow under their own names."""

NOT_SHOWN = frozenset(key.name for key in KEYS if key.title is None)
"""Facts that a page doesn't list, however equal they are, or has in another place."""


@cache
def rule_of(name: str) -> ValueRule:
    """The requirement on the values of a name, by its row, else by its ending, else any scalar."""
    row = BY_NAME.get(name)
    if row is not None and row.rule is not None:
        return row.rule
    return next((rule for ending, rule in _RULES_BY_ENDING if name.endswith(ending)), SCALAR)


def displayed(name: str, value: Any) -> str:
    """A fact's value for people, by the unit that its name ends in."""
    if isinstance(value, str):
        return value
    if name.endswith("_age_s"):
        return display_age(float(value))
    if name.endswith("_bytes"):
        return display_size(value)
    return display_percent(float(value)) if name.endswith("_ratio") else str(value)
