"""Packages with plug-ins, made by hand: a folder on the path is all that it takes."""

import os
from collections.abc import Mapping
from pathlib import Path

from tests.command import ROOT

LIARS = ROOT / "tests/data/liars"


def package(folder: Path, name: str, points: Mapping[str, str], version: str = "1.0") -> None:
    """Makes the metadata of an installed package with these entry points in a folder."""
    about = folder / f"{name}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = "".join(f"{point} = {value}\n" for point, value in points.items())
    (about / "entry_points.txt").write_text(f"[ipcbench.transports]\n{lines}")


def on_path(*folders: Path) -> dict[str, str]:
    """The environment in which these folders, and the liars, can be imported."""
    return {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, LIARS, *folders)))}
