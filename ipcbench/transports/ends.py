"""The contract of ends that an event loop drives; beside `base`, whose rules hold for them, too.

An end blocks (`base.Endpoint`), or is one of the two kinds here. A link chooses for each side: its
client may block while its server is called back. `drivers.event_loop` runs both kinds.

The rules of both:

- An end has what drives it, an event loop of its own, made in `client` or `server`. Nothing else
  runs in it, and its descriptors (epoll, a self-pipe) are this end's alone. Modules that it needs
  are imported in `Transport.link`, before the fork. Ends of a server of many clients share one loop
  (`one_loop`) where their transport says so (`server_models` has `epoll`): each takes the one that
  `loop_of` has.
- A whole batch goes in *one* run of the loop: to start and to stop a loop costs as much as some
  messages (uvloop makes and closes a pair of sockets each time), and isn't what is measured.
- `send` and `receive` of `base` are there, and run the loop for one message. They are for what
  isn't timed: the check of the payload, and whoever knows blocking ends only. After `send` the
  whole message has left this process, and `outgoing` may be written to.
- What is raised while the loop runs comes out of the call that ran it, as it was raised: from a
  signal handler, whose error a loop would only log; OSError or EOFError when the other end is gone,
  where the mechanism tells. Nothing is run with the end after that; it is only closed.
- `makes_garbage` tells whether messages leave cyclic garbage, which only Python's garbage collector
  frees: it is off for all others, in both processes.
- `close` may be called after any of that. It may run the loop once more, and never waits.
- Such an end has no `shape`: the loop in C can't drive it.
"""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, TypeVar

from ipcbench.transports.base import Endpoint, do_nothing, lengthened, nothing_set

_T = TypeVar("_T")
_L = TypeVar("_L")

Step: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""A coroutine function without arguments."""
Watch: TypeAlias = Callable[[int, Callable[[], None]], None]
"""Has a call made in the loop, once, when a descriptor gets readable while the loop runs."""


async def nothing_to_flush() -> None:
    """Returns at once: for an end whose `sending` ends when the message has left."""


def nothing_watched(descriptor: int, call: Callable[[], None]) -> None:
    """Watches nothing: for an end that is a server's only."""


class Loop(Protocol):
    """The event loop of an end."""

    def complete(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Runs the loop until the coroutine ends, and returns its result.

        Raises what a signal handler raised meanwhile. The coroutine is closed then.
        """

    @property
    def watch(self) -> Watch:
        """Has the loop watch a descriptor."""


class Gathering(Loop, Protocol):
    """An event loop that several ends may share."""

    def together(self) -> AbstractContextManager[None]:
        """Has the ends whose `run` is called in the block run as it ends, all at once.

        The loop runs until each of them has stopped.
        """


class SharedLoop:
    """The loop of several ends, once there is one."""

    def __init__(self) -> None:
        self.loop: Any = None


_sharing: SharedLoop | None = None
"""Where the ends that are made now find their loop; None: each has its own."""


@contextmanager
def one_loop() -> Iterator[SharedLoop]:
    """Has the ends that are made in the block share one event loop: a server's, of many clients."""
    global _sharing  # noqa: PLW0603  (the ends are made by links, which know of no other end)
    _sharing = shared = SharedLoop()
    try:
        yield shared
    finally:
        _sharing = None


def loop_of(make: Callable[[], _L]) -> _L:
    """The loop of an end that is made now: its own, or within `one_loop` that of all."""
    if _sharing is None:
        return make()
    if _sharing.loop is None:
        _sharing.loop = make()
    shared: _L = _sharing.loop
    return shared


class CoroutineEndpoint(Endpoint):
    """One side of a link whose messages are sent and received by coroutines.

    - `sending` and `receiving` are what the timed loop awaits, in a coroutine that `loop.complete`
      runs. They take no argument and return nothing, as `send` and `receive`.
    - After `sending` a part of the message may wait in this process, of a size that the library
      bounds; `outgoing` is not to be changed. After `flushing` nothing waits.
    - No two of the three are awaited at once.
    """

    __slots__ = ("flushing", "loop", "makes_garbage", "receiving", "sending")

    def __init__(
        self,
        *,
        loop: Loop,
        sending: Step,
        receiving: Step,
        flushing: Step = nothing_to_flush,
        outgoing: memoryview,
        incoming: memoryview,
        facts: Mapping[str, int] = MappingProxyType({}),
        effective: Callable[[], Mapping[str, str]] = nothing_set,
        makes_garbage: bool = False,
        close: Callable[[], None] = do_nothing,
    ) -> None:
        super().__init__(
            send=self._send,
            receive=self._receive,
            outgoing=outgoing,
            incoming=incoming,
            facts=facts,
            effective=effective,
            close=close,
        )
        self.loop = loop
        self.sending = sending
        self.receiving = receiving
        self.flushing = flushing
        self.makes_garbage = makes_garbage

    def lengthen(self, wait: Callable[[], None]) -> None:
        receiving = self.receiving

        async def receive_and_wait() -> None:
            await receiving()
            wait()

        self.receiving = receive_and_wait

    def _send(self) -> None:
        self.loop.complete(self._send_whole())

    def _receive(self) -> None:
        self.loop.complete(self.receiving())

    async def _send_whole(self) -> None:
        await self.sending()
        await self.flushing()


class CallbackEndpoint(Endpoint):
    """One side of a link that calls back for each message that has come.

    - `run(begin)` runs until `stop`, and on until all that was posted has left this process. It
      calls `begin` first, within the run: there a clock may be read.
    - `on_message` is called each time that a whole message is in `incoming`. It may `post` and
      `stop`. `deliver_to` sets it, while nothing runs. The next message may overwrite `incoming`
      as soon as it returns.
    - After `stop` no message is delivered until the next `run`: `incoming` stays as it is.
    - `post` sends `outgoing`, without waiting; `outgoing` isn't to be changed before `run` has
      returned. It returns whether one more may follow at once. If not, `on_room` is called once it
      may, or `run` raises. Only a stream needs it: where the ends take turns there always is room.
    - All but `run` are called within a run only: from `begin`, `on_message` or `on_room`.
    """

    __slots__ = (
        *("_wait", "makes_garbage", "on_message", "on_room", "post", "run", "stop", "watch"),
    )

    def __init__(
        self,
        *,
        post: Callable[[], bool],
        run: Callable[[Callable[[], None]], None],
        stop: Callable[[], None],
        watch: Watch = nothing_watched,
        outgoing: memoryview,
        incoming: memoryview,
        facts: Mapping[str, int] = MappingProxyType({}),
        effective: Callable[[], Mapping[str, str]] = nothing_set,
        makes_garbage: bool = False,
        close: Callable[[], None] = do_nothing,
    ) -> None:
        super().__init__(
            send=self._send,
            receive=self._receive,
            outgoing=outgoing,
            incoming=incoming,
            facts=facts,
            effective=effective,
            close=close,
        )
        self.post = post
        self.run = run
        self.stop = stop
        self.watch = watch
        self.makes_garbage = makes_garbage
        self.on_message: Callable[[], None] = do_nothing
        """To be looked up, and called, by the transport for each message."""
        self.on_room: Callable[[], None] = do_nothing
        """To be called by the transport when there is room again."""
        self._wait: Callable[[], None] | None = None

    def deliver_to(self, on_message: Callable[[], None]) -> None:
        """Has this called for each message from now on."""
        wait = self._wait
        self.on_message = on_message if wait is None else lengthened(wait, on_message)

    def lengthen(self, wait: Callable[[], None]) -> None:
        self._wait = wait

    def _send(self) -> None:
        self.run(self._post_one)

    def _receive(self) -> None:
        self.deliver_to(self.stop)
        self.run(do_nothing)

    def _post_one(self) -> None:
        self.post()
        self.stop()
