"""Records tests/data anew: `python -m tests.record`, from the checkout."""

from pathlib import Path

from tests.command import ipcbench

DATA = Path(__file__).parent / "data"
MEASURED = ("unix", "inet", "pipe", "--sizes", "64,64k", "--rounds", "6", "--values", "2")


def main() -> None:
    """Measures run.json if it isn't there, then makes run.txt and run.csv from it."""
    if not (DATA / "run.json").exists():
        little = ("--min-time", "5ms", "--seed", "11", "-o", "run.json")
        ipcbench("compare", *MEASURED, *little, cwd=DATA)
    reported = ipcbench("report", "run.json", "--csv", "run.csv", "--force", cwd=DATA)
    (DATA / "run.txt").write_text(reported.stdout, encoding="utf-8")


if __name__ == "__main__":
    main()
