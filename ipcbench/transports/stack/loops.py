"""The event loop that one end has to itself: asyncio's own, or uvloop's.

What a signal handler raises while the loop runs must come out of the call that runs it. It comes up
wherever Python stands: in the loop, which hands what it catches to its exception handler; in a
coroutine; or in a library that catches and forgets it, as uvloop does in `get_buffer`. So it is
kept before it is raised, and the loop is stopped, whoever catches it.
"""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TypeVar

_T = TypeVar("_T")

NewLoop = Callable[[], asyncio.AbstractEventLoop]
"""Makes an event loop."""

_SIGNALS = tuple(sorted(signal.valid_signals()))


_LEFT_RUNNING: list[asyncio.AbstractEventLoop] = []
"""Loops that can't be closed: uvloop reports one that is deallocated while it runs."""


def let_go(connection: socket.socket) -> None:
    """Closes a socket, also one that the transport of a loop which was left running still uses."""
    connection.close()
    if connection.fileno() != -1:
        os.close(connection.detach())


class OwnLoop:
    """An event loop, run from outside: until a coroutine ends, or until it is stopped."""

    def __init__(self, new_loop: NewLoop) -> None:
        self.asyncio = new_loop()
        self._error: BaseException | None = None
        self._watched: list[int] = []
        self._running = 0
        """Ends that run: one, unless they share the loop."""
        self._gathers = False
        self.asyncio.set_exception_handler(self._keep)

    def complete(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Runs a coroutine to its end; see `ends.Loop`."""
        try:
            return self._run(lambda: self.asyncio.run_until_complete(coroutine))
        finally:
            coroutine.close()  # its task may never get another step

    def run(self, begin: Callable[[], None]) -> None:
        """Runs until `stop`, and calls `begin` first. Raises what was kept meanwhile."""
        self.asyncio.call_soon(begin)
        self._running += 1
        if not self._gathers:
            self._run(self.asyncio.run_forever)

    def stop(self) -> None:
        """Ends the run of an end, after the callbacks that are due: the loop, once all stopped."""
        self._running = max(0, self._running - 1)
        if not self._running:
            self.asyncio.stop()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Has several ends run at once; see `ends.Loop`."""
        self._gathers = True
        try:
            yield
        finally:
            self._gathers = False
        self._run(self.asyncio.run_forever)

    def fail(self, error: BaseException) -> None:
        """Ends the run; it raises this error, unless another one came first."""
        self._error = self._error or error
        self.asyncio.stop()

    def check(self) -> None:
        """Raises what was kept in a run, if anything was: nothing is run after that."""
        if self._error is not None:
            raise self._error

    def watch(self, descriptor: int, call: Callable[[], None]) -> None:
        """Watches a descriptor; see `ends.Watch`."""

        def once() -> None:
            self.asyncio.remove_reader(descriptor)
            call()

        self._watched.append(descriptor)
        self.asyncio.add_reader(descriptor, once)

    def close(self, last: Awaitable[object] | None = None) -> None:
        """Lets what was closed in the loop go, and closes it; `last` is run to its end before."""
        loop = self.asyncio
        if loop.is_closed():
            return  # by another end that shares it
        loop.set_exception_handler(lambda _loop, _context: None)
        for descriptor in self._watched:
            loop.remove_reader(descriptor)
        if last is not None:
            with suppress(Exception, asyncio.CancelledError):
                loop.run_until_complete(last)
        loop.call_soon(loop.stop)
        try:
            loop.run_forever()
        except RuntimeError:
            # A handler that raised as uvloop began or ended a run leaves it in it for ever.
            _LEFT_RUNNING.append(loop)
        else:
            loop.close()

    def _run(self, run: Callable[[], _T]) -> _T:
        """Runs the loop; what was kept is raised before all else, and as it was raised."""
        self.check()
        try:
            with self._signals_kept():
                result = run()
        except BaseException:
            if self._error is None:
                raise
        self.check()
        return result

    @contextmanager
    def _signals_kept(self) -> Iterator[None]:
        """Has all that signal handlers raise in the block kept; they raise it all the same."""
        if threading.current_thread() is not threading.main_thread():
            yield  # no handler is run in another one
            return
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        keeping = {
            number: self._keeping(handler)
            for number, handler in handlers.items()
            if callable(handler)
        }
        try:
            for number, one in keeping.items():
                signal.signal(number, one)
            yield
        finally:
            for number, one in keeping.items():
                if signal.getsignal(number) is one:  # else a handler has set another one
                    signal.signal(number, handlers[number])

    def _keeping(
        self, handler: Callable[[int, FrameType | None], Any]
    ) -> Callable[[int, FrameType | None], None]:
        """The handler, with what it raises kept first."""

        def handle(number: int, frame: FrameType | None) -> None:
            try:
                handler(number, frame)
            except BaseException as error:
                self._error = self._error or error
                with suppress(RuntimeError):  # the loop is closed already
                    self.asyncio.call_soon_threadsafe(self.asyncio.stop)  # it may wait: wake it
                raise

        return handle

    def _keep(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handles what the loop caught."""
        self.fail(context.get("exception") or RuntimeError(context["message"]))
