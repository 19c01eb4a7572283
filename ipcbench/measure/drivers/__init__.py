"""Drivers: how the messages of a case are run over a link, one a module; `base` is the contract.

The functions here are all that other rooms ask of a driver, each a `match` over the loops.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, assert_never

from ipcbench.case import Case, Loop
from ipcbench.measure.drivers import (
    blocking,
    duplex,
    event_loop,
    fan_out,
    in_turn,
    many,
    native,
    open_loop,
    paced,
    vectors,
)
from ipcbench.measure.drivers.base import Client, Server, Watched
from ipcbench.transports.base import Endpoint, Link
from ipcbench.transports.ends import CallbackEndpoint, CoroutineEndpoint
from ipcbench.transports.registry import get_transport

if TYPE_CHECKING:
    from ipcbench.measure.drivers.several import Several


def unavailable(loop: Loop) -> str | None:
    """The reason why this installation has no such loop, and the remedy; None if it has it."""
    match loop:
        case "python":
            return None
        case "native":
            return native.unavailable()
        case _:
            assert_never(loop)


def rejects(case: Case) -> str | None:
    """The reason why the case's driver can't run it over its transport; None if it can.

    Both sides are asked: the driver, and the transport.
    """
    match case.loop:
        case "python":
            reason = None
        case "native":
            reason = native.rejects(case.workload_name)
        case _:
            assert_never(case.loop)
    transport = get_transport(case.transport)
    refusals = (
        transport.rejects_driver(case.loop),
        vectors.rejects(case),
        open_loop.rejects(case),
        many.rejects(case),
        fan_out.rejects(case),
        in_turn.rejects(case),
    )
    return reason or next(filter(None, refusals), None)


def load(loop: Loop) -> None:
    """Imports what the driver needs: before the fork, so that both processes have it."""
    match loop:
        case "python":
            pass
        case "native":
            native.load()
        case _:
            assert_never(loop)


def client(case: Case, link: Link, peer: Watched, seed: str = "") -> Client:
    """Opens the client's side of the link, with the driver of the case. Raises LaunchFailed.

    `peer` is the process at the other end, for a driver that watches its descriptor; `seed` is that
    of what is random about the messages.
    """
    match case.loop:
        case "python" if case.arrivals is None:
            return _in_python(link.client(), case, peer)
        case "python":
            return open_loop.client(link.client(), case, seed)
        case "native" if case.arrivals is None:
            return _in_c(native.NativeEndpoint(link.client()), case)
        case "native":
            return open_loop.client(native.NativeEndpoint(link.client()), case, seed)
        case _:
            assert_never(case.loop)


def server(case: Case, link: Link) -> Server:
    """Opens the server's side of the link, with the driver of the case. Raises LaunchFailed."""
    match case.loop:
        case "python":
            return _serving_in_python(link.server(), case)
        case "native":
            return _serving_in_c(native.NativeEndpoint(link.server()), case)
        case _:
            assert_never(case.loop)


def client_of_many(case: Case, links: Iterable[Link], seed: str = "") -> "Several":
    """Opens the client's sides of several links, one by one, for one thread to drive.

    Raises LaunchFailed.
    """
    from ipcbench.measure.drivers import spread  # for few cases

    ends: list[Endpoint] = []
    try:
        ends.extend(link.client() for link in links)
        match case.loop:
            case "python" if case.arrivals is None:
                return fan_out.Writer(ends, case)
            case "python":
                return spread.Generator(ends, case, open_loop.load_of(case, seed))
            case "native":
                cores = [native.NativeEndpoint(end) for end in ends]
                if case.arrivals is None:
                    return fan_out.NativeWriter(cores, case)
                return spread.NativeGenerator(cores, case, open_loop.load_of(case, seed))
            case _:
                assert_never(case.loop)
    except BaseException:
        for end in ends:
            end.close()  # nobody else has them yet
        raise


def server_of_many(case: Case, links: Sequence[Link]) -> many.Server:
    """Opens the server's sides of the links of many clients, for one thread to drive.

    Raises LaunchFailed.
    """
    match case.loop:
        case "python" if in_turn.turns_of(case) is not None:
            return in_turn.server(links, case)
        case "python":
            return many.in_python(links, case)
        case "native":
            ends = [native.NativeEndpoint(link.server()) for link in links]
            return many.NativeServer(ends, case)
        case _:
            assert_never(case.loop)


def _in_python(endpoint: Endpoint, case: Case, peer: Watched) -> Client:
    """The client in Python that this kind of end takes: the link has chosen it."""
    workload, flow = case.workload_name, case.flow
    try:
        if flow.duplex:
            return duplex.Client(endpoint, workload)
        if flow.batch > 1:
            return vectors.Client(endpoint, workload, flow.batch)
        if case.rhythm.gap_s:
            return paced.client(endpoint, workload, case.rhythm, peer)
        match endpoint:
            case CoroutineEndpoint():
                return event_loop.CoroutineClient(endpoint, workload, peer, flow.window)
            case CallbackEndpoint():
                return event_loop.CallbackClient(endpoint, workload, peer)
            case _:
                return blocking.Client(endpoint, workload, flow.window)
    except BaseException:
        endpoint.close()  # the peer's end broke in: nobody else has it yet
        raise


def _in_c(core: native.NativeEndpoint, case: Case) -> Client:
    """The client in C that runs this case."""
    workload, flow = case.workload_name, case.flow
    if flow.duplex:
        return duplex.NativeClient(core, workload)
    if flow.batch > 1:
        return vectors.NativeClient(core, workload, flow.batch)
    if case.rhythm.gap_s:
        return paced.NativeClient(core, workload, case.rhythm)
    return native.Client(core, workload, flow.window)


def _serving_in_c(core: native.NativeEndpoint, case: Case) -> Server:
    """The server in C that runs this case; how many wait for it is the client's to know."""
    workload, flow = case.workload_name, case.flow
    if flow.duplex:
        return duplex.NativeServer(core, workload)
    if flow.batch > 1:
        return vectors.NativeServer(core, workload, flow.batch)
    if case.rhythm.work_s:
        return paced.NativeServer(core, workload, case.rhythm)
    return native.Server(core, workload)


def _serving_in_python(endpoint: Endpoint, case: Case) -> Server:
    """The server in Python that this kind of end takes."""
    workload, flow = case.workload_name, case.flow
    if flow.duplex:
        return duplex.Server(endpoint, workload)
    if flow.batch > 1:
        return vectors.Server(endpoint, workload, flow.batch)
    if case.rhythm.work_s:
        return paced.server(endpoint, workload, case.rhythm)
    match endpoint:
        case CoroutineEndpoint():
            return event_loop.CoroutineServer(endpoint, workload)
        case CallbackEndpoint():
            return event_loop.CallbackServer(endpoint, workload)
        case _:
            return blocking.Server(endpoint, workload)
