"""Transports that don't keep the contract, each in its own way, as plug-ins for the tests."""

import ctypes
import os
import secrets
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType

from ipcbench.measure.drivers import blocking
from ipcbench.terms import Knob, Whole
from ipcbench.transports.base import (
    Endpoint,
    Link,
    Medium,
    Traffic,
    Transport,
    Workspace,
    no_native_loop,
)
from ipcbench.transports.parts.joined import JoinedLink
from ipcbench.transports.parts.sockets import socket_endpoint
from ipcbench.transports.shapes import StreamShape

EVERY = 7
"""Each seventh message is treated badly."""


class Liar(Transport):
    """A pair of sockets that keep records, whose client does as `lie` says."""

    summary = "does not what it says"
    waits = "blocks in recv"
    source = "tests/data/liars"
    groups = ("liars",)
    knobs = (Knob("truth", Whole(0, 9), "0", "how much of it there is"),)
    mediums: tuple[Medium, ...] = ("unix-seqpacket", "no-name")

    def rejects(self, traffic: Traffic) -> str | None:
        if traffic.message_size_bytes > 4096:
            return "4,096 bytes at most"
        return super().rejects(traffic)

    def rejects_driver(self, driver: str) -> str | None:
        return no_native_loop(driver, "a liar has none")  # type: ignore[arg-type]

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return LiarsLink(self, JoinedLink(traffic, client, server, without_knobs))

    def lie(self, end: Endpoint) -> None:
        """Makes the client's endpoint a liar's."""

    def lie_at_server(self, end: Endpoint) -> None:
        """Makes the server's endpoint a liar's."""


def without_knobs(end: socket.socket, size_bytes: int, /, *, echoes: bool) -> Endpoint:
    honest = socket_endpoint(end, size_bytes, echoes=echoes)
    return Endpoint(
        send=honest.send,
        receive=honest.receive,
        outgoing=honest.outgoing,
        incoming=honest.incoming,
        close=honest.close,
        shape=StreamShape("stream", end.fileno(), end.fileno(), is_socket=True),
    )


class LiarsLink(Link):
    def __init__(self, liar: Liar, link: Link) -> None:
        self._liar = liar
        self._link = link

    def client(self) -> Endpoint:
        end = self._link.client()
        self._liar.lie(end)
        return end

    def server(self) -> Endpoint:
        end = self._link.server()
        self._liar.lie_at_server(end)
        return end

    def keep_only(self, side: str) -> None:
        self._link.keep_only(side)  # type: ignore[arg-type]

    def close(self) -> None:
        self._link.close()


def at_each(end: Endpoint, bad: Callable[[Callable[[], None]], None]) -> None:
    """Sends each seventh message by `bad`, which gets the way to send it."""
    send, numbers = end.send, count()

    def lying_send() -> None:
        if next(numbers) % EVERY:
            send()
        else:
            bad(send)

    end.send = lying_send


def count() -> Iterator[int]:
    number = 0
    while True:
        number += 1
        yield number


def hang() -> None:
    while True:
        threading.Event().wait()


class Drops(Liar):
    name = "drops"

    def lie(self, end: Endpoint) -> None:
        at_each(end, lambda _: None)


class Doubles(Liar):
    name = "doubles"

    def lie(self, end: Endpoint) -> None:
        def bad(send: Callable[[], None]) -> None:
            send()
            send()

        at_each(end, bad)


class Reorders(Liar):
    name = "reorders"
    replies = False

    def lie_at_server(self, end: Endpoint) -> None:
        receive, held = end.receive, list[bytes]()
        assert isinstance(end.shape, StreamShape)
        reader = end.shape.reader

        def lying_receive() -> None:
            if held:
                end.incoming[:] = held.pop()
                return
            receive()
            if select.select([reader], [], [], 0.05)[0]:
                held.append(bytes(end.incoming))
                receive()

        end.receive = lying_receive


class Corrupts(Liar):
    name = "corrupts"

    def lie(self, end: Endpoint) -> None:
        def bad(send: Callable[[], None]) -> None:
            if len(end.outgoing):
                end.outgoing[0] ^= 1
                send()
                end.outgoing[0] ^= 1

        at_each(end, bad)


class HangsInSend(Liar):
    name = "hangs-in-send"

    def lie(self, end: Endpoint) -> None:
        at_each(end, lambda _: hang())


class HangsInReceive(Liar):
    name = "hangs-in-receive"

    def lie(self, end: Endpoint) -> None:
        end.receive = hang


class HangsInLink(Liar):
    name = "hangs-in-link"

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        hang()
        return super().link(traffic, workspace)


class AlwaysReady(Liar):
    name = "always-ready"

    def lie_at_server(self, end: Endpoint) -> None:
        end.ready = lambda: True


class TakesByLooking(Liar):
    name = "takes-by-looking"

    def lie_at_server(self, end: Endpoint) -> None:
        assert isinstance(end.shape, StreamShape)
        reader = end.shape.reader

        def lying_ready() -> bool:
            if not select.select([reader], [], [], 0)[0]:
                return False
            os.read(reader, len(end.incoming))
            return True

        end.ready = lying_ready


class Exits(Liar):
    name = "exits"

    def lie(self, end: Endpoint) -> None:
        at_each(end, lambda _: os._exit(7))


class Aborts(Liar):
    name = "aborts"

    def lie(self, end: Endpoint) -> None:
        at_each(end, lambda _: os.abort())


class Segfaults(Liar):
    name = "segfaults"

    def lie(self, end: Endpoint) -> None:
        def bad(_: Callable[[], None]) -> None:
            ctypes.string_at(0)

        at_each(end, bad)


class Leaves(Liar):
    name = "leaves"

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        Path("/dev/shm", f"liar-{secrets.token_hex(4)}").touch()
        return super().link(traffic, workspace)


class LeavesAProcess(Liar):
    name = "leaves-a-process"

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        sleeping = (sys.executable, "-c", "import time; time.sleep(60)")
        subprocess.Popen(sleeping, start_new_session=True)
        return super().link(traffic, workspace)


def remove_noted(key: int) -> None:
    Path("/dev/shm", f"liar-noted-{key}").unlink(missing_ok=True)


class Notes(Liar):
    """Notes what it makes, and so does what it should."""

    name = "notes"
    leftovers = MappingProxyType({"liar-file": remove_noted})


class TimesItself(Liar):
    name = "times-itself"

    def lie(self, end: Endpoint) -> None:
        blocking.perf_counter = lambda: 0.0  # type: ignore[attr-defined]


class Boasts(Liar):
    """Another mechanism than the one it claims."""

    name = "boasts"
    mediums = ("posix-shm", "posix-sem")


class Modest(Liar):
    """Claims nothing, which is allowed, and never proved."""

    name = "modest"
    mediums = ()


class Chatters(Liar):
    """Prints, which is allowed."""

    name = "chatters"

    def lie(self, end: Endpoint) -> None:
        print("chatter")
        print("chatter", file=sys.stderr)


class Unix(Liar):
    """Has the name of one that is built in."""

    name = "unix"


class Misnamed(Liar):
    name = "somebody-else"


class Unfinished(Liar):
    name = "unfinished"
    summary = None  # type: ignore[assignment]


class Abstract(Transport):
    name = "abstract"


NOT_A_TRANSPORT = 7
