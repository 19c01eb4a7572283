"""Builds HTML safely: every string not marked as HTML is escaped as text."""

from collections.abc import Iterable
from html import escape

_VOID = frozenset({"meta", "br"})


class Html(str):
    """A string that is HTML already; only for text that this project wrote or drew."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: str | float | bool | None) -> Html:
    """An element with these children; `class_` and `data_value` are `class` and `data-value`.

    An attribute that is None or False is left out; one that is True has no value.
    """
    opening = "".join([name, *(_attribute(key, value) for key, value in attributes.items())])
    if name in _VOID:
        return Html(f"<{opening}>")
    return Html(f"<{opening}>{together(children)}</{name}>")


def together(children: Iterable[str]) -> Html:
    """Concatenates strings, escaping those that are not HTML."""
    return Html("".join(c if isinstance(c, Html) else escape(c) for c in children))


def _attribute(key: str, value: str | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
