"""What services said of an id, and who took it in: the pure part of `aidmesh trace`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from aidmesh.story.links import NO_LINKS, Links, seen, seen_ill
from aidmesh.words import age
from aidmesh_contracts.consumers import CONSUMERS
from aidmesh_contracts.streams import Stream

Json = Mapping[str, object]

PATIENCE_S: Final = 5.0
"""What was said a moment ago may be on its way: it is not missed before so many seconds."""

TELL_NOTHING: Final = frozenset(
    {"attempt_no", "asked_on", "collect_days", "decided_at", "hold_until", "household_id",
     "issue_no", "message", "need_id", "payout_id", "person_id", "person_ids", "priority",
     "reason", "request_id", "sensitive", "served_on", "service_no", "spend_no", "state",
     "told_at", "version", "with_money", "with_supply"}
)  # fmt: skip
"""The fields that are shown of a story with something sensitive in it: none tells what it is."""


@dataclass(frozen=True, slots=True)
class Said:
    """An event in an outbox, or a handoff.

    Attributes:
        at: when its transaction was.
        region, service: who said it.
        event_id: its own id.
        type: `<producer>.<aggregate>.<event>.v<N>`.
        stream: which stream it goes into.
        state: of an outbox row `pending` or `acked`, of a handoff `waiting`, `settled` or
            `withdrawn`.
        about: the aggregate it speaks of.
        payload: what it says; None where it is sealed or was blanked.
        to_region: whom a handoff is for.
        tries: how often a handoff was sent.
        heard_by: the regions that heard it over a link; empty where its outbox was read.
    """

    at: datetime
    region: str
    service: str
    event_id: UUID
    type: str
    stream: Stream
    state: str
    about: str
    payload: Json | None = None
    to_region: str | None = None
    tries: int = 0
    heard_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Took:
    """A service took an event in, or could not."""

    region: str
    service: str
    event_id: UUID
    at: datetime
    letter: int | None = None
    status: Literal["handled", "failing", "parked", "dead", "dropped"] = "handled"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Taker:
    """Who has to take an event in."""

    region: str
    service: str
    durable: str


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a story.

    Attributes:
        said: the event.
        fields: what of its payload is shown: not what the same said of it before.
        took: who took it in.
        missing: who should have by now, and has not.
        trouble: what is wrong with it, for a person.
    """

    said: Said
    fields: Json
    took: tuple[Took, ...]
    missing: tuple[Taker, ...]
    trouble: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """All of it, in order of time.

    Attributes:
        now: how it stands, one line for each need that it is about.
        trouble: what keeps it from going on; empty when nothing does.
        todo: who does what, so that it goes on.
        gaps: what could not be looked at, so that it may be missing.
    """

    steps: tuple[Step, ...]
    now: tuple[str, ...] = ()
    trouble: tuple[str, ...] = field(default=())
    todo: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()

    def as_json(self) -> Json:
        """The story for machines."""
        return {
            "steps": [
                {
                    "at": step.said.at.isoformat(),
                    "region": step.said.region,
                    "service": step.said.service,
                    "event": step.said.type,
                    "event_id": str(step.said.event_id),
                    "to_region": step.said.to_region,
                    "heard_by": list(step.said.heard_by),
                    "state": step.said.state,
                    "fields": dict(step.fields),
                    "taken": [
                        {
                            "region": took.region,
                            "service": took.service,
                            "at": took.at.isoformat(),
                            "status": took.status,
                            "letter": took.letter,
                            "reason": took.reason or None,
                        }
                        for took in step.took
                    ],
                    "missing": [f"{taker.region} {taker.durable}" for taker in step.missing],
                }
                for step in self.steps
            ],
            "now": list(self.now),
            "trouble": list(self.trouble),
            "todo": list(self.todo),
            "gaps": list(self.gaps),
        }


def takers(
    said: Said, regions: Sequence[str], silent: Collection[tuple[str, str]] = ()
) -> list[Taker]:
    """Who has to take an event in, of the regions that can be looked at but for services there
    whose database said nothing."""
    found = []
    for consumer in CONSUMERS:
        if said.type not in {event.type for event in consumer.events}:
            continue
        if consumer.stream is Stream.WORLD:
            where = [
                region
                for region in said.heard_by or regions
                if region in regions and region != said.region
            ]
        elif consumer.stream is Stream.HANDOFF:
            where = [region for region in regions if region == said.to_region]
        else:
            where = [region for region in regions if region == said.region]
        found += [
            Taker(region, consumer.service, consumer.durable)
            for region in where
            if (region, consumer.service) not in silent
        ]
    return found


def of_one_story(said: Sequence[Said], wanted: str) -> list[Said]:
    """Leave out what is said in passing.

    The story of what all regions know (a grant, allotment or shipment) is told without the people
    it serves; that of a person or need without what other regions say among themselves.
    """
    if any(one.stream is Stream.EVENTS and one.about == wanted for one in said):
        return [one for one in said if one.stream is Stream.EVENTS]
    inside = [one for one in said if one.stream is not Stream.EVENTS]
    if not inside:
        return list(said)
    home = min(inside, key=lambda one: (one.at, one.event_id)).region
    return [one for one in said if one.stream is Stream.EVENTS or one.region == home]


def story(
    wanted: str,
    said: Sequence[Said],
    took: Sequence[Took],
    regions: Sequence[str],
    now: datetime,
    silent: Collection[tuple[str, str]] = (),
    links: Links = NO_LINKS,
) -> Story:
    """Put a story together.

    Args:
        wanted: the id that it is about.
        said: what services said, in any order.
        took: who took in which of it.
        regions: those whose databases were looked at; of others nobody knows who took what in.
        now: by the clock of the machine; what is younger than `PATIENCE_S` is not missed.
        silent: services of these regions whose database said nothing.
        links: how regions see each other.
    """
    hidden = any((each.payload or {}).get("sensitive") is True for each in said)
    by_event: dict[UUID, list[Took]] = {}
    for each in took:
        by_event.setdefault(each.event_id, []).append(each)
    steps = []
    before: dict[tuple[str, str, str], Json] = {}
    for one in sorted(said, key=lambda each: (each.at, each.event_id)):
        # Only intake knows for sure whether something is sensitive.
        is_open = one.stream is Stream.EVENTS or (one.region, "intake") not in silent
        shown = {
            name: value
            for name, value in (one.payload or {}).items()
            if str(value) not in {one.about, wanted}
            and ((is_open and not hidden) or name in TELL_NOTHING)
        }
        of_same = (one.region, one.type, one.about)
        known = before.get(of_same, {})
        before[of_same] = shown
        fields = {name: value for name, value in shown.items() if known.get(name) != value}
        took_it = by_event.get(one.event_id, [])
        steps.append(_step(one, fields, took_it, takers(one, regions, silent), now, links))
    return Story(tuple(steps), trouble=tuple(line for step in steps for line in step.trouble))


def letter_trouble(event_type: str, region: str, service: str, letter: int, reason: str) -> str:
    """What is said of an event that a service could not handle."""
    event = event_type.rsplit(".", 1)[0]
    return (
        f"{event} failed in {region} {service} ({reason}): "
        f"aidmesh dead show {region}/{service}/{letter}"
    )


def _step(
    said: Said,
    fields: Json,
    took: Sequence[Took],
    wanted: Sequence[Taker],
    now: datetime,
    links: Links,
) -> Step:
    is_due = (now - said.at).total_seconds() > PATIENCE_S
    there = {(each.region, each.service) for each in took}
    unsent = said.state == "pending"
    missing = (
        ()
        if unsent or not is_due or said.state in {"waiting", "withdrawn"}
        else tuple(taker for taker in wanted if (taker.region, taker.service) not in there)
    )
    event = said.type.rsplit(".", 1)[0]
    lasted = age((now - said.at).total_seconds())
    trouble = []
    if unsent and is_due:
        trouble.append(
            f"{event} has waited {lasted} in the outbox of {said.region} {said.service}: "
            "is NATS up, and the gate open? aidmesh doctor"
        )
    if said.state == "waiting" and is_due:
        link = seen(links, said.region, str(said.to_region))
        trouble.append(
            f"{event} for {said.to_region} has no answer for {lasted} ({said.tries} tries): "
            f"handoff {said.event_id}" + (f"; {link}" if link else "")
        )
    trouble += [
        f"{event} was not taken in by {taker.region} {taker.durable}: "
        + (seen_ill(links, taker.region, said.region) or "is the service up? aidmesh status")
        for taker in missing
    ]
    trouble += [
        letter_trouble(said.type, each.region, each.service, each.letter or 0, each.reason)
        for each in took
        if each.status in {"failing", "dead"}
    ]
    return Step(said, fields, tuple(took), missing, tuple(trouble))
