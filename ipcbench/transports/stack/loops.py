"""The event loop that one end has to itself: asyncio's own, or uvloop's.

What a signal handler raises in a callback is caught by the loop, which hands it to its exception
handler. The one here keeps it and stops the loop; the call that ran the loop then raises it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")

NewLoop = Callable[[], asyncio.AbstractEventLoop]
"""Makes an event loop."""


class OwnLoop:
    """An event loop, run from outside: until a coroutine ends, or until it is stopped."""

    def __init__(self, new_loop: NewLoop) -> None:
        self.asyncio = new_loop()
        self._error: BaseException | None = None
        self._watched: list[int] = []
        self.asyncio.set_exception_handler(self._keep)

    def complete(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Runs a coroutine to its end; see `ends.Loop`."""
        try:
            self.check()
            result = self.asyncio.run_until_complete(coroutine)
        except BaseException:
            if self._error is None:
                raise
        finally:
            coroutine.close()  # its task may never get another step
        self.check()
        return result

    def run(self, begin: Callable[[], None]) -> None:
        """Runs until `stop`, and calls `begin` first. Raises what was kept meanwhile."""
        self.check()
        self.asyncio.call_soon(begin)
        self.asyncio.run_forever()
        self.check()

    def stop(self) -> None:
        """Ends the run, after the callbacks that are due."""
        self.asyncio.stop()

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

    def close(self) -> None:
        """Lets what was closed in the loop go, and closes it."""
        loop = self.asyncio
        loop.set_exception_handler(lambda _loop, _context: None)
        for descriptor in self._watched:
            loop.remove_reader(descriptor)
        loop.call_soon(loop.stop)
        try:
            loop.run_forever()
        finally:
            loop.close()

    def _keep(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handles what the loop caught."""
        self.fail(context.get("exception") or RuntimeError(context["message"]))
