"""Parses JSON of bounded size and depth, and checks the form of its values. Pure.

The meaning of a value is the matter of `validation`. Every error is a ResultsError that names the
place and describes in a few words the value found there, of whatever kind and size it is.
"""

import json
from typing import Any, NoReturn

from ipcbench.errors import ResultsError
from ipcbench.results.rules import ValueRule
from ipcbench.text import printable

_MOST_DEPTH = 16
_MOST_ELEMENTS = 10_000_000
"""Elements of lists and objects; each takes up to 100 bytes of memory, however short its text."""
_MOST_BRIEF = 60
_MOST_BRIEF_ERROR = 300


def excess_of(text: str) -> str | None:
    """`more than N values`, where a JSON text may hold that many; None if not. Doesn't parse it."""
    is_too_large = sum(map(text.count, ",[{")) > _MOST_ELEMENTS
    return f"more than {_MOST_ELEMENTS} values" if is_too_large else None


def parsed_json(text: str) -> Any:
    """Parses a JSON text of bounded depth. Raises ResultsError."""
    try:
        data = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
        _check_depth(data)
    except RecursionError as error:
        raise _too_deep() from error
    except json.JSONDecodeError as error:
        raise ResultsError(f"is not JSON: {brief_error(error)}") from error
    except ValueError as error:  # int() takes no more digits than sys.get_int_max_str_digits()
        raise ResultsError("holds a number of too many digits") from error
    return data


def items_of(value: object, where: str, key: str, most: int = _MOST_ELEMENTS) -> list[Any]:
    """The value as a list. Raises ResultsError if it isn't one or is too long."""
    if not isinstance(value, list):
        shown = brief(value)
        raise ResultsError(f"is not a readable pyperf file: {where}: {key} is {shown}, not a list")
    if len(value) > most:
        raise ResultsError(f"holds too much: {where} has {len(value)} {key}, more than {most}")
    return value


def object_at(value: object, where: str, key: str) -> dict[str, Any]:
    """The value as an object. Raises ResultsError if it isn't one."""
    if not isinstance(value, dict):
        shown = brief(value)
        raise ResultsError(
            f"is not a readable pyperf file: {where}: {key} is {shown}, not an object"
        )
    return value


def check(rule: ValueRule, value: object, where: str, key: str) -> None:
    """Raises ResultsError unless the value fits the rule."""
    if not rule.fits(value):
        raise wrong(where, key, value, rule.wanted)


def wrong(where: str, key: str, value: object, wanted: str) -> ResultsError:
    """The error for a value that isn't the wanted one."""
    return ResultsError(f"holds a wrong value: {where}: {key} is {brief(value)}, not {wanted}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The dict of a JSON object. Raises ResultsError for a duplicate key, which is ambiguous."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ResultsError(f"is ambiguous: {brief(twice)} stands twice in one object")
    return found


def _no_number(constant: str) -> NoReturn:
    raise ResultsError(f"holds {constant}, which is no number")


def _check_depth(data: object) -> None:
    level: list[Any] = [data] if isinstance(data, dict | list) else []
    for _ in range(_MOST_DEPTH):
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [item for items in inner for item in items if isinstance(item, dict | list)]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> ResultsError:
    return ResultsError(f"is nested deeper than {_MOST_DEPTH} levels; no results file is")


def brief(value: object) -> str:
    """A short description of a value of any type and size, for an error message."""
    if isinstance(value, dict | list):
        kind = "an object" if isinstance(value, dict) else "a list"
        return kind if value else f"{kind} of nothing"
    if isinstance(value, str):
        return repr(value) if len(value) <= _MOST_BRIEF else f"{value[:_MOST_BRIEF]!r}..."
    if value is None or isinstance(value, bool):
        return "missing" if value is None else str(value).lower()
    if isinstance(value, int) and abs(value) >= 10**_MOST_BRIEF:
        return "a very large number"  # whose digits may be too many for str()
    return repr(value)


def brief_error(error: Exception) -> str:
    """The message of another library's error, shortened and sanitised."""
    return printable(str(error)[:_MOST_BRIEF_ERROR])
