"""Links whose two ends are joined as they are made: pairs of sockets, pipes or Connections."""

from typing import Generic, Protocol, TypeVar

from ipcbench.transports.base import Endpoint, Link, Side, Traffic


class Closing(Protocol):
    """An end that can be closed; allowed twice."""

    def close(self) -> None: ...


End = TypeVar("End", bound=Closing)
End_contra = TypeVar("End_contra", contravariant=True)


class MakesEndpoint(Protocol[End_contra]):
    """Makes an endpoint of one end, which the endpoint then owns."""

    def __call__(self, end: End_contra, size_bytes: int, /, *, echoes: bool) -> Endpoint: ...


class JoinedLink(Link, Generic[End]):
    """Two ends that were joined before the fork; each process keeps its own."""

    def __init__(
        self, traffic: Traffic, client: End, server: End, endpoint: MakesEndpoint[End]
    ) -> None:
        self._size_bytes = traffic.message_size_bytes
        self._echoes = traffic.echoes
        self._ends: dict[Side, End] = {"client": client, "server": server}
        self._endpoint = endpoint

    def client(self) -> Endpoint:
        return self._endpoint(self._ends["client"], self._size_bytes, echoes=False)

    def server(self) -> Endpoint:
        return self._endpoint(self._ends["server"], self._size_bytes, echoes=self._echoes)

    def keep_only(self, side: Side) -> None:
        self._ends["server" if side == "client" else "client"].close()

    def close(self) -> None:
        for end in self._ends.values():
            end.close()
