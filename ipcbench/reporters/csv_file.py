"""The CSV for review: one row a case, base units, the unit last in every header."""

import pandas as pd

_STARTS_OF_FORMULAS = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001  (meant to look alike)
"""What makes a cell a formula to a spreadsheet, full-width forms too (OWASP, "CSV Injection")."""


def csv_text(cases: pd.DataFrame) -> str:
    """The frame as CSV; a cell is empty where there is no value, which never means zero.

    A text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    texts = cases.select_dtypes(exclude="number")
    shown = cases.assign(**{str(name): texts[name].map(_inert) for name in texts})
    return shown.to_csv(index=False, lineterminator="\n")


def _inert(cell: object) -> object:
    formula = isinstance(cell, str) and cell.startswith(_STARTS_OF_FORMULAS)
    return f"'{cell}" if formula else cell
