"""The CSV for review: one row a case, base units, the unit last in every header."""

import pandas as pd


def csv_text(cases: pd.DataFrame) -> str:
    """The frame as CSV; a cell is empty where there is no value, which never means zero."""
    return cases.to_csv(index=False, lineterminator="\n")
