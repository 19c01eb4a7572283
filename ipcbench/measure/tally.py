"""The batches of a launch with many clients, together: windows, use of the CPUs, fairness. Pure."""

from array import array
from collections.abc import Sequence

from ipcbench.measure.common_window import Window, fairness
from ipcbench.measure.drivers.base import Samples
from ipcbench.measure.end_facts import Facts
from ipcbench.measure.member import Ran
from ipcbench.measure.usage import Usage, together


class Tally:
    """What the batches so far come to."""

    def __init__(self) -> None:
        self.repeated = 0
        """Batches that had hardly any time common to all, and were run again."""
        self._kept: list[Window] = []
        self._messages = 0
        self._wall_s = 0.0
        self._used = Usage()
        self._last: Sequence[Ran] = ()
        self._cpus: set[int] = set()

    def add(self, ran: Sequence[Ran], messages: int, elapsed_s: float) -> None:
        """Adds a batch of so many messages of each client; it took so long, first to last."""
        self._last = ran
        self._messages += messages * len(ran)
        self._wall_s += elapsed_s
        self._used = self._used + together((one.used for one in ran), elapsed_s)
        self._cpus |= {one.cpu for one in ran if one.cpu is not None}

    def keep(self, window: Window) -> None:
        """Counts a batch's window among those of the launch."""
        self._kept.append(window)

    def samples_ns(self) -> Samples:
        """The round trips of all clients in the windows that were kept."""
        pooled = array("q")
        for window in self._kept:
            pooled += window.took_ns
        return pooled

    def facts(self) -> Facts:
        """The facts of the windows that were kept, and of all batches."""
        facts = self._of_windows()
        if not self._last:
            return facts
        # What one tells of its server is of its part alone, and of all batches.
        server_used = together((ran.server_used for ran in self._last), self._wall_s)
        facts |= self._used.facts("client", self._messages)
        facts |= server_used.facts("server", self._messages)
        server_cpus = {cpu for ran in self._last for cpu in ran.server_cpus}
        for side, cpus in (("client", self._cpus), ("server", server_cpus)):
            if cpus:
                facts[f"cpus_seen_{side}"] = ",".join(map(str, sorted(cpus)))
        first = self._last[0]
        for side, threads in (("client", first.threads), ("server", first.server_threads)):
            if threads is not None:
                facts[f"threads_{side}_count"] = threads
        return facts

    def _of_windows(self) -> Facts:
        length_s = sum(window.length_s for window in self._kept)
        if not length_s:
            return {}
        counts = [sum(each) for each in zip(*(one.counts for one in self._kept), strict=True)]
        facts: Facts = {
            "crowd_messages_per_s": sum(counts) / length_s,
            "crowd_window_s": length_s / len(self._kept),
            "crowd_batches_repeated_count": self.repeated,
        }
        found = fairness(counts)
        if found is not None:
            facts["fairness_jain_ratio"] = found.jain
            facts["fairness_least_ratio"] = found.least
            facts["fairness_most_ratio"] = found.most
            facts["fairness_least_client"] = found.least_client
            facts["fairness_most_client"] = found.most_client
        return facts
