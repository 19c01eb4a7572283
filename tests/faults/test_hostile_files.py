"""Whatever a result file holds, `report` and `diff` show it or refuse it in one line."""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.cli import main
from ipcbench.errors import ResultsError
from ipcbench.results import bounded_json, metadata, store, validation
from tests.command import QUICK
from tests.command import ipcbench as ipcbench_process
from tests.faults import hostile

GOOD_CASES = {
    "latency/unix/0/python/cross-core",
    "latency/new-one/64/python/cross-core",
    "latency/unix/64/python/cpus-0-99999",
    "throughput/memcpy/64/python/cross-core",
    "connect/unix/1/python/cross-core",
    "load:rate=20000/unix/64/python/cross-core",
    "latency/inet/64/native/same-core",
    "latency/unix/64/python/cross-core/head",
}
_FILES = 120
NASTY = "\x1b[2J[red]\u202ex\ny[/nonsense]"
SHOWN = r"\x1b[2J[red]\u202ex\ny[/nonsense]"


@pytest.fixture
def data() -> Any:
    """A small real file as data: three cases over inet, unix and null, and two without numbers."""
    return json.loads(hostile.bases()[0])


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], str]:
    """Writes data as a result file and goes where it is; the file's name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def write(data: Any) -> str:
        text = data if isinstance(data, str) else json.dumps(data)
        Path("run.json").write_text(text, encoding="utf-8")
        return "run.json"

    return write


def refusal(text: Any) -> str:
    """What is said against a file with this text, or this data."""
    with pytest.raises(ResultsError) as caught:
        store.loads(text if isinstance(text, str) else json.dumps(text), "FILE")
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) < 700
    return said


def test_files_made_hostile_at_random_are_shown_or_refused() -> None:
    """`make chaos` makes ten thousand."""
    outcomes = hostile.run(_FILES, seed=20261124)
    assert [one for one in outcomes if one.verdict == "wrong"] == []
    counts = Counter(one.verdict for one in outcomes)
    assert counts["shown"] > _FILES / 6
    assert counts["refused"] > _FILES / 6


def test_a_hostile_file_is_the_same_each_time_and_its_neighbour_another() -> None:
    assert hostile.hostile_file(7, 1) == hostile.hostile_file(7, 1)
    assert hostile.hostile_file(7, 1) != hostile.hostile_file(8, 1)


@pytest.mark.parametrize(
    ("code", "out", "err", "says"),
    [
        (1, "", "ipcbench: internal error: x\n", "exit code 1"),
        (2, "", "ipcbench: one\nipcbench: two\n", "exit code 2, 2 lines"),
        (2, "a table\n", "ipcbench: one\n", "exit code 2"),
        (2, "", "", "exit code 2, 0 lines"),
        (0, "a\x1b[0mb\n", "", "shows '\\x1b'"),
        (0, "a\u202eb\n", "", "shows '\\u202e'"),
        (0, "a\n", "RuntimeWarning: overflow\n", "on stderr"),
        (0, "case,workload,reason\nx,latency,=1+1\n", "", "a formula: '=1+1'"),
        (0, '{\n "format": 1,\n "parts": [NaN]\n}\n', "", "no JSON: NaN"),
        (2, "", "ipcbench: x\x1b\n", "shows '\\x1b'"),
        (0, "**a**\n\n| <script>alert(1) |\n", "", "markup"),
        (0, "<!DOCTYPE html>\n<p><script>alert(1)</script>\n", "", "markup"),
    ],
)
def test_the_judge_finds_what_is_wrong(
    code: int, out: str, err: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    verdict, said = hostile._judged(code, out, err)
    assert verdict == "wrong"
    assert says in said


def test_among_many_files_some_are_written_as_markdown_and_as_pages() -> None:
    commands = [next(hostile._commands(Random(seed), "x.json")) for seed in range(200)]
    assert sum("--markdown=-" in command for command in commands) > 5
    assert sum("--json=-" in command for command in commands) > 5
    assert 0 < sum("--html=out.html" in command for command in commands) < 20


def test_the_judge_sees_a_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    def fails(_: object) -> int:
        raise KeyError("x")

    monkeypatch.setattr(hostile, "ipcbench", fails)
    assert hostile.judged(["report"]) == ("wrong", "KeyError: 'x'")


json_texts = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from((*hostile.TEXTS, *hostile.CASES)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(hostile._WORDS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
).map(json.dumps)


@given(json_texts | st.text())
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    refused = ""
    try:
        store.loads(text, "FILE")
    except ResultsError as error:
        refused = str(error)
    assert refused.isprintable()


@given(st.data())
def test_a_file_with_any_value_in_any_place_is_read_or_refused(drawn: st.DataObject) -> None:
    data = json.loads(hostile.bases()[0])
    holder, key = drawn.draw(st.sampled_from(list(hostile._places(data))))
    holder[key] = json.loads(drawn.draw(json_texts))
    refused = ""
    try:
        store.loads(json.dumps(data), "FILE")
    except ResultsError as error:
        refused = str(error)
    assert refused.isprintable()


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
def test_what_json_has_no_number_for_is_refused(token: str) -> None:
    text = hostile.bases()[0].replace('"seed": 11', f'"seed": {token}')
    assert refusal(text) == f"FILE holds {token}, which is no number"


@pytest.mark.parametrize("token", ["1e999", "0", "-1e-5", "true", '"1"', "[]", "1e10", "1e-320"])
def test_a_time_must_be_a_number_that_can_be_one(token: str, data: Any) -> None:
    data["benchmarks"][0]["runs"][1]["values"][0] = "@"
    said = refusal(json.dumps(data).replace('"@"', token))
    assert said.startswith("FILE holds a wrong value: latency/")
    assert ", launch 2: a value is " in said
    assert said.endswith(", not a number from 1e-15 to 1e+09")


def test_a_number_of_five_thousand_digits_is_refused() -> None:
    text = hostile.bases()[0].replace('"seed": 11', f'"seed": {"9" * 5000}')
    assert refusal(text) == "FILE holds a number of too many digits"


def test_a_long_seed_can_be_read_as_it_can_be_written(
    data: Any, stored: Callable[[Any], str], capsys: pytest.CaptureFixture[str]
) -> None:
    data["metadata"]["seed"] = 10**4000
    assert main.main(["report", stored(data), "--csv", "-"]) == 0
    assert "0" * 4000 in capsys.readouterr().out


def test_deep_nesting_is_refused_wherever_it_is(data: Any) -> None:
    says = "FILE is nested deeper than 16 levels; no results file is"
    assert refusal("[" * 100_000) == says
    assert refusal('{"a":' * 100_000) == says
    data["elsewhere"] = json.loads("[" * 20 + "]" * 20)
    assert refusal(data) == says


def test_more_values_than_memory_holds_are_refused_before_they_are_read(
    monkeypatch: pytest.MonkeyPatch, data: Any
) -> None:
    monkeypatch.setattr(bounded_json, "_MOST_ELEMENTS", 1000)
    data["more"] = [[]] * 1000
    assert "FILE holds more than 1000 values" in refusal(data)


@pytest.mark.parametrize(
    ("limit", "says"),
    [
        ("_MOST_CASES", "the file has 3 benchmarks, more than 1"),
        ("_MOST_LAUNCHES", "benchmark 1 has 6 runs, more than 1"),
        ("_MOST_NAMES", "holds 3 transports; at most 1 can be shown"),
        ("_MOST_KEYS", "holds more than 1 different names of metadata"),
    ],
)
def test_there_is_a_limit_to_everything(
    limit: str, says: str, monkeypatch: pytest.MonkeyPatch, data: Any
) -> None:
    monkeypatch.setattr(validation, limit, 1)
    assert says in refusal(data)


def test_a_name_that_stands_twice_in_an_object_is_refused() -> None:
    text = hostile.bases()[0].replace('"seed": 11', '"seed": 11, "seed": 12')
    assert refusal(text) == "FILE is ambiguous: 'seed' stands twice in one object"


def test_a_case_a_launch_and_a_reason_must_not_stand_twice(data: Any) -> None:
    case = data["benchmarks"][0]["metadata"]["name"]
    twice = data | {"benchmarks": data["benchmarks"] + data["benchmarks"][:1]}
    assert refusal(twice) == f"FILE holds a case twice: two benchmarks are {case}"
    data["ipcbench"]["unmeasured"] *= 2
    assert "FILE holds a case twice: two unmeasured cases are latency/fifo/64" in refusal(data)
    launches = data["benchmarks"][0]["runs"]
    launches.append(launches[0])
    assert f"FILE holds a launch twice: {case}, launch 7 is round 1 once more" in refusal(data)


@pytest.mark.parametrize("key", metadata.REQUIRED)
def test_what_a_table_needs_must_be_there(key: str, data: Any) -> None:
    for one in (data, *data["benchmarks"], *(r for b in data["benchmarks"] for r in b["runs"])):
        one["metadata"].pop(key, None)
    assert ("has no " + key in refusal(data)) or key in {"name", "ipcbench_format"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("round", 0),
        ("round", 1.0),
        ("round", True),
        ("loops", 10**12),
        ("inner_loops", 2),
        ("run_id", "../x"),
        ("run_id", 5),
        ("role", "king"),
        ("baseline", "[red]"),
        ("baseline", "=1+1"),
        ("machine", "../../etc"),
        ("machine", "a/b"),
        ("unit", "byte"),
        ("seed", -1),
        ("cpu_count", "2"),
        ("cpu_client", -1),
        ("kernel", 6),
        ("kernel", "  "),
        ("messages_checked", -1),
        ("run_elapsed_s", "soon"),
        ("noise_floor_ratio", -2),
        ("target_ratio", 0),
        ("page_faults_client_count", 0.5),
        ("cpu_user_client_s_per_message", "1"),
        ("client_so_sndbuf_bytes", -1),
        ("load_avg_1min", "x"),
        ("evidence", 5),
        ("interpreters", "a,,b"),
        ("interpreters", "=1+1"),
        ("interpreter", "head"),
        ("python_gil", "maybe"),
        ("retried_after", 5),
        ("anything", None),
        ("anything", [1]),
        ("anything", {"a": 1}),
        ("anything", 2**63),
        ("tags", ["x"]),
        ("round_trip_histogram_ns", "1 2 3:4"),
        ("round_trip_histogram_ns", "1 1 999999:1"),
        ("round_trip_histogram_ns", "1 3 3:1 1:1"),
    ],
)
def test_metadata_of_a_wrong_kind_are_refused_by_name(key: str, value: Any, data: Any) -> None:
    data["benchmarks"][1]["runs"][2]["metadata"][key] = value
    said = refusal(data)
    assert key in said
    assert "holds a wrong value: benchmark 2: " in said or "/python/cross-core, launch 3: " in said


def test_a_file_that_contradicts_its_cases_name_is_refused(data: Any) -> None:
    data["benchmarks"][0]["metadata"]["transport"] = "pipe"
    assert "launch 1: transport is 'pipe', not " in refusal(data)


@pytest.mark.parametrize("name", [one for one in hostile.CASES if one not in GOOD_CASES])
def test_a_name_that_no_case_has_is_refused(name: str, data: Any) -> None:
    for level in (data, *data["benchmarks"]):
        for told in ("transport", "workload", "placement", "loop", "message_size_bytes"):
            level["metadata"].pop(told, None)
    data["benchmarks"][0]["metadata"]["name"] = name
    said = refusal(data)
    assert "isn't ipcbench's" in said or "its case is" in said or "message size is" in said


def test_a_connection_with_more_than_its_byte_is_refused(data: Any) -> None:
    other = {"case": "connect/unix/1k/python/cross-core", "status": "failed", "reason": "no"}
    data["ipcbench"]["unmeasured"].append(other)
    assert "message size is 1024, not the one byte of a connect" in refusal(data)
    other["case"] = "connect/unix/1/python/cross-core"
    store.loads(json.dumps(data), "FILE")


def test_a_transport_that_this_version_lacks_is_shown(
    data: Any, stored: Callable[[Any], str], capsys: pytest.CaptureFixture[str]
) -> None:
    bench = data["benchmarks"][0]
    bench["metadata"] |= {"name": "latency/new-one/64/python/cross-core", "transport": "new-one"}
    assert main.main(["report", stored(data)]) == 0
    assert "\nnew-one " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cases", ["latency/unix/64/python/smt"]),
        ("cases", "x" * 10_000),
        ("cases", [["x"] * 10_000]),
        ("rounds", True),
        ("seed", "\x1b[2J"),
        ("cpus", [1]),
        ("cpus", {"cross-core": [0]}),
        ("min_time_s", 1e300),
        ("more", 1),
    ],
)
def test_a_plan_that_can_not_be_followed_is_refused(key: str, value: Any, data: Any) -> None:
    data["ipcbench"]["plan"][key] = value
    assert 'FILE has a "plan" that ' in refusal(data)


def test_a_pyperf_file_of_another_program_is_named_as_such_whatever_it_holds() -> None:
    metadata = {"name": "startup", "unit": "byte", "tags": ["x"], "my_s": "text"}
    bench = {"runs": [{"values": [1.0]}], "metadata": metadata}
    said = refusal({"version": "1.0", "benchmarks": [bench]})
    assert said == "FILE isn't ipcbench's: 'startup' is not one of its cases"


def test_markup_and_control_codes_are_shown_as_what_they_are(
    data: Any, stored: Callable[[Any], str], capsys: pytest.CaptureFixture[str]
) -> None:
    data["metadata"] |= {"cpu_model": NASTY, "kernel": NASTY}
    data["ipcbench"]["unmeasured"][0]["reason"] = NASTY.replace("\n", "")
    assert main.main(["report", stored(data)]) == 0
    out, err = capsys.readouterr()
    assert f"{SHOWN}, 2 CPUs, kvm; {SHOWN}; CPython" in out
    assert f"failed: latency/fifo/64/python/cross-core: {SHOWN}".replace(r"\n", "") in out
    assert out.replace("\n", "").isprintable()
    assert err == ""
    assert main.main(["diff", "run.json", stored(data)]) == 0
    assert capsys.readouterr().out.replace("\n", "").isprintable()


def test_the_title_of_a_column_is_no_markup() -> None:
    import pandas as pd
    from rich.console import Console

    from ipcbench.reporters import terminal
    from ipcbench.reporters.tables.cases import case_grid
    from ipcbench.reporters.tables.columns import Column

    row = {"status": "measured", "role": "mechanism", "transport": "pipe", "x": "[b]y"}
    columns = [Column("transport", ("transport",), str), Column("vs [/nonsense]", ("x",), str)]
    made = terminal.table(case_grid("", pd.DataFrame([row]), columns))
    console = Console(file=io.StringIO(), width=80)
    console.print(made)
    assert isinstance(console.file, io.StringIO)
    assert "vs [/nonsense]" in console.file.getvalue()
    assert "[b]y" in console.file.getvalue()


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "＝"])  # noqa: RUF001
def test_no_cell_of_the_csv_is_a_formula(
    start: str, data: Any, stored: Callable[[Any], str], capsys: pytest.CaptureFixture[str]
) -> None:
    data["metadata"] |= {"cpu_model": f"{start}cmd|' /C calc'!A0", "kernel": "a\tb"}
    data["ipcbench"]["unmeasured"][0]["reason"] = f"{start}1"
    assert main.main(["report", stored(data), "--csv", "-"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    by_transport = {row["transport"]: row for row in rows}
    assert by_transport["unix"]["cpu_model"] == f"'{start}cmd|' /C calc'!A0"
    assert by_transport["unix"]["kernel"] == r"a\tb"
    assert by_transport["fifo"]["reason"] == f"'{start}1"
    assert float(by_transport["unix"]["time_median_s"]) > 0


def test_a_negative_number_in_the_csv_stays_a_number() -> None:
    import pandas as pd

    from ipcbench.reporters.csv_file import csv_text

    frame = pd.DataFrame({"n": [-1.5, None], "t": ["-x", None], "i": [-1, 2]}).convert_dtypes()
    assert csv_text(frame) == "n,t,i\n-1.5,'-x,-1\n,,2\n"


def test_a_machines_name_leads_to_no_other_folder(
    data: Any, stored: Callable[[Any], str], capsys: pytest.CaptureFixture[str]
) -> None:
    data["metadata"]["machine"] = "../outside"
    path = stored(data)
    assert main.main(["diff", path, path]) == 2
    assert "machine is '../outside', not a machine's name" in capsys.readouterr().err


def test_what_is_no_regular_file_is_refused_and_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (str(tmp_path / "fifo"), "/dev/zero", "/dev/null"):
        assert main.main(["report", path]) == 2
        said = f"ipcbench: {path} is not a regular file; copy what it gives into one\n"
        assert capsys.readouterr().err == said


def test_a_file_beyond_the_bound_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(2**40)
    assert main.main(["report", str(tmp_path / "large.json")]) == 2
    assert "large.json is larger than 268435456 bytes" in capsys.readouterr().err


def test_the_name_of_a_file_steers_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.main(["report", f"{NASTY.replace('/', '')}.json"]) == 2
    said = f"ipcbench: {SHOWN.replace('/', '')}.json isn't there; name a result file\n"
    assert capsys.readouterr().err == said


def test_an_odd_name_of_a_file_does_not_lose_what_was_measured(tmp_path: Path) -> None:
    done = ipcbench_process(
        *("compare", "unix", "--sizes=64", "--workloads=latency", *QUICK, "--no-lock"),
        *("-o", "run.json", "--csv", "a\nb\x1b[31m.csv"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stderr
    assert r"saved: run.json and a\nb\x1b[31m.csv" in done.stderr
    assert (tmp_path / "a\nb\x1b[31m.csv").exists()
    loaded = store.load(tmp_path / "run.json")
    commands = {str(launch.facts["command"]) for launch in loaded.launches()}
    assert all(r"'a\nb\x1b[31m.csv'" in command for command in commands)
