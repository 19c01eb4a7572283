"""Documents made from results, from CSV to pictures. Checked first, written last."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ipcbench.errors import UsageError
from ipcbench.results.files import write_atomically

STDOUT = "-"


if TYPE_CHECKING:
    from ipcbench.analysis.frame import Analysis
    from ipcbench.reporters.model import Part
    from ipcbench.reporters.pictures.selection import Picture


class Documents(NamedTuple):
    """Path of each kind of document; None if it isn't wanted, `-` is stdout."""

    csv: Path | None = None
    markdown: Path | None = None
    html: Path | None = None
    svg: Path | None = None
    png: Path | None = None
    claims: bool = False
    """Whether the Markdown has the answers to claims; the page always has them."""
    json: Path | None = None
    """The shown tables as data."""
    ladder: bool = False
    """Whether the Markdown has the ladder's tables; the page of a run of several rungs has them."""

    @property
    def on_stdout(self) -> bool:
        """Whether a document takes stdout, so that tables must go elsewhere."""
        return bool(self.to_stdout)

    @property
    def to_stdout(self) -> list[str]:
        """The options of the documents that take stdout, which has room for one."""
        return [option for option, path in self.files.items() if str(path) == STDOUT]

    @property
    def files(self) -> dict[str, Path | None]:
        """Paths of the documents that are one file, by the name of their option."""
        return {
            "--csv": self.csv,
            "--json": self.json,
            "--markdown": self.markdown,
            "--html": self.html,
        }

    @property
    def is_drawn(self) -> bool:
        """Whether any document has pictures."""
        return any(place is not None for place in (self.html, self.svg, self.png))


def write(
    analysis: "Analysis",
    shown: "Iterable[Part]",
    wanted: Documents,
    to_stdout: Callable[[str], object],
    usual: Sequence[str] = (),
) -> Iterator[Path]:
    """Writes the documents, and yields each file or folder that was written.

    `shown` are the parts of the report that the terminal shows, for the JSON.
    `usual` are the transports that pictures show first, where there are more than they can show.
    """
    from ipcbench.analysis import judging, ladder
    from ipcbench.reporters import csv_file, json_file, markdown

    claims = wanted.claims or judging.asked_for(analysis.results)
    has_ladder = wanted.ladder or ladder.asked_for(analysis.results)
    texts: tuple[tuple[Path | None, Callable[[], str]], ...] = (
        (wanted.csv, lambda: csv_file.csv_text(analysis.cases)),
        (wanted.json, lambda: json_file.json_text(shown)),
        (
            wanted.markdown,
            lambda: markdown.markdown_text(analysis, claims=claims, ladder=has_ladder),
        ),
    )
    for path, text in texts:
        if path is not None and str(path) == STDOUT:
            to_stdout(text())
        elif path is not None:
            write_atomically(path, text())
            yield path
    if wanted.is_drawn:
        yield from _draw(analysis, wanted, usual)


def _draw(analysis: "Analysis", wanted: Documents, usual: Sequence[str]) -> Iterator[Path]:
    """Writes the documents that have pictures, each of which is drawn once."""
    from ipcbench.reporters.html import page
    from ipcbench.reporters.pictures import drawing
    from ipcbench.reporters.pictures.selection import Subject, pictures

    found = pictures(Subject(analysis.cases, analysis.launches, usual))
    drawn = [(picture, drawing.svg_of(picture.chart)) for picture in found]
    if wanted.html is not None:
        drawings = [page.Drawing(p.part, p.title, p.says, p.note, svg) for p, svg in drawn]
        write_atomically(wanted.html, page.page(analysis, drawings))
        yield wanted.html
    if wanted.svg is not None:
        worded = [(p, drawing.with_words(svg, p.title, p.says)) for p, svg in drawn]
        yield from _filled(wanted.svg, "svg", worded, lambda svg: svg.encode())
    if wanted.png is not None:
        yield from _filled(wanted.png, "png", drawn, drawing.png_of)


def _filled(
    folder: Path, ending: str, drawn: "list[tuple[Picture, str]]", made: Callable[[str], bytes]
) -> Iterator[Path]:
    """Writes one file a picture into a folder, which is made if need be."""
    try:
        folder.mkdir(exist_ok=True)
        for picture, svg in drawn:
            (folder / f"{picture.name}.{ending}").write_bytes(made(svg))
    except OSError as error:
        raise UsageError(f"{folder} can't be written: {error.strerror}") from error
    yield folder
