"""A promise that was not kept."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong, and about which needs, lots, allotments or other things (ids) it is.

    Attributes:
        events: what was published about them and who took it in, in the order of time.
    """

    promise: str
    region: str
    what: str
    about: tuple[str, ...] = ()
    events: tuple[dict[str, object], ...] = field(default=(), compare=False)
