"""The answers of gates for GitHub Actions: annotations, and the summary of a step. Pure.

Source: GitHub's "Workflow commands for GitHub Actions", and the escaping of its own toolkit
(actions/toolkit, packages/core/src/command.ts).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from ipcbench.analysis.gates import GateResult
from ipcbench.reporters import markdown
from ipcbench.reporters.tables.gates import gate_messages, gate_notes, gate_parts
from ipcbench.text import printable

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
"""The environment variable that names the file of a step's summary."""
MOST_SUMMARY_BYTES = 1024 * 1024
"""GitHub shows none of a step's summary that is longer."""


def annotations(results: Sequence[GateResult], cautions: Iterable[str]) -> Iterator[str]:
    """Yields lines that GitHub shows beside a run.

    `error` for what tripped a gate and for gates that judged too little, `warning` for cautions and
    for what an answer doesn't cover. GitHub shows ten of each a step.
    """
    for result in results:
        for message in gate_messages(result):
            yield annotation("error", message)
    for note in (*cautions, *gate_notes(results)):
        yield annotation("warning", note)


def annotation(kind: Literal["error", "warning"], message: str) -> str:
    """The line of one annotation, titled `ipcbench`."""
    return f"::{kind} title=ipcbench::{_data(printable(message))}"


def summary_text(results: Sequence[GateResult], tables: str, room_bytes: int) -> str:
    """The summary of a step in Markdown: the gates, then the tables, which are Markdown already.

    Where there is no room for both, the gates alone, and else their messages; empty for neither.
    """
    heading = "### ipcbench\n\n"
    gates = f"{markdown.rendered(gate_parts(results))}\n" if results else ""
    messages = [message for one in results for message in gate_messages(one)]
    short = "".join(f"- {markdown.escaped(message)}\n" for message in messages)
    texts = [f"{heading}{text}" for text in (gates + tables, gates, short) if text]
    return next((text for text in texts if len(text.encode()) <= room_bytes), "")


def _data(text: str) -> str:
    """The text of an annotation as GitHub wants it; a property would need `:` and `,`, too."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
