"""Single round trips in the percentile format of public HdrHistogram plotters."""

from pathlib import Path

import pandas as pd

from ipcbench.analysis.launch_frame import histogram_of
from ipcbench.analysis.load import judged
from ipcbench.case import Case
from ipcbench.errors import UsageError
from ipcbench.results.histogram import percentile_lines
from ipcbench.units import format_size


def hgrm_texts(launches: pd.DataFrame, path: Path) -> dict[Path, str]:
    """The text of the file of each sampled case, by path.

    With several cases `run.hgrm` becomes `run-unix-1k-python-cross-core.hgrm`. A case of the open
    loop that isn't steady has none: its responses say how long was measured. Raises UsageError if
    nothing was sampled.
    """
    groups = {} if launches.empty else dict(list(launches.groupby("case", sort=False)))
    histograms = {
        str(name): histogram_of(group)
        for name, group in groups.items()
        if (found := judged(group)) is None or found.state == "ok"
    }
    sampled = {name: histogram for name, histogram in histograms.items() if histogram is not None}
    if not sampled:
        raise UsageError(
            "no single round trips were sampled; --hgrm needs a latency run, or a steady load"
        )
    texts = {}
    for name, histogram in sampled.items():
        case = Case.parse(name)
        size = format_size(case.message_size_bytes)
        label = f"-{case.interpreter}" if case.interpreter else ""
        knobs = "" if case.workload == "latency" else f"-{case.workload}"
        suffix = f"{knobs}-{case.transport}-{size}-{case.loop}-{case.placement}{label}"
        own = path.with_name(f"{path.stem}{suffix}{path.suffix}") if len(sampled) > 1 else path
        texts[own] = "\n".join(percentile_lines(histogram)) + "\n"
    return texts
