"""Cross Memory Attach: the client writes into the server's memory, and reads. process_vm_readv(2).

Only the client copies: a parent may access its child under every setting of Yama's ptrace_scope but
the strictest, and not the other way round. An eventfd in each direction signals a message. A stream
has one message in flight at a time, since there is one buffer to write it to.
"""

import os
from collections.abc import Callable
from typing import Any

from ipcbench.case import Loop
from ipcbench.transports.base import (
    Endpoint,
    Link,
    Side,
    Traffic,
    Transport,
    Workspace,
    buffer_pair,
    message_buffer,
    no_native_loop,
    one_way_only,
)
from ipcbench.transports.parts.readiness import readable


class AttachLink(Link):
    """The server's buffer at an address known to both, and an eventfd in each direction."""

    def __init__(self, traffic: Traffic) -> None:
        self._size_bytes = traffic.message_size_bytes
        self._alternates = traffic.alternates
        # Made before the fork: it lies at the same address in the server, which has its own copy.
        self._servers = message_buffer(self._size_bytes)
        self._to_server, self._to_client = (os.eventfd(0, os.EFD_SEMAPHORE) for _ in range(2))
        self._told, self._telling = os.pipe()

    def client(self) -> Endpoint:
        server = int.from_bytes(os.read(self._told, 8))
        self._close_once("_told")
        outgoing, incoming = buffer_pair(self._size_bytes, echoes=False)
        to_server, to_client, size = self._to_server, self._to_client, self._size_bytes
        there = _address(self._servers)
        write = _copier("process_vm_writev", server, _address(outgoing), there, size)
        read = _copier("process_vm_readv", server, _address(incoming), there, size)

        def send() -> None:
            write()
            os.eventfd_write(to_server, 1)

        def send_when_wanted() -> None:
            os.eventfd_read(to_client)
            send()

        def receive() -> None:
            os.eventfd_read(to_client)
            read()

        return Endpoint(
            send=send if self._alternates else send_when_wanted,
            receive=receive,
            ready=readable(to_client) if self._alternates else one_way_only,
            outgoing=outgoing,
            incoming=incoming,
        )

    def server(self) -> Endpoint:
        os.write(self._telling, os.getpid().to_bytes(8))
        self._close_once("_telling")
        to_server, to_client = self._to_server, self._to_client
        if not self._alternates:

            def receive() -> None:
                os.eventfd_write(to_client, 1)  # what came before is done with, and may be replaced
                os.eventfd_read(to_server)
        else:

            def receive() -> None:
                os.eventfd_read(to_server)

        def send() -> None:
            os.eventfd_write(to_client, 1)

        return Endpoint(
            send=send,
            receive=receive,
            # A stream's message is sent only once it is waited for, so none ever waits.
            ready=readable(to_server) if self._alternates else None,
            outgoing=self._servers,
            incoming=self._servers,
        )

    def keep_only(self, side: Side) -> None:
        self._close_once("_telling" if side == "client" else "_told")

    def close(self) -> None:
        for name in ("_to_server", "_to_client", "_told", "_telling"):
            self._close_once(name)

    def _close_once(self, name: str) -> None:
        """Closes a descriptor once; to the evidence an open pipe might be the medium."""
        descriptor = getattr(self, name)
        if descriptor != -1:
            setattr(self, name, -1)
            os.close(descriptor)


class ProcessVm(Transport):
    """process_vm_readv and process_vm_writev."""

    name = "process-vm"
    summary = "copies from process to process (CMA)"
    waits = "sleeps in a read of an eventfd"
    copies = "once: from process to process, by the kernel"
    source = "process_vm_readv(2)"
    groups = ("linux",)
    mediums = ("process-vm", "eventfd")

    def unavailable(self) -> str | None:
        if not hasattr(os, "eventfd"):
            return "this system has no eventfd"
        try:
            here, there = message_buffer(1), message_buffer(1)
            _copier("process_vm_readv", os.getpid(), _address(here), _address(there), 1)()
        except (AttributeError, OSError) as error:
            return f"process_vm_readv isn't permitted here: {error}"
        return None

    def rejects_driver(self, driver: Loop) -> str | None:
        return no_native_loop(driver, "there is no loop in C for copies between processes")

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return AttachLink(traffic)


def _address(buffer: memoryview) -> int:
    import ctypes  # loaded where it is needed: every start of the command line would pay

    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def _copier(name: str, process: int, near: int, far: int, size: int) -> Callable[[], None]:
    """Makes a call that copies `size` bytes between this process and another."""
    import ctypes

    class Piece(ctypes.Structure):
        """struct iovec."""

        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    call: Any = getattr(ctypes.CDLL(None, use_errno=True), name)
    call.restype = ctypes.c_ssize_t
    call.argtypes = (
        *(ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong),
        *(ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong),
    )
    here, there = Piece(near, size), Piece(far, size)
    near_piece, far_piece = ctypes.addressof(here), ctypes.addressof(there)

    def copy() -> None:
        if call(process, near_piece, 1, far_piece, 1, 0) != size:
            reason = ctypes.get_errno()
            raise OSError(reason, os.strerror(reason))

    copy.pieces = (here, there)  # type: ignore[attr-defined]  # they must live as long as it does
    return copy
