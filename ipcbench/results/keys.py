"""The shape of a row in the table of metadata. Pure."""

from typing import Literal, NamedTuple

from ipcbench.results.rules import ValueRule

Scope = Literal["run", "launch"]
"""Whether a fact is that of a whole run, or of each launch.

What a run records of its Python and libraries is that of each interpreter, where it has several.
"""


class Key(NamedTuple):
    """One row of the table."""

    name: str
    scope: Scope
    title: str | None
    """The page's name of a fact that all launches share; "": its own, after those with a title.

    None: a page doesn't list it.
    """
    rule: ValueRule | None = None
    """The requirement on its value; None: that of the name's ending."""
    column: int | None = None
    """Its place among the columns of the CSV; None if it has none."""
    is_required: bool = False
    """Whether every launch must have it."""
    cautions: bool = False
    """Whether `diff` cautions where two runs differ in it: a change may not be the code's."""
    said: str | None = None
    """The fact in words, where it has no title."""
    is_same_to_resume: bool = False
    """Whether a run can be resumed only where it is still the same."""
    is_inherited: bool = False
    """Whether the launches of a resumed run take it from those before."""
    is_private: bool = False
    """Whether pyperf records it and we don't keep it: results are published."""
    read_from: str | None = None
    """How a fact of the surroundings is read; None for one that isn't of the surroundings."""
    is_missed: bool = False
    """Whether `diff` says so where only one of two files has it."""
    knob: str | None = None
    """The knob whose value in force is the same fact."""
    advice: str | None = None
    """The topic of `doctor` that has advice on it."""
    flag: str | None = None
    """The flag of a case that it raises."""

    @property
    def words(self) -> str:
        """The fact in words."""
        return self.title or self.said or self.name.replace("_", " ")
