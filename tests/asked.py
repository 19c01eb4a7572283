"""Requests as the command line makes them of arguments."""

from ipcbench.cli.commands import parser
from ipcbench.cli.compare import USUAL, USUAL_CLAIMS
from ipcbench.cli.ladder import USUAL_LADDER, settle
from ipcbench.cli.load import USUAL_LOAD
from ipcbench.cli.requests import request_of
from ipcbench.run.facts import CommandLine
from ipcbench.run.plan import Plan, planned
from ipcbench.run.request import Request

_USUAL = {
    "compare": USUAL,
    "claims": USUAL_CLAIMS,
    "ladder": USUAL_LADDER,
    "load": USUAL_LOAD,
}


def requested(command: str, *arguments: str) -> Request:
    """The request of `ipcbench COMMAND ARGUMENTS`."""
    args = parser().parse_args([command, *arguments])
    has_crowds = command == "ladder" and args.concurrency
    return request_of(args, settle(args) if has_crowds else _USUAL[command])


def plan_of(command: str, *arguments: str) -> Plan:
    """The plan of `ipcbench COMMAND ARGUMENTS` on this machine."""
    line = CommandLine("as typed", "again")
    return planned(requested(command, *arguments), line)
