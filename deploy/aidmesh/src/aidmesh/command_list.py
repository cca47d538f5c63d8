"""All commands of `aidmesh`, for the page that lists them and for tests."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cyclopts import App

FOR_MACHINES: Final = "json"
"""The parameter of commands whose result a machine may read."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One command.

    Attributes:
        words: after `aidmesh`.
        what: the first line of what its `--help` says.
        json: the option that has its result come as JSON, empty where there is none.
    """

    words: tuple[str, ...]
    what: str
    json: str


def listed(app: "App", before: tuple[str, ...] = ()) -> Iterator[Listed]:
    """Walk an app's commands, in their order."""
    for name in app:
        if name.startswith("-"):
            continue
        command, words = app[name], (*before, name)
        if command.default_command is None:
            yield from listed(command, words)
            continue
        text = inspect.getdoc(command.default_command) or ""
        parameters = inspect.signature(command.default_command).parameters
        asked = parameters.get(FOR_MACHINES)
        option = "" if asked is None else "--json" if asked.default is False else "--json FILE"
        yield Listed(words, text.partition("\n")[0], option)
