"""The registry: what importing it loads, and that nothing listed is hidden from `list`."""

import subprocess
import sys

import pytest

from ipcbench.errors import UsageError
from ipcbench.transports import registry
from ipcbench.transports.catalogue import listed
from ipcbench.transports.registry import get_transport, names, transports
from ipcbench.transports.unix import Socketpair
from tests.command import ROOT


def _loaded(program: str) -> set[str]:
    """The modules of the package that a program has loaded, without the package's name."""
    command = (sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    prefix = "ipcbench."
    return {name.removeprefix(prefix) for name in done.stdout.split() if name.startswith(prefix)}


def _transports(loaded: set[str]) -> set[str]:
    prefix = "transports."
    return {name.removeprefix(prefix) for name in loaded if name.startswith(prefix)}


@pytest.mark.parametrize("module", ["base", "registry"])
def test_the_contract_and_the_registry_load_no_mechanism(module: str) -> None:
    loaded = _transports(_loaded(f"import ipcbench.transports.{module}"))
    assert loaded <= {"base", "plugins", "registry", "shapes"}


def test_a_worker_loads_the_mechanism_that_it_measures_and_no_other() -> None:
    program = (
        "import ipcbench.measure.worker\n"
        "from ipcbench.transports.registry import get_transport\n"
        "get_transport('unix')"
    )
    loaded = _transports(_loaded(program))
    assert "unix" in loaded
    assert not {name for name in loaded if "." not in name} - {
        *("base", "ends", "parts", "plugins", "registry", "shapes", "unix"),
    }
    assert not loaded & {"parts.sysv", "parts.queues", "parts.slots", "parts.counters"}


def test_names_are_the_names_of_the_classes_in_order() -> None:
    assert [transport.name for transport in transports()] == list(names())
    assert all(get_transport(transport.name) is transport for transport in transports())


def test_a_transport_of_a_new_group_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(Socketpair):
        name = "other"
        summary = "a newcomer"
        groups = ("brokers",)

    monkeypatch.setitem(registry.TRANSPORTS, "other", ("nowhere", "Other"))
    monkeypatch.setitem(registry.LOADED, "other", Other())
    lines = list(listed(None))
    title = lines.index("Brokers (@brokers)")
    assert lines[title + 1] == f"  {'other':22}yes a newcomer"
    assert lines[-1].startswith("native loop: ")
    assert title < lines.index("Controls: what the loop and one copy cost")


def test_the_name_of_what_is_built_in_looks_no_plugin_up() -> None:
    program = (
        "from ipcbench.transports.registry import chosen, get_transport\n"
        "get_transport('unix:sndbuf=64k')\n"
        "get_transport('pipe-1m')\n"
        "chosen(['@all', 'null'])\n"
        "import sys\n"
        "assert 'importlib.metadata' not in sys.modules"
    )
    _loaded(program)


def test_a_transport_stands_in_for_a_while() -> None:
    class Other(Socketpair):
        name = "other"

    other = Other()
    with registry.standing_in(other):
        assert get_transport("other") is other
        assert get_transport("other:sndbuf=64k").settings == {"sndbuf": "64k"}
    assert not [name for name in registry.LOADED if name.startswith("other")]
    with pytest.raises(UsageError, match="unknown transport 'other'"):
        get_transport("other")
