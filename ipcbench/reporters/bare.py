"""The look of every table in a terminal."""

from rich import box
from rich.table import Table


def bare_table() -> Table:
    """A table without columns yet: a line below its head, and no frame."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
