"""What the generated pages are made of: tables, and what docstrings say of fields."""

import inspect
import re
from collections.abc import Iterable
from typing import Final

from pydantic import BaseModel

_NAMED: Final = re.compile(r"(?m)^    ([a-z_]+(?:, [a-z_]+)*): ")


def described(kind: type[BaseModel]) -> dict[str, str]:
    """What the docstring of a class says of each of its fields, by name."""
    _, _, text = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")
    parts = _NAMED.split(text)[1:]
    return {
        name: " ".join(words.split())
        for names, words in zip(parts[::2], parts[1::2], strict=True)
        for name in names.split(", ")
    }


def table(owner: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table of Markdown under a heading."""
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows)]
    return "\n".join(["", f"## {owner}", "", *lines, ""])
