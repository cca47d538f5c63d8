"""An event on the wire: CloudEvents 1.0 in NATS binary mode, read and written here only."""

import hashlib
import os
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

from pydantic import ValidationError

from aidmesh_chassis.errors import Poison
from aidmesh_contracts.base import Event
from aidmesh_contracts.streams import event_type_of, origin_of

E_co = TypeVar("E_co", bound=Event, covariant=True)


class Raw(NamedTuple):
    """A message as it came from the wire."""

    subject: str
    headers: Mapping[str, str]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Received(Generic[E_co]):
    """An event that came in, with what the envelope said of it.

    Attributes:
        occurred_at: when the producer's transaction began, by its database's clock.
        region: where it happened.
        epoch: of that region; raised by every restore.
        version: of the aggregate, on state events.
        traceparent: W3C trace context of what it was caused by, if that had one.
        raw: what it was read from; None where it did not come as a message.
    """

    event: E_co
    event_id: UUID
    correlation_id: UUID
    occurred_at: datetime
    region: str
    epoch: int
    version: int | None
    content_hash: bytes
    traceparent: str | None = None
    raw: Raw | None = field(default=None, repr=False, compare=False)


_RANDOM = random.Random(os.urandom(32))  # noqa: S311 - ids have to differ, not to be secret


def new_event_id() -> UUID:
    """Return a time-ordered id (UUIDv7, RFC 9562 section 5.7); never used for persons.

    Event ids are the keys of inbox and outbox, where random ones would touch every page.
    """
    value = (time.time_ns() // 1_000_000) << 80 | _RANDOM.getrandbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def hash_of(payload: bytes) -> bytes:
    """Return the hash by which a reused id with other content is found out (16 bytes)."""
    return hashlib.blake2b(payload, digest_size=16).digest()


_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent_of(text: str | None) -> str | None:
    """Return a W3C trace context if it is one: free text could carry anything further."""
    return text if text and _TRACEPARENT.fullmatch(text) else None


def said_by_sender(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a message but for those by which a batch of them was published."""
    return {name: value for name, value in headers.items() if not name.startswith("Nats-Batch")}


def read(
    subject: str,
    headers: Mapping[str, str] | None,
    payload: bytes,
    known: Mapping[str, type[Event]],
) -> Received[Event]:
    """Parse a message.

    Args:
        subject: as published in the region of origin.
        headers: CloudEvents attributes and ids.
        payload: the event as JSON.
        known: classes by event type that the caller can handle.

    Raises:
        Poison: it is not an event, or not one of the known ones.
    """
    cls = known.get(event_type_of(subject))
    if cls is None:
        raise Poison("unknown_event_type")
    try:
        attributes = headers or {}
        event_id = UUID(attributes["ce-id"])
        occurred_at = datetime.fromisoformat(attributes["ce-time"])
        correlation_id = UUID(attributes.get("aid-correlation", attributes["ce-id"]))
        region = attributes["ce-source"].split("/")[2]
        epoch = int(attributes["aid-epoch"])
        version = attributes.get("aid-version")
    except (KeyError, ValueError, IndexError) as error:
        raise Poison("bad_envelope") from error
    if occurred_at.tzinfo is None:
        raise Poison("bad_envelope")
    if region != origin_of(subject):
        raise Poison("another_region")  # links vouch for the subject, for nothing else
    try:
        event = cls.model_validate_json(payload)
    except ValidationError as error:
        raise Poison("bad_payload") from error
    return Received(
        event=event,
        event_id=event_id,
        correlation_id=correlation_id,
        occurred_at=occurred_at,
        region=region,
        epoch=epoch,
        version=None if version is None else int(version),
        content_hash=hash_of(payload),
        traceparent=traceparent_of(attributes.get("traceparent")),
        raw=Raw(subject, attributes, payload),
    )
