"""Destinations of a run's results, checked before its first launch."""

import os
from argparse import Namespace
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ipcbench.errors import ResultsError, UsageError
from ipcbench.reporters.documents import STDOUT, Documents
from ipcbench.results import folder
from ipcbench.results.files import beside, journal_path
from ipcbench.system import machine

if TYPE_CHECKING:
    from ipcbench.progress.log import EventLog
    from ipcbench.results.store import Results


@dataclass(frozen=True, slots=True)
class Places:
    """Files of a run; None for each that isn't wanted."""

    output: Path | None
    """The result file."""
    documents: Documents
    """Documents made from the results: tables and pictures."""
    kept: Path | None = None
    """The named baseline that the run is saved as."""
    against: "Results | None" = None
    """The named baseline to compare the run with."""
    notes: list[str] = field(default_factory=list)
    """Notes for the user on files that are not written."""

    def keep(self, results: "Results") -> None:
        """Writes the named baseline, if one is wanted. Raises ResultsError."""
        if self.kept is not None:
            _save(self.kept, results)


def _save(path: Path, results: "Results") -> None:
    """Writes a result file, and makes its folder if need be."""
    from ipcbench.results import store

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"{path.parent} can't be made: {error.strerror}") from error
    store.save(results, path)


def checked_places(args: Namespace, question: str) -> Places:
    """The files that the arguments name, or the default ones, for results called `question`.

    Raises UsageError for one that can't be written or doesn't exist.
    """
    notes: list[str] = []
    output, wanted = _outputs(args, question, notes)
    option = "-o" if args.resume is None else "--resume"
    journal = None if output is None else journal_path(output)
    named = {
        option: output,
        "--events": args.events,
        "--junit": args.junit,
        f"the journal of {option}": journal,
    }
    check_different(wanted.files | named)
    kept = None if args.save is None else _baseline(args)
    against = None if args.against is None else _load_baseline(args.against)
    return Places(output, wanted, kept, against, notes)


def open_events(path: Path | None, *, force: bool) -> "AbstractContextManager[EventLog | None]":
    """The log of events at this path, or nothing where none is asked for. Raises UsageError."""
    from ipcbench.progress.log import EventLog, is_special

    if path is None:
        return nullcontext()
    if not is_special(path):
        checked_output(path, force=force)
    return EventLog(path)


def new_output(machine_slug: str, question: str) -> Path:
    """A new file for the results of a question, in the default place. UsageError without one."""
    path = folder.default_output(machine_slug, question)
    return checked_new(path, "name a file with -o")


def _outputs(args: Namespace, question: str, notes: list[str]) -> tuple[Path | None, Documents]:
    """The result file and its documents; with a CSV if no result file is named."""
    wanted = checked_documents(args)
    if args.resume is not None:
        if args.output is not None:
            raise UsageError("a resumed run goes on in its own file; leave -o out")
        if args.resume.exists():
            checked_output(args.resume, force=True)
        return args.resume, _made_anew(wanted, args.resume, notes)
    if args.output is None:
        try:
            output = new_output(machine.this_machine().slug, question)
        except UsageError as error:
            notes.append(f"results are not saved: {error}")
            return None, wanted
        if args.with_page and wanted.html is None:
            wanted = wanted._replace(html=_page_beside(output, notes))
        return output, wanted._replace(csv=wanted.csv or beside(output, ".csv"))
    if str(args.output) == STDOUT:
        raise UsageError("-o names a file that grows with the run; for stdout use --csv -")
    return checked_output(args.output, force=args.force), wanted


def _made_anew(wanted: Documents, resumed: Path, notes: list[str]) -> Documents:
    """Adds the CSV and page that exist beside a resumed file."""
    csv, html = (beside(resumed, ending) for ending in (".csv", ".html"))
    if wanted.csv is None and csv.exists():
        wanted = wanted._replace(csv=csv)
    if wanted.html is None and html.exists():
        wanted = wanted._replace(html=_page_beside(resumed, notes))
    return wanted


def _page_beside(output: Path, notes: list[str]) -> Path | None:
    """The default path of a run's page; None, with a note, if pictures can't be drawn here."""
    try:
        check_drawing()
    except UsageError as error:
        notes.append(f"no page is made: {error}")
        return None
    return beside(output, ".html")


def _load_baseline(name: str) -> "Results":
    from ipcbench.results import store

    return store.load(folder.known_baseline(name))


def _baseline(args: Namespace) -> Path:
    path = folder.baseline_path(args.save)
    if path.exists() and not args.force:
        raise UsageError(f"baseline {args.save!r} exists already; add --force to replace it")
    return checked_new(path)


def checked_documents(args: Namespace) -> Documents:
    """The documents that the arguments ask for. Raises UsageError if one can't be made here."""
    wanted = Documents(
        *(args.csv, args.markdown, args.html, args.svg, args.png, args.claims, args.json),
        ladder=args.ladder,
    )
    for path in (wanted.csv, wanted.json, wanted.markdown):
        if path is not None and str(path) != STDOUT:
            checked_output(path, force=args.force)
    if len(wanted.to_stdout) > 1:
        first, second, *_ = wanted.to_stdout
        raise UsageError(f"{first} and {second} both take stdout; name a file for one of them")
    if wanted.html is not None:
        if str(wanted.html) == STDOUT:
            raise UsageError("--html takes a file; name one")
        checked_output(wanted.html, force=args.force)
    for place in (wanted.svg, wanted.png):
        if place is not None:
            checked_folder(place, force=args.force)
    if wanted.is_drawn:
        check_drawing()
    check_different(wanted.files)
    return wanted


def check_drawing() -> None:
    """Raises UsageError, with the command that mends it, if pictures can't be drawn here."""
    if find_spec("altair") is None or find_spec("vl_convert") is None:
        raise UsageError(
            "the page needs altair and vl-convert-python;"
            " install them with: pip install 'ipcbench[html]'"
        )


def check_different(named: dict[str, Path | None]) -> None:
    """Raises UsageError if two options name one file; `named` has the paths by option."""
    seen: dict[Path, str] = {}
    for option, path in named.items():
        if path is None or str(path) == STDOUT:
            continue
        other = seen.setdefault(path.absolute(), option)
        if other != option:
            raise UsageError(f"{other} and {option} both name {path}; name two files")


def checked_output(path: Path, *, force: bool) -> Path:
    """Returns the path if a file can be written there; else raises UsageError with a way out."""
    folder = path.parent
    if not folder.is_dir():
        raise UsageError(f"{path} can't be written: there is no folder {folder}; make it first")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file")
    if path.exists() and not force:
        raise UsageError(f"{path} exists already; add --force to replace it")
    if not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise UsageError(f"{path} can't be written: no permission; name another folder")
    return path


def checked_folder(path: Path, *, force: bool) -> Path:
    """Returns the path if it is, or can be made, a writable folder; else raises UsageError."""
    if not path.exists():
        return checked_output(path, force=force)
    if not path.is_dir():
        raise UsageError(f"{path} is a file; name a folder")
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"{path} can't be written: no permission; name another folder")
    if not force and any(path.iterdir()):
        raise UsageError(f"{path} is not empty; add --force to replace what has the same name")
    return path


def checked_new(path: Path, instead: str = "go to another folder") -> Path:
    """Returns the path if it and its folder can be made; else raises UsageError."""
    folder = path.parent
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        raise UsageError(f"{existing.absolute()} can't be written; {instead}")
    return path
