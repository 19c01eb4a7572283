"""Reads untrusted files with a size bound, and escapes text for display."""


def printable(text: str) -> str:
    r"""The text in one line, with unprintable characters escaped: ESC is `\x1b`.

    Escaped are control codes, ends of lines, codes that turn the direction of writing, lone
    surrogates and blanks that aren't spaces. Printable text is returned as it is.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def counted(count: int, one: str, many: str | None = None) -> str:
    """A count of things for people: `1 round`, `5 rounds`, `2 launches`."""
    return f"{count} {one if count == 1 else many or one + 's'}"
