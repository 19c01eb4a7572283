"""The design's rule that imports point one way, read from the source and from what is loaded."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from ipcbench.transports.registry import get_transport

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "ipcbench"

ROOMS = {
    "cli": {
        *("checks", "fleet", "run", "progress", "reporters", "analysis", "measure", "system"),
        *("results", "testing", "transports"),
    },
    "checks": {
        "run",
        "testing",
        "measure",
        "analysis",
        "evidence",
        "results",
        "system",
        "transports",
    },
    "testing": {"measure", "evidence", "system", "transports"},
    "fleet": {"run", "results", "system"},
    "run": {
        *("measure.tether", "measure.drivers", "progress.warnings", "analysis.precision"),
        # A search has to judge what it tried before it knows what to try next.
        *("analysis.capacity", "analysis.launch_frame", "analysis.objective", "analysis.searches"),
        *("results", "system", "transports"),
    },
    "progress": {"analysis"},
    "reporters": {"analysis", "results"},
    "analysis": {"results"},
    "measure": {"system", "evidence", "transports"},
    "results": set(),
    "system": {"transports.base", "transports.registry"},
    "evidence": {"transports.base"},
    "transports": set(),
}
"""What the modules of each room may import of other rooms: rooms, or single modules of them.

This is the table of the design. Besides, a room may import itself, and of the vocabulary what
VOCABULARY_OF grants it, or all of it.
"""

VOCABULARY = {
    "errors": set(),
    "text": set(),
    "units": {"errors"},
    "terms": {"errors", "units"},
    "rungs": set(),
    "workloads": {"errors", "terms"},
    "case": {"errors", "terms", "units", "workloads"},
    "events": {"case"},
}
"""The modules that all rooms share, and what each may import of the others."""

VOCABULARY_OF = {
    "evidence": set(),
    "transports": {"errors", "case", "rungs", "terms", "units", "workloads"},
    "results": {"case", "terms", "text", "errors", "workloads", "units"},
    "system": {"case", "errors", "units", "text"},
}
"""Rooms that know only a part of the vocabulary."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def _imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                known = (ROOT / (module.replace(".", "/") + ".py")).exists()
                known = known or (ROOT / module.replace(".", "/")).is_dir()
                names.add(module if known else str(node.module))
    return names


def _room(module: str) -> str:
    """The room of a module: `cli` for `ipcbench.cli.main`; of the vocabulary its own name."""
    return module.split(".")[1] if "." in module else ""


def _allowed(module: str) -> set[str]:
    """The prefixes of all that a module may import of the package."""
    room = _room(module)
    if room in ("", "__main__"):
        return {"cli"} if room else set()
    if room in VOCABULARY:
        return VOCABULARY[room]
    return {room} | ROOMS[room] | VOCABULARY_OF.get(room, set(VOCABULARY))


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    assert _wrong(_name(path), path) == set()


def test_every_module_has_a_room() -> None:
    rooms = {_room(_name(path)) for path in MODULES}
    assert rooms <= {"", "__main__", *ROOMS, *VOCABULARY}


def test_rooms_point_one_way() -> None:
    def below(room: str, above: tuple[str, ...]) -> None:
        assert room not in above, " -> ".join((*above, room))
        for other in ROOMS.get(room, ()):
            below(other.partition(".")[0], (*above, room))

    for room in ROOMS:
        below(room, ())


def _wrong(module: str, path: Path) -> set[str]:
    """The names of the package that a file imports and a module may not."""
    allowed = [f"ipcbench.{name}" for name in _allowed(module)]
    return {
        name
        for name in _imported(path)
        # The package itself is imported for its version alone.
        if name.startswith("ipcbench.")
        and not any(name == one or name.startswith(f"{one}.") for one in allowed)
    }


def test_an_import_that_points_upwards_is_found(tmp_path: Path) -> None:
    turned = tmp_path / "turned.py"
    turned.write_text("from ipcbench.cli.messages import say\nfrom ipcbench.system import cpus\n")
    assert _wrong("ipcbench.measure.pair", turned) == {"ipcbench.cli.messages"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "transports").rglob("*.py")), ids=_name)
def test_a_transport_knows_no_reporting_and_no_sibling(path: Path) -> None:
    if path.name in ("__init__.py", "registry.py", "catalogue.py"):
        return
    for name in _imported(path):
        assert name.partition(".")[0] not in {"pyperf", "rich", "pandas", "numpy"}
        if name.startswith("ipcbench.transports."):
            shared = [f"ipcbench.transports.{one}" for one in ("base", "ends", "shapes")]
            rooms: tuple[str, ...] = ("ipcbench.transports.parts.",)
            if path.parent.name == "stack":  # layers on a mechanism, and on each other
                shared += ["ipcbench.transports.inet", "ipcbench.transports.unix"]
                rooms += ("ipcbench.transports.stack.",)
            assert name in shared or name.startswith(rooms)


def test_only_the_command_line_knows_arguments() -> None:
    knowing = {_name(path) for path in MODULES if "argparse" in _imported(path)}
    assert knowing
    assert {_room(module) for module in knowing} == {"cli"}


def test_only_the_terminals_reporter_knows_rich() -> None:
    know = {
        _name(path)
        for path in (PACKAGE / "reporters").rglob("*.py")
        if any(name.partition(".")[0] == "rich" for name in _imported(path))
    }
    assert know == {"ipcbench.reporters.terminal"}


@pytest.mark.parametrize("room", ["reporters", "analysis", "measure", "results", "system"])
def test_nothing_below_the_command_line_prints(room: str) -> None:
    """The worker is a program of its own: its one line on stderr is how it answers."""
    for path in sorted((PACKAGE / room).rglob("*.py")):
        calls = (
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        )
        printing = {node.func.id for node in calls if isinstance(node.func, ast.Name)} & {"print"}
        assert not printing or _name(path) == "ipcbench.measure.worker", _name(path)


@pytest.mark.parametrize("path", sorted((ROOT / "bench").glob("*.py")), ids=lambda path: path.name)
def test_a_bench_script_holds_no_measuring_code(path: Path) -> None:
    cases = {"ipcbench.run.request", "ipcbench.rungs"}
    assert _imported(path) <= {"sys", "ipcbench.__main__", *cases}


KNOW_PYPERF = {"ipcbench.measure.worker"}
"""Modules outside the room `results` that may know pyperf: the worker is one of its programs."""
PYPERFS_NAMES = {"suite", "get_metadata", "get_name", "get_runs", "get_nrun"}


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_pyperfs_classes_stay_with_the_results(path: Path) -> None:
    if _room(_name(path)) == "results" or _name(path) in KNOW_PYPERF:
        return
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    assert not used & PYPERFS_NAMES
    assert "pyperf" not in {name.partition(".")[0] for name in _imported(path)}


def test_no_module_imports_in_a_circle() -> None:
    graph = {
        _name(path): {n for n in _imported(path) if n.startswith("ipcbench")} for path in MODULES
    }
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join((*above, module))
        if module not in done:
            for name in graph.get(module, ()):
                visit(name, (*above, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def _loaded(*arguments: str) -> set[str]:
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize("arguments", [("--help",), ("list",), ("compare", "--help")])
def test_help_and_list_load_nothing_heavy(arguments: tuple[str, ...]) -> None:
    heavy = {"pandas", "numpy", "pyperf", "rich", "rich.table", "psutil", "altair", "vl_convert"}
    assert not heavy & _loaded("-m", "ipcbench", *arguments)


def test_a_worker_loads_neither_pandas_nor_rich_nor_numpy() -> None:
    loaded = _loaded("-c", "import ipcbench.measure.worker")
    assert not {"pandas", "rich", "numpy", "dataclasses"} & loaded
    assert "pyperf" in loaded


def test_a_worker_of_one_client_loads_nothing_of_many(tmp_path: Path) -> None:
    loaded = _loaded_by_a_pair("latency/unix/64/python/free", tmp_path)
    assert "ipcbench.measure.measurement" in loaded
    for_many = (".member", ".hub", ".many_links", ".spread", ".several", ".connecting", ".memory")
    assert not [name for name in loaded if "crowd" in name or name.endswith(for_many)]


WORKER_OF = """
import sys
from pathlib import Path
import ipcbench.measure.worker
from ipcbench.case import Case
from ipcbench.measure.pair import Pair
from ipcbench.transports.base import Workspace

with Pair(Case.parse(sys.argv[1]), None, Workspace(Path(sys.argv[2]))) as pair:
    pair.run(10)
    pair.sample(10)
    pair.check()
print(*sys.modules)
"""


def _loaded_by_a_pair(case: str, directory: Path) -> set[str]:
    """The modules that a client has loaded; importtime says nothing of what importlib is asked."""
    command = [sys.executable, "-c", WORKER_OF, case, str(directory)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_pair_over_a_bare_socket_loads_nothing_of_the_stack(tmp_path: Path) -> None:
    loaded = _loaded_by_a_pair("latency/unix/64/python/free", tmp_path)
    assert "ipcbench.transports.unix" in loaded
    stack = {"asyncio", "uvloop", "zmq", "aiohttp", "uvicorn", "httptools", "msgspec", "grpc"}
    assert not stack & loaded
    assert not [name for name in loaded if name.startswith("ipcbench.transports.stack")]


def test_a_pair_over_asyncio_loads_no_other_loop(tmp_path: Path) -> None:
    loaded = _loaded_by_a_pair("latency/asyncio-protocol-unix/64/python/free", tmp_path)
    assert "asyncio" in loaded
    assert "uvloop" not in loaded


@pytest.mark.parametrize(
    ("rung", "needs", "needs_not"),
    [
        ("http-uvicorn", {"uvicorn", "httptools", "uvloop"}, {"aiohttp", "grpc", "h11"}),
        ("http-aiohttp", {"aiohttp"}, {"uvicorn", "uvloop", "grpc"}),
        ("rpc-grpc", {"grpc"}, {"uvicorn", "aiohttp", "uvloop"}),
    ],
)
def test_a_pair_over_a_server_loads_no_other_one(
    rung: str, needs: set[str], needs_not: set[str], tmp_path: Path
) -> None:
    if reason := get_transport(f"{rung}-unix").unavailable():
        pytest.skip(reason)
    loaded = _loaded_by_a_pair(f"latency/{rung}-unix/64/python/free", tmp_path)
    assert needs <= loaded
    assert not needs_not & loaded
