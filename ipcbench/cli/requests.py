"""Requests of parsed arguments, and the arguments of a request."""

import argparse
from dataclasses import fields, replace
from typing import Any

from ipcbench.cli.options import MEASURED, OPTIONS
from ipcbench.errors import UsageError
from ipcbench.run.request import Request


def set_usual(parser: argparse.ArgumentParser, usual: Request) -> None:
    """Makes this request what the parser's arguments ask for where they say nothing."""
    usually = {name: getattr(usual, name) for name in (*MEASURED, "transports")}
    # A list, since argparse appends to it.
    parser.set_defaults(**usually | {"vary": list(usual.vary)})


def request_of(args: argparse.Namespace, usual: Request) -> Request:
    """The request that these arguments make of the usual one."""
    asked = {one.name for one in fields(Request)} & vars(args).keys()
    return replace(usual, **{name: _plain(getattr(args, name)) for name in asked})


def words_of(request: Request, usual: Request) -> list[str]:
    """The arguments that make this request of the usual one, a canonical spelling of each."""
    words = list(request.transports)
    for option in OPTIONS.values():
        if option.scope != "measured":
            continue
        value = getattr(request, option.dest)
        if value == getattr(usual, option.dest) or value is None:
            continue
        if "action" not in option.settings:
            words += [option.flags[-1], option.typed(value)]
        elif option.settings["action"] == "append":
            words += [word for one in value for word in (option.flags[-1], option.typed(one))]
        elif value == option.settings.get("const", True):
            words.append(option.flags[-1])
    return words


def check_only_shows(args: argparse.Namespace, usual: Request) -> None:
    """Checks the arguments of a command that only reports: UsageError for one about measuring."""
    about_run = (option.dest for option in OPTIONS.values() if option.scope == "run")
    asked = replace(request_of(args, usual), baseline=usual.baseline)
    if asked != usual or any(getattr(args, name) for name in about_run):
        raise UsageError(
            f"{args.files[0]} is judged as it is, and nothing is measured; leave the options"
            " of measuring out, or the file"
        )


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
