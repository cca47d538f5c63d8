"""A channel that takes nothing at the moment: when to look again, and what waits meanwhile.

An outage is no word about a message: it uses up no try. What is for the channel waits until it is
back, or until the message expires and its person is told in person.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from aidmesh_notification.domain.cards import Channel

WAIT_S_MIN: Final = 1.0
FORGOTTEN: Final = timedelta(minutes=10)
"""An outage at which nobody looked for so long, since nothing waited, is no news any more."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A channel that takes nothing.

    Attributes:
        since: when it was seen first.
        look_at: when one message is tried again.
    """

    since: datetime
    look_at: datetime


def look_again(now: datetime, since: datetime, *, wait_s_max: float) -> datetime:
    """Return when to try again what has failed since then: after as long again.

    Args:
        wait_s_max: it waits no longer than that, so that what waits leaves soon afterwards.
    """
    waited_s = (now - since).total_seconds()
    return now + timedelta(seconds=min(max(waited_s, WAIT_S_MIN), wait_s_max))


def seen_away(known: Outage | None, now: datetime, *, wait_s_max: float) -> Outage:
    """Return the outage of a channel that was found away, perhaps once more."""
    is_new = known is None or now - known.look_at > FORGOTTEN
    since = now if known is None or is_new else known.since
    return Outage(since, look_again(now, since, wait_s_max=wait_s_max))


class Passage:
    """Which messages of one batch may go out, by the outages of their channels.

    A channel that was away is tried with one message: were the service ended while it tries, all
    that it tries with would be unknown.
    """

    def __init__(self, outages: Mapping[Channel, Outage], now: datetime) -> None:
        self._outages = outages
        self._now = now
        self._tried: set[Channel] = set()

    def opens(self, channel: Channel) -> datetime | None:
        """Return from when on the next message may go; None for one that waits for the try."""
        outage = self._outages.get(channel)
        if outage is None:
            return self._now
        if outage.look_at > self._now:
            return outage.look_at
        if channel in self._tried:
            return None
        self._tried.add(channel)
        return self._now
