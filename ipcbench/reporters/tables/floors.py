"""The noise floor of a machine in words, with its age and its kernel. Pure."""

from ipcbench.analysis.floors import Floor
from ipcbench.units import display_age, display_percent


def floor_text(floor: Floor) -> str:
    """A noise floor: `1.5%`, or `1.5%, found 3 days before on Linux 6.18`."""
    ratio = display_percent(floor.ratio)
    if floor.found is None:
        return ratio
    return f"{ratio}, found {display_age(floor.found.age_s)} before on {floor.found.kernel}"
