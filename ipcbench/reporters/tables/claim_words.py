"""Words of the answers to claims: both sides of a claim, and the conditions of an answer. Pure."""

from collections.abc import Sequence

from ipcbench import units
from ipcbench.analysis.comparisons import Claim
from ipcbench.analysis.judging import Condition, Dimension
from ipcbench.reporters.tables.columns import definition
from ipcbench.reporters.tables.words import listed

PLACES = {
    "same-core": "on one core",
    "smt": "on two threads of a core",
    "cross-core": "across cores",
    "cross-socket": "across sockets",
    "free": "unpinned",
}
"""Words for a placement."""


def sides(claim: Claim) -> tuple[str, str]:
    """The words for an agreeing and for a contradicting comparison."""
    if claim.asserts == "which":
        return claim.subjects[0], claim.others[0]
    return "holds", "fails"


def conditions_text(conditions: Sequence[Condition]) -> str:
    """Conditions in words: `for throughput at 64 B on one core and for round trips`."""
    return listed([condition_text(condition) for condition in conditions])


def condition_text(condition: Condition) -> str:
    """A condition in words: `for throughput at 64 B on one core`."""
    values = dict(condition.values)
    kinds = [definition(name).words.plural for name in values.get("workload", ())]
    clients = values.get("clients", ())
    of = "of" if kinds else "for"
    said = [f"for {listed(kinds)}"] if kinds else []
    if "subject" in values:
        said.append(f"{of} {listed(values['subject'])}")
    if "other" in values:
        said.append(f"beside {listed(values['other'])}")
    if "size" in values:
        said.append(f"at {listed([units.display_size(int(size)) for size in values['size']])}")
    if "placement" in values:
        said.append(listed([PLACES.get(name, f"on {name}") for name in values["placement"]]))
    if clients:
        said.append(f"with {listed(clients)} client{'s' * (clients != ('1',))}")
    if "congestion" in values:
        said.append(f"with {listed([*map(control_text, values['congestion'])])}")
    if "loop" in values:
        said.append(f"in the {listed(values['loop'])} loop")
    if values.get("interpreter", ("",)) != ("",):
        said.append(f"by {listed([name or 'ipcbench itself' for name in values['interpreter']])}")
    return " ".join(said)


def place_text(values: Sequence[tuple[Dimension, str]], implied: Sequence[str]) -> str:
    """The place of a comparison in words: `throughput at 64 KiB on one core`."""
    kept = [(name, (value,)) for name, value in values if name not in implied]
    return condition_text(Condition(tuple(kept))).removeprefix("for ")


def control_text(control: str) -> str:
    """A congestion control, or both of a case's ends."""
    return control.replace(",", "/")
