"""The contact card: how, when and in which words somebody may safely be reached.

Intake seals it to notification; it is opened only in memory, when a message is to be sent.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from aidmesh_chassis.privacy import PersonalText
from aidmesh_contracts.languages import known_language
from aidmesh_notification.domain.hours import Window, parse_hours

DEFAULT_LANGUAGE: Final = "uk"


class Channel(StrEnum):
    """A way to reach somebody. `file` is a spool in place of a telephone, for demonstrations."""

    EMAIL = "email"
    SMS = "sms"
    FILE = "file"


class Card(BaseModel):
    """What intake sealed. Until `safe` is set, the person is told in person.

    Attributes:
        hours_from, hours_to: `HH:MM` in Europe/Kyiv that the person agreed to.
        wording: `neutral` says nothing about the organization or the help; `plain` may.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    person_id: UUID
    version: int
    language: str | None = None
    channel: str | None = None
    address: PersonalText | None = None
    hours_from: str | None = None
    hours_to: str | None = None
    wording: Literal["neutral", "plain"] = "neutral"
    safe: bool = False


@dataclass(frozen=True, slots=True)
class Reach:
    """A card that may be used: every part of it is there and marked safe."""

    channel: Channel
    address: PersonalText
    hours: Window
    language: str
    wording: Literal["neutral", "plain"]


def reach_of(card: Card) -> Reach | None:
    """Return how the person may be reached, or None when only in person.

    Whatever is missing or not understood counts as unsafe.
    """
    if not card.safe or card.channel is None or card.address is None:
        return None
    if card.hours_from is None or card.hours_to is None:
        return None
    try:
        channel = Channel(card.channel)
        hours = parse_hours(card.hours_from, card.hours_to)
    except ValueError:
        return None
    return Reach(channel, card.address, hours, language_of(card.language), card.wording)


def language_of(wanted: str | None) -> str:
    """Return the language of ours that fits a BCP 47 tag best, else Ukrainian."""
    return known_language(wanted or "") or DEFAULT_LANGUAGE


def read_card(plain: bytes, person_id: UUID, version: int) -> Card | None:
    """Parse an opened card; None when it is malformed or speaks of somebody else.

    A sealed box does not tell who sealed it: a card filed under another person would send one
    person's message to another's address.
    """
    try:
        card = Card.model_validate_json(plain)
    except ValidationError:
        return None
    return card if card.person_id == person_id and card.version == version else None
