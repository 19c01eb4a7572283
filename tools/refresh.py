"""Makes the tables and pictures in README.md and docs/ again from the results they quote.

Run it by `make docs`. The pictures are described in `tools/pictures.py`. For a table, a comment
names the file and the parts of its report (they are separated by empty lines, counted from 1), and
the code block after it is replaced: `<!-- from results/x.json: 1 3 -->`. The whole output of a
script in tools/reference is quoted with `<!-- from results/reference.json: all -->` or `<!-- from
results/footprint.json: footprint -->`, the table of all mechanisms with `<!-- from results/x.json:
overview -->`. A comment that `awaits` a file, in place of naming where it is from, becomes such a
block as soon as the file is there.
"""

import re
import subprocess
import sys
from pathlib import Path

import pictures

from ipcbench.transports.catalogue import catalogue

ROOT = Path(__file__).parent.parent
REPORT = ["-m", "ipcbench", "report"]
PROGRAMS = {
    "all": ["tools/reference/alternate.py", "--show"],
    "footprint": ["tools/reference/footprint.py", "--show"],
    "overview": [*REPORT, "--overview"],
}
_BLOCK = re.compile(
    r"(<!-- from (\S+\.json(?:\.gz)?): ([0-9 ]+|all|footprint|overview) -->\n\n```\n).*?(\n```)",
    re.DOTALL,
)

_AWAITED = re.compile(r"<!-- awaits (\S+\.json(?:\.gz)?): ([0-9 ]+) -->\n")


def with_begun(text: str) -> str:
    """The text with an empty block for each comment that awaits a file which is there by now."""

    def begun(match: re.Match[str]) -> str:
        path, numbers = match.groups()
        if not (ROOT / path).exists():
            return match[0]
        return f"<!-- from {path}: {numbers} -->\n\n```\n\n```\n"

    return _AWAITED.sub(begun, text)


def quoted(match: re.Match[str]) -> str:
    """The block with the parts of the report that its comment names."""
    command = [sys.executable, *PROGRAMS.get(match[3], REPORT), match[2]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    parts = done.stdout.rstrip().split("\n\n")
    every = range(1, len(parts) + 1)
    numbers = {"all": every, "footprint": every, "overview": range(1, 2)}
    chosen = numbers.get(match[3]) or map(int, match[3].split())
    wanted = [parts[number - 1].rstrip() for number in chosen]
    lines = [line.rstrip() for line in "\n\n".join(wanted).splitlines()]
    return match[1] + "\n".join(lines) + match[4]


def with_catalogue(text: str) -> str:
    """The text with the table of all transports as they are now."""
    head, _, rest = text.partition("<!-- catalogue -->\n")
    _, _, tail = rest.partition("<!-- end of catalogue -->")
    table = "\n".join(catalogue())
    return f"{head}<!-- catalogue -->\n\n{table}\n\n<!-- end of catalogue -->{tail}"


def main() -> None:
    """Rewrites each document whose tables have changed, and all pictures."""
    path = ROOT / "ipcbench/transports/README.md"
    text = path.read_text(encoding="utf-8")
    path.write_text(with_catalogue(text), encoding="utf-8")
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = document.read_text(encoding="utf-8")
        fresh = _BLOCK.sub(quoted, pictures.with_words(with_begun(text)))
        for picture, drawn in pictures.shown(fresh):
            (ROOT / picture).parent.mkdir(exist_ok=True)
            (ROOT / picture).write_text(drawn.svg, encoding="utf-8")
        if fresh != text:
            document.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    main()
