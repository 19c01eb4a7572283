"""The timed loops in C, if the extension `_native` was built; `loops` documents them."""

from typing import TYPE_CHECKING, cast

from ipcbench.case import Loop
from ipcbench.errors import LaunchFailed
from ipcbench.measure.loops import PYTHON, Acknowledged, Loops, Samples
from ipcbench.transports.base import Endpoint

if TYPE_CHECKING:
    from ipcbench.measure import _native


def unavailable() -> str | None:
    """Why this installation has no native loop, and the remedy; None if it has one."""
    try:
        import ipcbench.measure._native  # noqa: F401  (whether it can be loaded is the question)
    except ImportError:
        return (
            "the extension wasn't built: install a C compiler and Python's headers, then install"
            " ipcbench again"
        )
    return None


def driven_by(loop: Loop, endpoint: Endpoint) -> tuple[Endpoint, Loops]:
    """Wraps the endpoint for this kind of loop, and returns both. Raises LaunchFailed."""
    if loop == "python":
        return endpoint, PYTHON
    return NativeEndpoint(endpoint), NATIVE


class NativeEndpoint(Endpoint):
    """An endpoint driven in C, `send` and `receive` too: the position in a ring is C's to keep."""

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
            outgoing=endpoint.outgoing,
            incoming=endpoint.incoming,
            facts=endpoint.facts,
            close=close,
        )


def _core(endpoint: Endpoint) -> "_native.Endpoint":
    return cast("NativeEndpoint", endpoint).core


def _client_latency(endpoint: Endpoint, messages: int) -> float:
    return _core(endpoint).client_latency(messages)


def _client_latency_sampled(endpoint: Endpoint, samples_ns: Samples) -> None:
    _core(endpoint).client_latency_sampled(samples_ns)


def _server_latency(endpoint: Endpoint, messages: int) -> None:
    _core(endpoint).server_latency(messages)


def _client_throughput(endpoint: Endpoint, messages: int, acknowledged: Acknowledged) -> float:
    return _core(endpoint).client_throughput(messages, acknowledged)


def _server_throughput(endpoint: Endpoint, messages: int) -> None:
    _core(endpoint).server_throughput(messages)


NATIVE = Loops(
    _client_latency,
    _client_latency_sampled,
    _server_latency,
    _client_throughput,
    _server_throughput,
)
