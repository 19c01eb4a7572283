"""`ipcbench load`: peaks, then rates up to them; its file, its seed, and how it goes on."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import pytest

from ipcbench.case import LOOPS, Case
from ipcbench.measure import drivers
from ipcbench.results import store
from ipcbench.results.histogram import FROM_SENDING_KEY, HISTOGRAM_KEY, LATENESS_KEY, Histogram
from ipcbench.results.launches import Launch
from ipcbench.run.load import peaks_per_s, rate_of
from ipcbench.system.cpus import allowed_cpus
from tests.command import environment, ipcbench, until
from tests.plugged import on_path, package

pytestmark = [
    pytest.mark.early,
    pytest.mark.skipif(
        len(allowed_cpus()) < 2, reason="the generator and the server need a CPU each"
    ),
]

LITTLE = ("--sizes=64", "--values=1", "--warmups=1", "--min-time=5ms", "--no-lock", "--quiet")
ROUNDS = 3
AMPLE = "--budget=10m"
"""A machine that others use takes longer, and here no launch is to be missing."""


def _load(path: Path, *arguments: str, extra: Mapping[str, str] | None = None) -> str:
    """What `ipcbench load` says; it measures into this file."""
    given = ("load", *arguments, *LITTLE, AMPLE, "-o", str(path))
    done = ipcbench(*given, cwd=path.parent, extra=extra)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _launches(path: Path, of: str = "load") -> list[Launch]:
    """The launches of a workload in a file and its journal."""
    launches = store.load(path).launches() if path.exists() else ()
    return [one for one in launches if one.case.workload_name == of]


def _made(path: Path) -> list[tuple[str, int]]:
    """The case and round of each launch in a file and its journal."""
    launches = store.load(path).launches() if path.exists() else ()
    return sorted((one.case.id, one.round_number) for one in launches)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a small load of two mechanisms at shares of their peaks."""
    path = tmp_path_factory.mktemp("load") / "run.json"
    given = ("pipe", "unix", "--rates=20%,50%", f"--rounds={ROUNDS}", "--seed=5")
    path.with_suffix(".txt").write_text(_load(path, *given))
    return path


def test_each_mechanism_has_its_peak_and_its_rates_in_every_round(measured: Path) -> None:
    results = store.load(measured)
    assert results.unmeasured == {}
    assert results.intent is not None
    cases = [Case.parse(one) for one in results.intent.cases]
    for name in ("pipe", "unix"):
        workloads = [case.workload for case in cases if case.transport == name]
        assert [workload.partition(":")[0] for workload in workloads] == ["latency", "load", "load"]
    assert _made(measured) == sorted(
        (case.id, number) for case in cases for number in range(1, ROUNDS + 1)
    )


def test_rates_are_shares_of_the_peaks_of_the_first_stage(measured: Path) -> None:
    results = store.load(measured)
    assert results.intent is not None
    for peak in peaks_per_s(results):
        same = [case for case in map(Case.parse, results.intent.cases) if case[1:] == peak[1:]]
        rates = [case.arrivals.rate_per_s for case in same if case.arrivals is not None]
        assert rates == [rate_of(share, peaks_per_s(results)[peak]) for share in ("20%", "50%")]
        assert {case.flow.window for case in same} == {peak.flow.window}


def test_each_launch_of_a_load_has_its_rates_counts_and_times(measured: Path) -> None:
    for one in _launches(measured):
        facts, arrivals = one.facts, one.case.arrivals
        assert arrivals is not None
        sides = ("offered", "sent", "delivered")
        counts = [int(facts[f"load_{side}_count"]) for side in sides]
        assert counts == [facts["load_answered_count"]] * 3
        # With a value of one batch, and as many messages as a p99 takes at least.
        assert counts[0] >= 1000
        assert facts["load_offered_per_s"] == pytest.approx(arrivals.rate_per_s, rel=1e-3)
        assert float(facts["load_achieved_per_s"]) > 0
        assert isinstance(facts["load_delay_slope_ratio"], float)
        keys = (HISTOGRAM_KEY, FROM_SENDING_KEY, LATENESS_KEY)
        times = [Histogram.parse(str(facts[key])) for key in keys]
        assert [sum(histogram.counts.values()) for histogram in times] == counts
        assert times[0].most_ns >= max(times[1].most_ns, times[2].most_ns) * 0.98


def test_a_file_of_a_load_shows_the_tables_that_the_run_showed(measured: Path) -> None:
    again = ipcbench("report", str(measured))
    assert again.returncode == 0, again.stderr
    assert again.stdout == measured.with_suffix(".txt").read_text()
    assert again.stdout.startswith("Load (open loop), ")
    assert "witnessed by the kernel: 18 of 18 launches" in again.stdout


def test_a_file_is_judged_by_any_objective_without_measuring(measured: Path) -> None:
    before = measured.read_bytes()
    done = ipcbench("report", str(measured), "--slo", "max < 0.000001ms")
    assert done.returncode == 0, done.stderr
    assert "max < 1 ns" in done.stdout.partition("\n\n")[0]
    for name in ("pipe", "unix"):
        said = rf"{name} (doesn't hold|isn't known to hold) max < 1 ns"
        assert re.search(said, done.stdout), done.stdout
    assert "cut short" not in done.stdout
    assert measured.read_bytes() == before


def test_the_peaks_are_a_table_of_the_details(measured: Path) -> None:
    details = ipcbench("report", str(measured), "--details")
    assert details.returncode == 0, details.stderr
    assert "Load (open loop)" in details.stdout


def _offered(path: Path) -> dict[tuple[str, int], object]:
    return {
        (one.case.id, one.round_number): one.facts["load_offered_per_s"] for one in _launches(path)
    }


def test_a_seed_has_one_schedule_in_each_round_and_another_seed_another(tmp_path: Path) -> None:
    given = ("pipe", "--rates=5k", "--arrivals=poisson", "--rounds=2")
    found = []
    for number, seed in enumerate((7, 7, 8)):
        path = tmp_path / f"{number}.json"
        _load(path, *given, f"--seed={seed}")
        found.append(_offered(path))
    first, again, other = found
    assert first == again
    assert set(first) == set(other)
    assert all(first[key] != other[key] for key in first)
    assert len(set(first.values())) == 2, "each round has a schedule of its own"


def test_rates_that_are_given_are_measured_with_all_arrivals_and_loops(tmp_path: Path) -> None:
    loops = [loop for loop in LOOPS if drivers.unavailable(loop) is None]
    path = tmp_path / "run.json"
    given = ("sysv-shm", "--rates=1k,3k", "--arrivals=constant,poisson", "--rounds=1")
    _load(path, *given, f"--loop={','.join(loops)}", "--work=10us", "--in-flight=4")
    settings = ("window=4", "work=10us")
    workloads = {
        ":".join(("load", *rate, *arrivals, *settings))
        for rate in ((), ("rate=3000",))
        for arrivals in ((), ("arrivals=poisson",))
    }
    assert {(one.case.workload, one.case.loop) for one in _launches(path)} == {
        (workload, loop) for workload in workloads for loop in loops
    }
    for one in _launches(path):
        arrivals = one.case.arrivals
        assert arrivals is not None
        offered = float(one.facts["load_offered_per_s"])
        assert offered == pytest.approx(
            arrivals.rate_per_s, rel=0.2 if arrivals.is_random else 1e-3
        )


def test_what_has_one_message_in_flight_is_loaded_with_one(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    _load(path, "inet-udp", "--rates=1k", "--rounds=1")
    assert {name.partition("/")[0] for name, _ in _made(path)} == {"latency", "load"}


SLUGGISH = '''
import select
import time

from liars import Liar, count


class Sluggish(Liar):
    """The client's way to send takes its time with a busy CPU, now and then."""

    name = "sluggish"
    overlaps = True

    def lie(self, end):
        send, numbers = end.send, count()

        def slow():
            if next(numbers) % 20 == 0:
                until = time.perf_counter() + 0.003
                while time.perf_counter() < until:
                    pass
            send()

        end.send, reader = slow, end.shape.reader
        end.ready = lambda: bool(select.select([reader], [], [], 0)[0])
'''


def test_a_generator_that_is_throttled_on_purpose_is_told_as_late(tmp_path: Path) -> None:
    """It falls behind by 3 ms, and sends in a burst what was due: none of it is the server's."""
    (tmp_path / "sluggish.py").write_text(SLUGGISH)
    package(tmp_path, "throttled", {"sluggish": "sluggish:Sluggish"})
    path = tmp_path / "run.json"
    told = _load(path, "sluggish", "--rates=2k", "--rounds=5", extra=on_path(tmp_path))
    launches = _launches(path)
    for one in launches:
        late = Histogram.parse(str(one.facts[LATENESS_KEY]))
        response = Histogram.parse(str(one.facts[HISTOGRAM_KEY]))
        assert late.percentile_ns(0.99) > 0.1 * response.percentile_ns(0.5)
        assert late.percentile_ns(0.99) > 1e6
    # A server that others keep from its CPU does hold messages back: the median launch is judged.
    assert median(int(one.facts["load_window_full_count"]) for one in launches) <= 10
    assert "generator-late" in told


# ---- Going on.

LONG = ("pipe", "--rates=20%,50%", "--rounds=6", "--seed=3", *LITTLE, AMPLE)


def _killed(path: Path, is_time: Callable[[Sequence[tuple[str, int]]], bool]) -> None:
    """Begins a load, and kills it once its launches are such."""
    command = [sys.executable, "-m", "ipcbench", "load", *LONG, "-o", str(path)]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        until(process, lambda: is_time(_made(path)))
        process.send_signal(signal.SIGKILL)


def _in_peaks(made: Sequence[tuple[str, int]]) -> bool:
    return len(made) >= 1


def _in_rates(made: Sequence[tuple[str, int]]) -> bool:
    """In the second stage, when a peak has been measured again."""
    loads = [one for one in made if one[0].startswith("load")]
    return len(loads) >= 3 and len(made) - len(loads) > 3


@pytest.mark.parametrize("is_time", [_in_peaks, _in_rates])
@pytest.mark.parametrize("options", [(), LONG], ids=["as it was begun", "with its options"])
def test_a_load_that_was_killed_goes_on_and_makes_each_missing_launch_once(
    is_time: Callable[[Sequence[tuple[str, int]]], bool], options: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "run.json"
    _killed(path, is_time)
    before = _made(path)
    again = options or ("--no-lock",)
    done = ipcbench("load", "--resume", str(path), *again, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    after = _made(path)
    assert set(before) <= set(after)
    names = {name for name, _ in after}
    assert len(names) == 3
    assert after == sorted((name, number) for name in names for number in range(1, 7))
    assert "Load (open loop)" in done.stdout


@pytest.fixture(scope="module")
def cut_short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a load that was killed among its rates."""
    path = tmp_path_factory.mktemp("cut") / "run.json"
    _killed(path, _in_rates)
    return path


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (("--rates=20%,60%",), "was begun with other rates"),
        (("--rates=20%,50%,60%",), "was begun with other rates"),
        (("--rates=20%,50%", "--arrivals=poisson"), "was begun with other arrivals"),
        (("--rates=20%,50%", "--work=10us"), "was begun with other work"),
        (
            ("--rates=20%,50%", "--in-flight=2"),
            "was begun with another number of messages in flight",
        ),
        (("--rates=20%,50%", "--rounds=7"), "was begun with another number of rounds"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_other_rates_than_it_was_begun_with_are_refused(
    other: tuple[str, ...], says: str, cut_short: Path
) -> None:
    before = _made(cut_short)
    given = [one for one in LONG if not one.startswith("--rates")]
    refused = ipcbench("load", "--resume", str(cut_short), *given, *other)
    assert refused.returncode == 2, refused.stderr
    (line,) = refused.stderr.splitlines()
    assert says in line
    assert _made(cut_short) == before


def test_the_plan_in_the_file_has_the_rates_as_soon_as_a_launch_has_one(cut_short: Path) -> None:
    plan = json.loads(cut_short.read_text())["ipcbench"]["plan"]
    assert {name for name, _ in _made(cut_short)} <= set(plan["cases"])
    assert sum(name.startswith("load") for name in plan["cases"]) == 2
