"""An argument parser with one-line errors, and with a short and a full help."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

from ipcbench.errors import UsageError

EPILOG = """\
exit codes:
  0    all measured (a case that can't exist here is n/a, not a failure)
  1    internal error
  2    usage: something asked for can't be done as written
  3    some cases failed or were invalid; a check found something wrong
  4    a --fail-if gate tripped
  5    the precision asked for was not reached
  6    a --fail-if gate was not judged, or not for all of its cases
  130  interrupted; what was measured is saved and shown
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are UsageErrors, so that the command line answers in one line.

    With `basic`, --help shows those arguments only, and --help-all shows all.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs |= {"allow_abbrev": False, "formatter_class": _formatter()}
        super().__init__(*args, **kwargs)
        self.basic: frozenset[str] = frozenset()
        """Names of the arguments in the short help; all, if empty."""
        self.examples = ""
        """Text of the examples in the help."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")

    def add_help_all(self) -> None:
        """Adds --help-all."""
        self.add_argument("--help-all", action=_HelpAll, nargs=0, help="tell of all options")

    def add_examples(self, *examples: tuple[str, str]) -> None:
        """Adds example commands to the help's end: pairs of arguments and what they do."""
        width = max(len(words) for words, _ in examples)
        lines = [f"  {self.prog} {words:{width}}  {does}\n" for words, does in examples]
        self.examples = f"examples:\n{''.join(lines)}"
        self.epilog = "\n".join(text for text in (self.examples, self.epilog) if text)

    def format_help(self) -> str:
        if not self.basic:
            return super().format_help()
        texts = {action: action.help for action in self._actions}
        whole = self.usage, self.epilog
        self.usage, self.epilog = f"{self.prog} [TRANSPORT ...] [options]", self.examples
        try:
            for action in self._actions:
                if action.dest not in self.basic:
                    action.help = argparse.SUPPRESS
            return super().format_help()
        finally:
            self.usage, self.epilog = whole
            for action, text in texts.items():
                action.help = text


class _HelpAll(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        if isinstance(parser, Parser):
            parser.basic = frozenset()
            parser.epilog = f"{parser.examples}\n{EPILOG}"
        parser.print_help()
        parser.exit()


def _formatter() -> Any:
    """The help formatter: with colours in a terminal, else the plain one, which loads no rich."""
    if sys.stdout is not None and sys.stdout.isatty():
        from rich_argparse import RawDescriptionRichHelpFormatter

        return RawDescriptionRichHelpFormatter
    return argparse.RawDescriptionHelpFormatter


class Handler(NamedTuple):
    """The arguments of a command, and the function that carries it out."""

    add_arguments: Callable[[Parser], None]
    run: Callable[[argparse.Namespace, Sequence[str]], int]
    """Carries it out for parsed arguments, given as these words; returns the exit code."""


def nothing_to_add(_: Parser) -> None:
    """The arguments of a command that takes none."""
