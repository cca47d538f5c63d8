"""Who of the other regions is heard, and how far behind them the own one is.

Every service sends heartbeats, every region's supervisor tells what events it has; this keeps the
last of both. A silent peer makes nobody unready, for a region works with every link cut; but it is
shown with every figure that came from it, since links have been seen not to come back.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from aidmesh_chassis.handoff import Waiting
from aidmesh_chassis.standings import GONE, Stand
from aidmesh_contracts.consumers import CONSUMERS
from aidmesh_contracts.streams import BEAT_SUBJECT, WORLD_REPORT_SUBJECT

PEERS_MAX = 100
REPORT_BYTES_MAX = 64 * 1024
DARK_S: Final = 6.0
"""A peer that was silent for so long is dark: three heartbeats, and more than one report."""
TOLD_S_MAX: Final = 15.0
"""A report that is older says nothing of now: three periods of the supervisor's reports."""
SERVICES = frozenset(consumer.service for consumer in CONSUMERS)

Trouble = Literal["dark", "behind", "unanswered"]


class LinkState(BaseModel):
    """Whether a region is heard, and since when it is or is not (by this region's clock).

    Goes with every figure that came from there: a dark region's may have changed meanwhile, and
    one that is gone since `gone_since` will not tell of it any more.
    """

    state: Literal["up", "dark"]
    since: datetime
    gone: Literal["lost", "retired"] | None = None
    gone_since: datetime | None = None


LinkOf = Callable[[str], LinkState | None]
"""The link to a region; None for the own one. Given to routes that show others' figures."""


class Mark(BaseModel):
    """How far a log goes: the sequence of the last event in its origin's log, and its time."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    last_seq: Annotated[int, Field(ge=0)]
    last_at: AwareDatetime | None = None


_REPORT: Final = TypeAdapter(dict[str, Mark])


@dataclass(slots=True)
class _Peer:
    """What is known of one peer; times are seconds of the clock, or wall times for people."""

    complete_at: float
    changed: datetime
    heard_at: float | None = None
    heard_when: datetime | None = None
    services: dict[str, float] = field(default_factory=dict)
    told: Mark | None = None
    told_at: float | None = None
    seen: Mark | None = None
    handoffs: int = 0
    handoffs_age_s: float = 0.0

    @property
    def lag_events(self) -> int | None:
        """How many of its events are not here, as far as it could tell; None: it did not."""
        if self.told is None:
            return None
        return max(0, self.told.last_seq - (self.seen.last_seq if self.seen else 0))


def trouble_of(
    *, silent_s: float, lag_s: float | None, unanswered_s: float, late_s_max: float
) -> Trouble | None:
    """What is wrong with a peer, the gravest first; None if nothing is. Pure.

    A peer that is not heard is dark, whatever else is late: nothing can be said of how far it is.

    Args:
        silent_s: since it was last heard.
        lag_s: since all its events were here; None where it does not tell.
        unanswered_s: since the oldest handoff that it did not answer was written.
        late_s_max: as much as is nothing to speak of.
    """
    lag_s = lag_s or 0.0
    if max(silent_s, lag_s, unanswered_s) <= late_s_max:
        return None
    if silent_s > min(DARK_S, late_s_max):
        return "dark"
    return "behind" if lag_s > late_s_max else "unanswered"


class Peers:
    """What every peer region was last heard to say, in memory only.

    Args:
        region: the own one, whose heartbeats are no news.
        clock: seconds that never go back.
        now: the time of day, for people.
    """

    def __init__(
        self,
        region: str,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._region = region
        self._clock = clock
        self._now = now
        self._since = clock()
        self._began = now()
        self._expected: frozenset[str] = frozenset()
        self._is_told = False
        self._known: dict[str, _Peer] = {}
        self._stands: Mapping[str, Stand] = {}

    def expect(self, peers: Collection[str]) -> None:
        """These are the regions that the own one is linked with; others are forgotten."""
        self._expected = frozenset(peers)
        self._is_told = True
        for peer in self._known.keys() - self._expected:
            del self._known[peer]
        for peer in self._expected:
            self._peer(peer)

    def set_standings(self, stands: Mapping[str, Stand]) -> None:
        """How regions stand, as far as anything was said of them."""
        self._stands = dict(stands)

    @property
    def regions(self) -> frozenset[str] | None:
        """The own region and all it is linked with, heard or dark; None until that is known.

        Those that are gone are left out.
        """
        gone = {region for region, stand in self._stands.items() if stand.standing in GONE}
        return (self._expected - gone) | {self._region} if self._is_told else None

    def heard(self, subject: str, payload: bytes) -> None:
        """Take in a heartbeat. What is none is left alone: a peer's word is not trusted."""
        name = subject.rpartition(".")[2]
        service = payload[:64].decode("ascii", "replace")
        if subject != BEAT_SUBJECT.format(region=name) or service not in SERVICES:
            return
        if name != self._region and (peer := self._peer(name)) is not None:
            self._note_heard(peer)
            peer.services[service] = self._clock()

    def reported(self, subject: str, payload: bytes) -> None:
        """Take in what a region's supervisor tells of the events that are there.

        Under its own name a region tells of its own log, under others' of what it has of theirs.
        What is no report is left alone.
        """
        name = subject.partition(".")[2].rpartition(".")[0]
        if subject != WORLD_REPORT_SUBJECT.format(region=name) or len(payload) > REPORT_BYTES_MAX:
            return
        try:
            report = _REPORT.validate_json(payload)
        except ValidationError:
            return
        if name == self._region:
            for origin, mark in report.items():
                if origin != name and (peer := self._peer(origin)) is not None:
                    peer.seen = mark
        elif (peer := self._peer(name)) is not None:
            self._note_heard(peer)
            peer.told, peer.told_at = report.get(name), self._clock()
        for peer in self._known.values():
            if peer.lag_events == 0 and peer.told_at is not None:
                peer.complete_at = max(peer.complete_at, peer.told_at)

    def handed_over(self, waiting: Iterable[Waiting]) -> None:
        """Take in what this service handed over and which region did not answer yet."""
        by_region = {each.region: each for each in waiting}
        for name, peer in self._known.items():
            each = by_region.get(name)
            peer.handoffs = 0 if each is None else each.rows
            peer.handoffs_age_s = 0.0 if each is None else each.age_s

    def ages_s(self) -> dict[str, float]:
        """Seconds since each peer was last heard; for one never heard, since this began."""
        return {name: self._silent_s(peer) for name, peer in sorted(self._known.items())}

    def lags(self) -> dict[str, tuple[int, float]]:
        """By peer that tells: events of it that are not here, and seconds since all were."""
        return {
            name: (peer.lag_events, self._lag_s(peer) or 0.0)
            for name, peer in sorted(self._known.items())
            if peer.lag_events is not None
        }

    def link(self, region: str) -> LinkState | None:
        """Whether a region is heard; None for the own one, whose figures are as of now."""
        if region == self._region:
            return None
        peer = self._known.get(region)
        if peer is None or peer.heard_when is None:
            link = LinkState(state="dark", since=self._began)
        elif self._is_dark(peer):
            link = LinkState(state="dark", since=peer.heard_when)
        else:
            link = LinkState(state="up", since=peer.changed)
        stand = self._stands.get(region)
        if stand is None or stand.standing == "member":
            return link
        return link.model_copy(update={"gone": stand.standing, "gone_since": stand.since})

    def troubles(self, late_s_max: float) -> dict[str, Trouble | None]:
        """What is wrong with each peer for longer than a bound."""
        return {
            name: None
            if self._standing(name)
            else trouble_of(
                silent_s=self._silent_s(peer),
                lag_s=self._lag_s(peer),
                unanswered_s=peer.handoffs_age_s,
                late_s_max=late_s_max,
            )
            for name, peer in sorted(self._known.items())
        }

    def report(self, late_s_max: float | None = None) -> dict[str, dict[str, object]]:
        """What `/readyz` shows of each peer; decision 0035 says what the fields mean."""
        now = self._clock()
        troubles: Mapping[str, Trouble | None] = (
            {} if late_s_max is None else self.troubles(late_s_max)
        )
        shown: dict[str, dict[str, object]] = {}
        for name, peer in sorted(self._known.items()):
            link = self.link(name)
            lag_s = self._lag_s(peer)
            shown[name] = {
                **({} if link is None else {"link": link.state, "since": _text(link.since)}),
                "last_beat_s": None if peer.heard_at is None else round(now - peer.heard_at, 1),
                "services": {
                    service: round(now - at, 1) for service, at in sorted(peer.services.items())
                },
                "last_event": _shown(peer.seen),
                "told_event": _shown(peer.told),
                "lag_events": peer.lag_events,
                "lag_s": None if lag_s is None else round(lag_s, 1),
                "handoffs": peer.handoffs,
                "handoffs_age_s": round(peer.handoffs_age_s, 1),
                "trouble": troubles.get(name),
                **self._standing(name),
            }
        return shown

    def _standing(self, name: str) -> dict[str, object]:
        """What is said of a peer that is gone."""
        stand = self._stands.get(name)
        if stand is None or stand.standing not in GONE:
            return {}
        return {"standing": stand.standing, "standing_since": _text(stand.since)}

    def _peer(self, name: str) -> _Peer | None:
        if name == self._region:
            return None
        if name not in self._known and len(self._known) < PEERS_MAX:
            self._known[name] = _Peer(complete_at=self._since, changed=self._began)
        return self._known.get(name)

    def _note_heard(self, peer: _Peer) -> None:
        when = self._now()
        if peer.heard_at is None or self._is_dark(peer):
            peer.changed = when
        peer.heard_at, peer.heard_when = self._clock(), when

    def _silent_s(self, peer: _Peer) -> float:
        return self._clock() - (self._since if peer.heard_at is None else peer.heard_at)

    def _is_dark(self, peer: _Peer) -> bool:
        return self._silent_s(peer) > DARK_S

    def _lag_s(self, peer: _Peer) -> float | None:
        if peer.lag_events is None or peer.told_at is None:
            return None
        now = self._clock()
        if peer.lag_events == 0 and now - peer.told_at <= TOLD_S_MAX:
            return 0.0
        return now - peer.complete_at


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _shown(mark: Mark | None) -> dict[str, object] | None:
    return None if mark is None else {"seq": mark.last_seq, "at": _text(mark.last_at)}
