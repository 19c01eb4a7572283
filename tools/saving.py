"""Counts the bytes that a run writes to save its launches: `python -m tools.saving`.

The launches are replayed, so that nothing but saving writes. Bytes are those that the kernel
counted for this process (`wchar` of proc(5)), by both ways to save: the whole file after each
launch, and the journal that a run has.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ipcbench.case import Case
from ipcbench.results import store
from ipcbench.results.journal import Journal
from ipcbench.results.store import Results
from tests.replay import replayed

_CASE = Case("latency", "null", 64)


def main() -> None:
    """Prints bytes and seconds for each number of launches, and what they are for each launch."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--launches", type=int, nargs="+", default=[500, 1000, 2000])
    for launches in arguments.parse_args().launches:
        with tempfile.TemporaryDirectory() as folder:
            _report("whole file", launches, partial(store.save, path=Path(folder, "whole.json")))
            with Journal(Path(folder, "journal.json")) as journal:
                _report("journal", launches, journal.save, journal.close)


def _report(
    way: str,
    launches: int,
    save: Callable[[Results], None],
    close: Callable[[], None] = lambda: None,
) -> None:
    before, began_s = _written_bytes(), time.monotonic()
    replayed({_CASE: [[1e-7 + number * 1e-12] for number in range(launches)]}, launches, save)
    close()
    written, took_s = _written_bytes() - before, time.monotonic() - began_s
    each = f"{written / launches:9.0f} B each"
    print(f"{launches:6} launches, {way:10}: {written / 1e6:9.2f} MB, {each}, {took_s:.1f} s")


def _written_bytes() -> int:
    counters = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counters["wchar"])


if __name__ == "__main__":
    main()
