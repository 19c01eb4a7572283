"""The timed loops in C, if the extension `_native` was built; `blocking` documents them."""

from array import array
from typing import assert_never

from ipcbench.errors import LaunchFailed
from ipcbench.measure.drivers import blocking
from ipcbench.measure.drivers.base import Acknowledged, Samples
from ipcbench.transports.base import Endpoint
from ipcbench.workloads import Workload


def unavailable() -> str | None:
    """The reason why this installation has no native loop, and the remedy; None if it has one."""
    try:
        import ipcbench.measure._native  # noqa: F401  (whether it can be loaded is the question)
    except ImportError:
        return (
            "the extension wasn't built: install a C compiler and Python's headers, then install"
            " ipcbench again"
        )
    return None


def rejects(workload: Workload) -> str | None:
    """The reason why the loops in C can't run this workload, over any transport; None if they can.

    An endpoint that makes a connection for each message has no shape that they know.
    """
    match workload:
        case "latency" | "throughput" | "load":
            return None
        case "connect":
            return "connections are made by the loop in Python only"
        case _:
            assert_never(workload)


def load() -> None:
    """Imports the extension, if it was built; without it an endpoint says why there is none."""
    unavailable()


class NativeEndpoint(Endpoint):
    """An endpoint driven in C, single calls too: the position in a ring is C's to keep."""

    __slots__ = ("core",)

    def __init__(self, endpoint: Endpoint) -> None:
        reason = unavailable()
        if reason is not None or endpoint.shape is None:
            raise LaunchFailed(f"no native loop: {reason or 'this transport has none'}")
        from ipcbench.measure import _native

        self.core = core = _native.Endpoint(endpoint.shape, endpoint.outgoing, endpoint.incoming)

        def close() -> None:
            core.close()  # its hold on shared memory goes before the memory does
            endpoint.close()

        super().__init__(
            send=core.send,
            receive=core.receive,
            ready=core.ready,
            outgoing=endpoint.outgoing,
            incoming=endpoint.incoming,
            facts=endpoint.facts,
            effective=endpoint.effective,
            close=close,
            shape=endpoint.shape,
        )


class Client(blocking.Client):
    """The client of the loop in C; single messages are the endpoint's calls, also in C."""

    def __init__(self, endpoint: NativeEndpoint, workload: Workload, window: int = 1) -> None:
        super().__init__(endpoint, workload, window)
        self._core = endpoint.core

    def batch(self, messages: int, acknowledged: Acknowledged) -> float:
        """Times a batch; see `drivers.base`."""
        if not self._takes_turns:
            streamed: float = self._core.client_throughput(messages, acknowledged.wait)
            return streamed
        elapsed: float = self._core.client_latency(messages, self._window)
        acknowledged.wait()
        return elapsed

    def sample(self, samples_ns: Samples) -> Samples:
        """Times single round trips."""
        sent_ns = array("q", bytes(8 * len(samples_ns)))
        self._core.client_latency_sampled(samples_ns, sent_ns, self._window)
        return sent_ns


class Server(blocking.Server):
    """The server of the loop in C; single messages are the endpoint's calls, also in C."""

    def __init__(self, endpoint: NativeEndpoint, workload: Workload) -> None:
        super().__init__(endpoint, workload)
        self._core = endpoint.core

    def serve(self, messages: int) -> None:
        """Serves a batch; see `drivers.base`."""
        if self._takes_turns:
            self._core.server_latency(messages)
        else:
            self._core.server_throughput(messages)
