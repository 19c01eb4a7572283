"""Makes the tables in README.md and docs/ again from the results they quote.

Run it from the checkout: `.venv/bin/python docs/refresh.py`. A comment names the file and the parts
of its report (they are separated by empty lines, counted from 1), and the code block after it is
replaced: `<!-- from results/x.json: 1 3 -->`. All of what bench/reference/alternate.py shows of its
own results is quoted with `<!-- from results/reference.json: all -->`.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
REPORT = ["-m", "ipcbench", "report"]
_BLOCK = re.compile(r"(<!-- from (\S+\.json): ([0-9 ]+|all) -->\n\n```\n).*?(\n```)", re.DOTALL)


def quoted(match: re.Match[str]) -> str:
    """The block with the parts of the report that its comment names."""
    show = ["bench/reference/alternate.py", "--show"] if match[3] == "all" else REPORT
    command = [sys.executable, *show, match[2]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    parts = done.stdout.rstrip().split("\n\n")
    numbers = range(1, len(parts) + 1) if match[3] == "all" else map(int, match[3].split())
    wanted = [parts[number - 1].rstrip() for number in numbers]
    lines = [line.rstrip() for line in "\n\n".join(wanted).splitlines()]
    return match[1] + "\n".join(lines) + match[4]


def main() -> None:
    """Rewrites each document whose tables have changed."""
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = document.read_text(encoding="utf-8")
        fresh = _BLOCK.sub(quoted, text)
        if fresh != text:
            document.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    main()
