"""The languages that messages to people are written in.

Intake chooses one of those that somebody speaks; notification has texts in each.
"""

from collections.abc import Sequence
from typing import Final

LANGUAGES: Final = ("uk", "en", "de")


def known_language(tag: str) -> str | None:
    """The language of ours that a BCP 47 tag names, whatever country it names; None if none."""
    primary = tag.partition("-")[0].lower()
    return primary if primary in LANGUAGES else None


def language_to_write(spoken: Sequence[str]) -> str | None:
    """Of what somebody speaks the first that messages are written in; the first if none is.

    None where nothing is known of what they speak.
    """
    written = (each for each in spoken if known_language(each) is not None)
    return next(written, spoken[0] if spoken else None)
