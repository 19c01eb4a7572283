"""The table of commands, and the parser that it makes. Runs nothing.

A command's module is imported when that command is asked for: help and mistakes cost no more.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import NamedTuple

from ipcbench import __version__
from ipcbench.cli.parser import EPILOG, Handler, Parser


class Command(NamedTuple):
    """One row of the table."""

    name: str
    help: str
    """One line in the list of commands."""
    description: str
    module: str
    """The module of this package that it is in."""
    handler: str
    """The name of its handler there."""

    def load(self) -> Handler:
        """Imports what the command takes and does."""
        handler: Handler = getattr(import_module(f"ipcbench.cli.{self.module}"), self.handler)
        return handler


COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command(
            "list",
            "every transport, and whether it can run here",
            "Lists every transport, what it is, and whether it can run here.",
            "inspect",
            "LIST",
        ),
        Command(
            "explain",
            "what a transport is, and what bounds it on this machine now",
            "Tells what a transport is, how its reader waits, what is copied, its limits.",
            "inspect",
            "EXPLAIN",
        ),
        Command(
            "evidence",
            "the kernel's own word for what each transport goes through",
            "Starts a pair of each transport, and while both ends are alive proves from the"
            " kernel's tables that what joins them is what it claims, and nothing else. Exits with"
            " 3 if the kernel disagrees, or can't be asked.",
            "inspect",
            "EVIDENCE",
        ),
        Command(
            "check",
            "whether a transport keeps the contract: for those who write one",
            "Tries every rule of the contract on a transport, each in a process of its own, and"
            " names those that are broken. Exits with 3 if one is.",
            "inspect",
            "CHECK",
        ),
        Command(
            "compare",
            "measure transports against each other",
            "Measures transports against each other, then shows and saves the results.",
            "compare",
            "COMPARE",
        ),
        Command(
            "claims",
            "what people say about these mechanisms, judged on this machine",
            "Measures what common claims are about, in under 4 minutes, and judges them.",
            "compare",
            "CLAIMS",
        ),
        Command(
            "ladder",
            "what each layer that programs put on a socket costs",
            "Measures round trips of every rung of the ladder, from the bare socket to HTTP and"
            " RPC, over each family of sockets: what a rung adds, what the family saves there.",
            "ladder",
            "LADDER",
        ),
        Command(
            "load",
            "response times at a rate, and how far one may go",
            "Sends messages at a rate, whatever the replies (an open loop): response times from the"
            " intended time of sending, at shares of each mechanism's own peak or at given rates,"
            " and the highest rate that keeps an objective.",
            "load",
            "LOAD",
        ),
        Command(
            "full",
            "what happens when nobody reads",
            "Fills mechanisms that nobody reads from: how much fits, what becomes of the next"
            " message, when a blocked writer wakes, and how it learns of its reader's death.",
            "full",
            "FULL",
        ),
        Command(
            "report",
            "tables and CSV from stored results",
            "Makes the tables and the CSV of stored results again, without measuring.",
            "report",
            "REPORT",
        ),
        Command(
            "diff",
            "what changed between two runs",
            "Compares two runs case by case; --fail-if gates answer with exit code 4 or 6.",
            "report",
            "DIFF",
        ),
        Command(
            "selftest",
            "how far this tool can be trusted on this machine",
            "Measures the tool on this machine with things whose truth is known.",
            "inspect",
            "SELFTEST",
        ),
        Command(
            "clean",
            "remove what killed runs left behind",
            "Removes exactly what ipcbench made and whose maker is gone.",
            "inspect",
            "CLEAN",
        ),
        Command(
            "doctor",
            "whether this machine is fit to be measured",
            "Says what on this machine bounds or disturbs measuring, and what mends it.",
            "inspect",
            "DOCTOR",
        ),
    )
}
"""Every command by its name, in the order of the help."""


def parser(words: Iterable[str] | None = None) -> Parser:
    """The parser of `ipcbench`; the chosen command's name is in `command`.

    With the words that it is to parse, only the command among them gets its arguments.
    """
    main = Parser(
        prog="ipcbench",
        description="Measures how two processes on this machine can talk.",
        epilog=EPILOG,
    )
    main.add_argument("--version", action="version", version=f"ipcbench {__version__}")
    main.add_examples(
        ("compare", "measure the usual, show, save"),
        ("claims", "judge what people say about them"),
        ("report FILE --html OUT.html", "a page to send of what was saved"),
    )
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    asked = None if words is None else next((word for word in words if word in COMMANDS), "")
    for command in COMMANDS.values():
        added = commands.add_parser(
            command.name, help=command.help, description=command.description
        )
        if asked is None or asked == command.name:
            command.load().add_arguments(added)
    return main
