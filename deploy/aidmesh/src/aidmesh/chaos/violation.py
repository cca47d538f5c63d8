"""A promise that was not kept."""

import re
from dataclasses import dataclass, field
from typing import Final

_ID: Final = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong, and about which needs, lots, allotments or other things (ids) it is.

    Attributes:
        events: what was published about them and who took it in, in the order of time.
        note: why there is no event, or not all of them.
    """

    promise: str
    region: str
    what: str
    about: tuple[str, ...] = ()
    events: tuple[dict[str, object], ...] = field(default=(), compare=False)
    note: str = field(default="", compare=False)


def ids_in(text: str) -> tuple[str, ...]:
    """The ids that a text names, each once. Pure."""
    return tuple(dict.fromkeys(_ID.findall(text)))
