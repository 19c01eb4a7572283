"""The HTTP client without a library sends whole requests, and takes nothing but its response."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from ipcbench.transports.base import Endpoint
from ipcbench.transports.parts.options import SocketOptions
from ipcbench.transports.stack.http import request_head
from ipcbench.transports.stack.http_bare import bare_client_endpoint

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: 5\r\n\r\n"


@pytest.fixture
def pair() -> Iterator[tuple[Endpoint, socket.socket]]:
    """A client of messages of 5 bytes, and the socket of its server."""
    ours, theirs = socket.socketpair()
    with theirs:
        head = request_head("/token", "localhost", 5)
        with closing(bare_client_endpoint(ours, head, 5, SocketOptions({}))) as client:
            yield client, theirs


def test_a_request_is_the_head_and_the_message(pair: tuple[Endpoint, socket.socket]) -> None:
    client, theirs = pair
    client.outgoing[:] = b"hello"
    client.send()
    assert theirs.recv(4096) == (
        b"POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
        b"Content-Length: 5\r\n\r\nhello"
    )


@pytest.mark.parametrize("cut", [1, len(_HEAD) - 2, len(_HEAD), len(_HEAD) + 2])
def test_a_response_may_come_in_parts(pair: tuple[Endpoint, socket.socket], cut: int) -> None:
    client, theirs = pair
    whole = _HEAD + b"hello"
    theirs.sendall(whole[:cut])
    # What comes in one call is up to the kernel: the rest is there already, or not.
    theirs.sendall(whole[cut:])
    client.receive()
    assert bytes(client.incoming) == b"hello"


def test_responses_follow_each_other_with_other_heads(
    pair: tuple[Endpoint, socket.socket],
) -> None:
    client, theirs = pair
    for head, body in ((_HEAD, b"hello"), (_HEAD, b"again"), (_HEAD.upper(), b"third")):
        theirs.sendall(head + body)
        client.receive()
        assert bytes(client.incoming) == body


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nhello", "404 Not Found"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello!", "a body of 6 bytes came"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "a body of no number of bytes came in place of 5"),
        (_HEAD + b"hello there", "11 bytes came after a head that told of 5"),
        (b"x" * 4096, "the head of a response has more than 4,096 bytes"),
    ],
)
def test_another_answer_than_the_response_is_an_error(
    pair: tuple[Endpoint, socket.socket], answer: bytes, said: str
) -> None:
    client, theirs = pair
    theirs.sendall(answer)
    with pytest.raises(OSError, match=said):
        client.receive()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "the stream ended after 0 bytes of a response's head"),
        (_HEAD[:10], "the stream ended after 10 bytes of a response's head"),
        (_HEAD + b"hel", "the stream ended after 3 of 5 bytes"),
    ],
)
def test_an_end_within_a_response_is_told(
    pair: tuple[Endpoint, socket.socket], answer: bytes, said: str
) -> None:
    client, theirs = pair
    theirs.sendall(answer)
    theirs.close()
    with pytest.raises(EOFError, match=said):
        client.receive()
