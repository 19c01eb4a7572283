"""What a client and its server tell each other about messages, and the checks made of it.

The client's side of the control channel: it asks the server to serve a batch, compares what both
ends have of it, and has distinct messages checked. Who times the batch isn't known here.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ipcbench.errors import CheckFailed
from ipcbench.evidence.holdings import Holdings
from ipcbench.measure.control import RAN, READY, Acknowledgement, Channel
from ipcbench.measure.drivers.base import Client
from ipcbench.measure.payload import Payloads, digest, messages_to_check
from ipcbench.measure.usage import Usage
from ipcbench.transports.base import Traffic, do_nothing


class Report(NamedTuple):
    """What a server tells after a batch, of itself and of all its batches."""

    usage: Usage = Usage()
    cpus: Sequence[int] = ()
    threads: int | None = None
    facts: Mapping[str, int] = {}
    effective: Mapping[str, str] = {}
    marks_ns: Sequence[int] = ()
    """When it had received each share of the last batch, where that was asked for."""


class Conversation:
    """The messages of one link, as its client and its server have counted and seen them."""

    def __init__(self, client: Client, channel: Channel, traffic: Traffic) -> None:
        self._client = client
        self._channel = channel
        self._traffic = traffic
        self._payloads = Payloads()
        self.messages = 0
        """Messages sent so far, by the client's count."""
        self.checked = 0
        """Messages whose payload was compared at both ends."""
        self.report = Report()
        """The server's last report."""

    def greet(self) -> None:
        """Waits for the server's hello. Raises CheckFailed for one of another size of messages."""
        hello = self._channel.expect("hello")
        expected = self._traffic.message_size_bytes
        if hello["message_size_bytes"] != expected:
            raise CheckFailed(f"the server expects messages of {hello['message_size_bytes']} bytes")
        self.report = self.report._replace(facts=hello["facts"])

    def fill(self) -> None:
        """Puts a new payload into the message that is sent next."""
        self._payloads.fill(self._client.outgoing)

    def fill_with(self, byte: int) -> None:
        """Has the message that is sent next begin with this byte."""
        self._client.outgoing[0] = byte

    def begin(self, messages: int, marks: int = 0) -> Acknowledgement:
        """Has the server receive so many messages; returns once it is ready for them.

        It notes when it has received each of so many equal shares of them.
        """
        self._channel.send("run", messages=messages, marks=marks)
        self._channel.expect_line(READY)
        return Acknowledgement(self._channel)

    def end(self) -> None:
        """Waits for the server to have received them."""
        self._channel.expect_line(RAN)

    def exchange_one(self) -> None:
        """Exchanges one message, untimed and with nothing compared."""
        self._channel.send("check", messages=1)
        self._channel.expect_line(READY)
        self._client.exchange(do_nothing)
        self._channel.expect("checked")
        self.messages += 1

    def verify_batch(self, messages: int) -> int:
        """Checks that both ends have a batch's last message intact, and the same count.

        Returns the messages of the batch by the server's count. Raises CheckFailed.
        """
        before = self.messages
        self.messages += messages
        self._channel.send("report")
        report = self._channel.expect("report")
        usage = Usage(*report["usage"])
        self.report = Report(
            usage,
            report["cpus"],
            report["threads"],
            report["facts"],
            report["effective"],
            report["marks_ns"],
        )
        if report["messages"] != self.messages:
            raise CheckFailed(
                f"the client sent {self.messages} messages"
                f" and the server received {report['messages']}"
            )
        if report["received"]:
            self._compare_all(report["received"], messages)
        else:
            self._compare(report["digest"], "the batch's last message")
        if report["sent"] and report["sent"] != digest(self._client.incoming):
            raise CheckFailed("the server's last message of the batch reached the client changed")
        self.checked += 1
        delivered: int = report["messages"] - before
        return delivered

    def verify_each(self, message_s: float | None) -> None:
        """Checks that distinct messages arrive whole and in order. Raises CheckFailed.

        `message_s` is the time of one, if it is known: slow messages are fewer.
        """
        client, traffic = self._client, self._traffic
        messages = messages_to_check(traffic.message_size_bytes, traffic.in_flight, message_s)
        self._channel.send("check", messages=messages)
        self._channel.expect_line(READY)
        sent: list[str] = []
        returned: list[str] = []

        def look() -> None:
            returned.append(digest(client.incoming))

        for number in range(messages):
            self._payloads.fill(client.outgoing)
            client.exchange(look)
            sent.append(digest(client.outgoing))  # now: some number a message as they send it
            if traffic.alternates:
                self._compare(sent[-1], f"message {number + 1} of the check")
        checked = self._channel.expect("checked")
        _check_all(sent, checked["digests"], "messages reached the server changed")
        if traffic.goes_back:
            back = checked["sent"] if traffic.duplex else sent
            _check_all(back, returned, "messages of the server came changed")
        self.messages += messages
        self.checked += messages

    def confirm(self) -> None:
        """Hears of the server once more, which is alive then. Raises as the channel does."""
        self._channel.send("report")
        self._channel.expect("report")

    def told_options(self, held: Holdings) -> Holdings:
        """The server's holdings, with the options that it tells of its sockets."""
        self._channel.send("sockets")
        return held.with_nodelay(self._channel.expect("sockets")["nodelay"])

    def _compare_all(self, received: Mapping[str, int], messages: int) -> None:
        """Checks that each message of a batch has arrived, by the payload that it alone has."""
        client = self._client
        count = received.get(digest(client.outgoing), 0)
        if count != messages:
            raise CheckFailed(
                f"{count} of {messages} messages of the batch reached the server unchanged"
            )
        if client.incoming != client.outgoing:
            raise CheckFailed("the batch's last message came back changed")

    def _compare(self, server_digest: str, what: str) -> None:
        client = self._client
        if server_digest != digest(client.outgoing):
            raise CheckFailed(f"{what} reached the server changed")
        if self._traffic.echoes and client.incoming != client.outgoing:
            raise CheckFailed(f"{what} came back changed")


def _check_all(sent: Sequence[str], received: Sequence[str], what: str) -> None:
    """Compares digests of messages in their order. Raises CheckFailed."""
    wrong = sum(one != other for one, other in zip(sent, received, strict=False))
    if wrong or len(sent) != len(received):
        wrong = wrong or abs(len(sent) - len(received))
        raise CheckFailed(f"{wrong} of {len(sent)} {what}")
