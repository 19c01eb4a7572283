"""Facts about the two ends of a link as pyperf metadata, as both have told them."""

from ipcbench.measure.conversation import Report
from ipcbench.measure.drivers.base import Client
from ipcbench.system.quota import Throttling
from ipcbench.terms import format_settings
from ipcbench.transports.base import Transport

Facts = dict[str, int | float | str]


def of_ends(transport: Transport, client: Client, report: Report) -> Facts:
    """The sizes and counts of both ends, and the transport's knobs: as asked, and as in force."""
    facts: Facts = {}
    for side, values in (("client", client.facts), ("server", report.facts)):
        facts |= {f"{side}_{name}": value for name, value in values.items()}
    told = {
        "knobs_asked": transport.settings,
        "knobs_client": client.effective,
        "knobs_server": report.effective,
    }
    order = [knob.name for knob in transport.all_knobs]
    for name, knobs in told.items():
        if knobs:
            facts[name] = format_settings({one: knobs[one] for one in order if one in knobs})
    return facts


def of_throttling(throttling: Throttling) -> Facts:
    """How long the control group's quota stopped the batches."""
    return {
        "cgroup_cpu_periods_count": throttling.periods,
        "cgroup_cpu_throttled_count": throttling.throttled,
        "cgroup_cpu_throttled_s": throttling.stopped_s,
    }
