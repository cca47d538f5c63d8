"""Whether a message may go out, decided at the moment of sending, not when it was queued.

A message that waited through a blackout must not arrive at night, at a phone that somebody
else holds by now, or about help that was withdrawn.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from aidmesh_contracts.pickup import ends_at
from aidmesh_notification.domain.cards import Reach

Wording = Literal["neutral", "plain"]
State = Literal[
    "queued", "sending", "sent", "delivered", "suppressed", "failed", "expired", "unknown"
]
Reason = Literal[
    "no_safe_contact", "erased", "superseded", "expired", "failed", "rejected", "unknown",
    "undelivered",
]  # fmt: skip
Report = Literal["delivered", "failed"]


@dataclass(frozen=True, slots=True)
class Queued:
    """A message that waits: no address, no text.

    Attributes:
        sensitive: the help is of a sensitive kind, so its wording is always neutral.
        collect_days: how long goods and cash are kept, counted from the sending.
        expires_at: after that the person is told in person.
        starts_at: of an appointment.
        from_on: the first day on which a place is there.
        until_at: the instant after which nothing is there or of use, if it is known already.
    """

    message_id: UUID
    template: str
    sensitive: bool
    collect_days: int
    expires_at: datetime
    starts_at: datetime | None = None
    from_on: date | None = None
    until_at: datetime | None = None

    def told_until(self, now: datetime) -> datetime:
        """Until when the person may come who is told at an instant: never later than it is true."""
        if self.from_on is not None and self.until_at is not None:
            return self.until_at  # places are kept by their own days
        kept_until = ends_at(now, self.collect_days)
        return kept_until if self.until_at is None else min(kept_until, self.until_at)


@dataclass(frozen=True, slots=True)
class Send:
    """It may go out now."""

    reach: Reach
    wording: Wording
    until_at: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: it is looked at again at `until`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Suppress:
    """It will not go out."""

    reason: Reason


Decision = Send | Wait | Suppress


def expires_at(now: datetime, hours_max: int, *ends: datetime | None) -> datetime:
    """After what a message is of no use: so many hours, or what it speaks of has begun or ended."""
    return min((now + timedelta(hours=hours_max), *(each for each in ends if each is not None)))


def decide(
    message: Queued,
    now: datetime,
    *,
    over: bool,
    erased: bool,
    reach: Reach | None,
) -> Decision:
    """Decide on one message.

    Args:
        message: as it was queued.
        now: the database's clock.
        over: the attempt it speaks of was withdrawn, or the person knows already.
        erased: the person's data was erased.
        reach: how the person may be reached safely, by the newest card; None for not at all.
    """
    if over:
        return Suppress("superseded")
    if erased:
        return Suppress("erased")
    if now >= message.expires_at:
        return Suppress("expired")
    if reach is None:
        return Suppress("no_safe_contact")
    opening = reach.hours.next_opening(now)
    if opening >= message.expires_at:
        # Waiting would only make the person learn of it later.
        return Suppress("expired")
    if opening > now:
        return Wait(opening)
    return Send(
        reach,
        "neutral" if message.sensitive else reach.wording,
        message.told_until(now),
    )


@dataclass(frozen=True, slots=True)
class Retry:
    """The channel did not take it; it is tried again at `at`."""

    at: datetime


def after_refusal(
    tries: int, now: datetime, *, lasting: bool, tries_max: int, retry_s: float
) -> Retry | Suppress:
    """Decide what follows when a channel certainly did not take a message.

    Args:
        tries: how often it was tried, this time included.
        lasting: trying again would end the same way (no such address, channel not set up).
        retry_s: delay after the first try, doubled with each further one.
    """
    if lasting:
        return Suppress("rejected")
    if tries >= tries_max:
        return Suppress("failed")
    return Retry(now + timedelta(seconds=retry_s * 2 ** (tries - 1)))


class NotReportable(Exception):
    """It never left, or the opposite was reported before."""


def report_changes(state: State, report: Report) -> bool:
    """Whether a gateway's report changes anything about a message; the same one again does not.

    Raises:
        NotReportable: the message's state does not allow this report.
    """
    if state == report:
        return False
    if state != "sent":
        raise NotReportable
    return True
