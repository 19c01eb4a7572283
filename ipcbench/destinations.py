"""Destinations of a run's results, checked before its first launch."""

from argparse import Namespace
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from ipcbench import documents, host, outputs
from ipcbench.analysis import store
from ipcbench.analysis.store import Results
from ipcbench.documents import Documents
from ipcbench.errors import ResultsError, UsageError
from ipcbench.eventlog import EventLog, is_special


@dataclass(frozen=True, slots=True)
class Places:
    """Files of a run; None for each that isn't wanted."""

    output: Path | None
    """The result file."""
    documents: Documents
    """Documents made from the results: tables and pictures."""
    kept: Path | None = None
    """The named baseline that the run is saved as."""
    against: Results | None = None
    """The named baseline to compare the run with."""
    notes: list[str] = field(default_factory=list)
    """Notes for the user on files that are not written."""

    def save(self, results: Results) -> None:
        """Writes the result file, if one is wanted. Raises ResultsError."""
        if self.output is not None:
            _save(self.output, results)

    def keep(self, results: Results) -> None:
        """Writes the named baseline, if one is wanted. Raises ResultsError."""
        if self.kept is not None:
            _save(self.kept, results)


def _save(path: Path, results: Results) -> None:
    """Writes a result file, and makes its folder if need be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"{path.parent} can't be made: {error.strerror}") from error
    store.save(results, path)


def checked(args: Namespace, question: str) -> Places:
    """The files that the arguments name, or the default ones, for results called `question`.

    Raises UsageError for one that can't be written or doesn't exist.
    """
    notes: list[str] = []
    output, wanted = _outputs(args, question, notes)
    option = "-o" if args.resume is None else "--resume"
    documents.check_different(wanted.files | {option: output, "--events": args.events})
    kept = None if args.save is None else _baseline(args)
    against = None if args.against is None else store.load(outputs.known_baseline(args.against))
    return Places(output, wanted, kept, against, notes)


def open_events(path: Path | None, *, force: bool) -> AbstractContextManager[EventLog | None]:
    """The log of events at this path, or nothing where none is asked for. Raises UsageError."""
    if path is None:
        return nullcontext()
    if not is_special(path):
        outputs.checked_output(path, force=force)
    return EventLog(path)


def new_output(machine_slug: str, question: str) -> Path:
    """A new file for the results of a question, in the default place. UsageError without one."""
    path = outputs.default_output(machine_slug, question)
    return outputs.checked_new(path, "name a file with -o")


def _outputs(args: Namespace, question: str, notes: list[str]) -> tuple[Path | None, Documents]:
    """The result file and its documents; with a CSV if no result file is named."""
    wanted = documents.checked(args)
    if args.resume is not None:
        if args.output is not None:
            raise UsageError("a resumed run goes on in its own file; leave -o out")
        if args.resume.exists():
            outputs.checked_output(args.resume, force=True)
        return args.resume, _made_anew(wanted, args.resume, notes)
    if args.output is None:
        try:
            output = new_output(host.machine().slug, question)
        except UsageError as error:
            notes.append(f"results are not saved: {error}")
            return None, wanted
        if args.with_page and wanted.html is None:
            wanted = wanted._replace(html=_page_beside(output, notes))
        return output, wanted._replace(csv=wanted.csv or output.with_suffix(".csv"))
    if str(args.output) == outputs.STDOUT:
        raise UsageError("-o names a file that grows with the run; for stdout use --csv -")
    return outputs.checked_output(args.output, force=args.force), wanted


def _made_anew(wanted: Documents, resumed: Path, notes: list[str]) -> Documents:
    """Adds the CSV and page that exist beside a resumed file."""
    csv, html = (resumed.with_suffix(ending) for ending in (".csv", ".html"))
    if wanted.csv is None and csv.exists():
        wanted = wanted._replace(csv=csv)
    if wanted.html is None and html.exists():
        wanted = wanted._replace(html=_page_beside(resumed, notes))
    return wanted


def _page_beside(output: Path, notes: list[str]) -> Path | None:
    """The default path of a run's page; None, with a note, if pictures can't be drawn here."""
    try:
        documents.check_drawing()
    except UsageError as error:
        notes.append(f"no page is made: {error}")
        return None
    return output.with_suffix(".html")


def _baseline(args: Namespace) -> Path:
    path = outputs.baseline_path(args.save)
    if path.exists() and not args.force:
        raise UsageError(f"baseline {args.save!r} exists already; add --force to replace it")
    return outputs.checked_new(path)
