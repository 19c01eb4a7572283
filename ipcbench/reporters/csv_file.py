"""The CSV file: one row a case, base units, the unit last in every header."""

import pandas as pd

from ipcbench.analysis.launch_frame import MACHINE

_STARTS_OF_FORMULAS = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001  (meant to look alike)
"""First characters of a formula in a spreadsheet, also full-width (OWASP, "CSV Injection")."""


def csv_text(cases: pd.DataFrame) -> str:
    """The frame of cases as CSV; an empty cell is a missing value, never zero.

    A text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    cases = cases.drop(columns=MACHINE, errors="ignore")
    texts = cases.select_dtypes(exclude="number")
    shown = cases.assign(**{str(name): texts[name].map(_inert) for name in texts})
    return shown.to_csv(index=False, lineterminator="\n")


def _inert(cell: object) -> object:
    formula = isinstance(cell, str) and cell.startswith(_STARTS_OF_FORMULAS)
    return f"'{cell}" if formula else cell
