"""The table of commands, and the parser that it makes. Runs nothing."""

from ipcbench import __version__
from ipcbench.cli.compare import CLAIMS, COMPARE
from ipcbench.cli.inspect import CLEAN, DOCTOR, EVIDENCE, EXPLAIN, LIST, SELFTEST
from ipcbench.cli.parser import EPILOG, Command, Parser
from ipcbench.cli.report import DIFF, REPORT

COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        *(LIST, EXPLAIN, EVIDENCE, COMPARE, CLAIMS, REPORT, DIFF, SELFTEST, CLEAN, DOCTOR),
    )
}
"""Every command by its name, in the order of the help."""


def parser() -> Parser:
    """The parser of `ipcbench`; the chosen command's name is in `command`."""
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
    for command in COMMANDS.values():
        command.add_arguments(
            commands.add_parser(command.name, help=command.help, description=command.description)
        )
    return main
