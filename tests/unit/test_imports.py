"""The design's rule that imports point one way, read from the source and from what is loaded."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "ipcbench"

ALLOWED = {
    "ipcbench.errors": set(),
    "ipcbench.units": {"errors"},
    "ipcbench.case": {"errors", "units"},
    "ipcbench.system.machine": {"errors", "case", "units"},
    "ipcbench.text": {"errors"},
    "ipcbench.results.folder": {"errors", "foreign", ""},
    "ipcbench.transports.base": set(),
    "ipcbench.transports.parts.gate": set(),
    "ipcbench.transports.parts.sockets": {"transports.base", "transports.gate"},
    "ipcbench.transports.parts.slots": {"transports.base"},
    "ipcbench.transports.parts.counters": {"transports.base", "transports.slots"},
    "ipcbench.transports.parts.queues": {"transports.base"},
    "ipcbench.transports.parts.sysv": {"transports.base"},
    "ipcbench.transports": {"errors", "transports"},
    "ipcbench.analysis.stats": set(),
    "ipcbench.analysis": {"analysis", "case", "errors", "foreign", "units"},
    "ipcbench.evidence": {"evidence", "transports.base"},
    "ipcbench.evidence.tables": set(),
    "ipcbench.evidence.sockdiag": set(),
    "ipcbench.reporters": {
        *("analysis", "reporters", "case", "errors", "events", "foreign", "units", ""),
    },
    "ipcbench.measure.loops": {"transports.base"},
    "ipcbench.measure.payload": set(),
    "ipcbench.measure.control": set(),
    "ipcbench.checks.doctor": {"errors", "host", "measure", "transports", "units"},
    "ipcbench.run.driver": {"analysis.store", "case", "errors", "events", "measure.launch"},
    "ipcbench.run.launcher": {"analysis.histogram", "case", "errors", "host", "measure"},
    "ipcbench.measure": {
        *("evidence", "measure", "transports", "case", "errors", "host", "shortage", ""),
    },
    "ipcbench.cli.commands": {"case", "errors", "options", "parsing", "transports", ""},
    "ipcbench.cli.options": {"case", "errors", "host", "units", ""},
    "ipcbench.cli.parser": {"errors"},
    "ipcbench.cli.completion": {"case", "transports"},
    "ipcbench.transports.catalogue": {"case", "measure", "transports"},
    "ipcbench.cli.destinations": {
        *("analysis", "documents", "errors", "eventlog", "host", "outputs", ""),
    },
    "ipcbench.run.session": {
        *("analysis", "events", "interrupts", "measure", "planning", "resuming", "watching"),
    },
    "ipcbench.progress.warnings": {"analysis"},
    "ipcbench.run.resume": {
        *("analysis", "arguments", "case", "errors", "host", "planning", "transports"),
    },
    "ipcbench.checks.evidence": {"case", "errors", "evidence", "measure", "transports"},
    "ipcbench.run.plan": {
        "outputs",
        "analysis",
        "case",
        "errors",
        "host",
        "measure",
        "room",
        "transports",
        "units",
        "",
    },
    "ipcbench.reporters.documents": {"analysis", "errors", "inventory", "outputs", "reporters", ""},
    "ipcbench.cli.main": {
        *("analysis", "arguments", "comparing", "completion", "destinations", "doctor", "errors"),
        *("documents", "foreign", "host", "interrupts", "inventory", "measure", "outputs"),
        *("proof", "reporters"),
        *("selftest", "shortage", "streams", "transports", ""),
    },
    "ipcbench.checks.selftest": {
        *("analysis", "case", "errors", "events", "host", "measure", "transports", "units"),
    },
    "ipcbench.events": {"case"},
    "ipcbench.progress.log": {"case", "errors", "events", "outputs"},
    "ipcbench.system.signals": {"errors"},
    "ipcbench.system.limits": {"errors", "transports", "units"},
    "ipcbench.shortage": set(),
    "ipcbench.cli.streams": set(),
    "ipcbench.__main__": {"cli"},
    "ipcbench": set(),
}
"""What each module, or each module below a package, may import of the project; the nearest name
counts. An empty name is the package itself, for its version."""

_SHARED = ("base", "gate", "stream", "slots", "counters", "queues", "sysv")
"""The modules of transports that are shared by several mechanisms."""

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


def _rule(module: str) -> set[str]:
    while module not in ALLOWED:
        module = module.rpartition(".")[0]
    return ALLOWED[module]


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_imports_only_what_lies_below_it(path: Path) -> None:
    allowed = {f"ipcbench.{name}".rstrip(".") for name in _rule(_name(path))}
    for name in _imported(path):
        if name == "ipcbench" or name.startswith("ipcbench."):
            assert name in allowed or any(
                name.startswith(prefix + ".") for prefix in allowed if prefix != "ipcbench"
            ), f"{_name(path)} imports {name}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "transports").glob("*.py")), ids=_name)
def test_a_transport_knows_no_reporting_and_no_sibling(path: Path) -> None:
    if path.name == "__init__.py":
        return
    shared = {f"ipcbench.transports.{name}" for name in _SHARED}
    for name in _imported(path):
        assert name.partition(".")[0] not in {"pyperf", "rich", "pandas", "numpy"}
        assert not name.startswith("ipcbench") or name in shared


@pytest.mark.parametrize("path", sorted((ROOT / "bench").glob("*.py")), ids=lambda path: path.name)
def test_a_bench_script_holds_no_measuring_code(path: Path) -> None:
    assert _imported(path) <= {"sys", "ipcbench.__main__"}


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
