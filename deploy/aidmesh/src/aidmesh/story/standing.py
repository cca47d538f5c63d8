"""How a need stands, what it waits for, and who does what about it: pure."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, cast
from uuid import UUID

from aidmesh.story.links import SEE_LINK
from aidmesh.story.there import there
from aidmesh.story.told import Json
from aidmesh.words import age

ASKED: Final = 1
"""A leg that was asked and has not answered, as intake counts."""

DECIDES: Final = "a caseworker or lead decides it at the desk, Needs"
HINDRANCES: Final = {
    "limit": "a limit speaks against it; the desk (Needs) shows which, and the earlier needs that "
    "count; a lead may approve it there with a reason",
    "duplicate": "it may be a duplicate; the desk (Needs) shows of which, and a caseworker "
    "compares them",
}
MORE_OF: Final = {
    "stock": "take goods in, or ask another region for them (desk: Stock)",
    "bed": "a bed has to become free, or the person is referred to a region that has one",
    "slot": "enter more appointments, or one has to be given up",
    "money": "finance receives an instalment or allots money that fits (desk: Money)",
}
OFFERED: Final = "offered"
WAKES: Final = "; that wakes it"
"""Ends what is said of that which a need waits for; more of what it lacks besides wakes nobody."""
BY_WAIT: Final = {
    "behind": "others of the same or a higher priority were there before it; there is too little",
    "restricted": "there is some, but its terms (programme, kind, area, period, category) do not "
    "allow this: money or goods with other terms have to come",
    "closed": "its site is closed or its area under alert; it goes on when that ends",
    "recalled": "the allotment was recalled; finance finds other money (desk: Money)",
    "hold_expired": "answers came too late; it is asked anew by itself",
    "not_collected": "what was set aside was not collected; a caseworker talks to the person",
    OFFERED: "{region} was asked to help and may accept it{until}, then it waits as before "
    "(desk: Needs); {link}",
}
ENTER: Final = (
    "nobody has entered {item}: a logistician enters it (desk: Stock, Sites) under exactly the "
    "code that its kind of need takes (desk: Kinds of need), and takes goods in"
)
DECLINED: Final = "it is over, and nothing wakes it"
AGAIN: Final = (
    "if it is needed still and may be given, a caseworker registers it again (desk: Register)"
)
BY_DECLINED: Final = {
    "duplicate": "the need that it repeats goes on; if it repeats none, a caseworker registers it "
    "again (desk: Register)",
    "unknown_item": "its item had not been entered: a logistician enters it and takes goods in "
    f"(desk: Stock); {AGAIN}",
}
BY_PAYOUT: Final = {
    "draft": ("waits for its approval", "somebody other than its maker approves it, desk: Money"),
    "approved": ("waits to be paid", "finance pays it or makes the bank file, desk: Money"),
    "exported": ("waits for the bank's answer", "finance reads in the bank's file, desk: Money"),
    "accepted": ("waits for the bank's statement", "finance reads it in, desk: Money"),
    "rejected": ("was refused by the bank", "finance corrects the payee's details, desk: Money"),
    "returned": ("came back from the bank", "finance corrects the payee's details, desk: Money"),
}
ON_TRIAL_IN: Final = frozenset({"approved", "held", "waitlisted"})
ON_TRIAL: Final = (
    "{region} still has it, and lets go by itself once it hears that all is held here; {link}"
)
BY_OFFICE: Final = {
    "approved": (
        "waits until the office of {region} pays it",
        "that office has it, and finance may ask it back (desk: Money); {link}",
    ),
    "exported": (
        "was sent to the bank by the office of {region}",
        "that office settles it; {link}",
    ),
}
"""What another region's office pays: here nobody can but ask it back."""
ASKED_BACK: Final = (
    "was asked back from the office of {region}",
    "what that office answers decides; {link}",
)
MAYBE_PAID: Final = (
    "may have been paid already",
    "finance looks at the bank's statement, and settles or clears it (desk: Money, top notice)",
)
NO_DETAILS: Final = (
    "waits for its payee's details",
    (
        "above the float limit nobody approves it without: aidmesh dead list; if they still do "
        "not come, a caseworker enters them again at the need (desk: Needs)"
    ),
)
NO_LINKS: Final[Mapping[str, str]] = MappingProxyType({})
NOTHING_FREE: Final[Mapping[UUID, int]] = MappingProxyType({})
IS_IT_UP: Final = "aidmesh status: is"
"""Begins a guess, for where nothing is seen that is in the way."""
SWEEP: Final = (
    "the sweep of intake should have ended it: aidmesh doctor; aidmesh logs service=intake "
    "'level>=warning'"
)
SENDER: Final = (
    "it leaves in seconds; if not: aidmesh logs service=notification 'level>=warning', and aidmesh "
    "unlock where its key is not loaded"
)
PAID_UNKNOWN: Final = "how it is paid is not known: the database of payments could not be asked"
TOLD_UNKNOWN: Final = (
    "whether a message leaves is not known: the database of notification could not be asked"
)
IN_PERSON: Final = "tell them in person (desk: Home, Tell in person) and say so there"
BY_MESSAGE: Final = {
    "changed": "what they were told, or would have been, holds no more",
    "asker_left": "who asked belongs to the household no more, and nobody else was told",
}
"""Why no message counts that left, or may still be reported, in this attempt."""


@dataclass(frozen=True, slots=True)
class Aside:
    """What other services than intake have for a need: rows of their tables, None where none is.

    Attributes:
        reservation: the last one: state, hold_until, collect_by.
        payout: the last one: id, state, reason, recorded_at, assigned_to, withdrawal, has_details,
            is_doubted.
        message: that of the need's attempt: state, reason, due_at.
        unasked: the services whose database did not answer: of them None says nothing.
        links: by region how this one sees it.
        free: pieces of the item that it waits for that one open site there has for anybody.
        is_growing: more of what it waits for came, and intake has not taken that in.
    """

    reservation: Json | None = None
    payout: Json | None = None
    message: Json | None = None
    unasked: Collection[str] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    free: int = 0
    is_growing: bool = False

    def link(self, region: object) -> str:
        """How a region is seen here."""
        return self.links.get(str(region), SEE_LINK)


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that a need was refused: what, of which code, and the word for why."""

    resource: str
    code: str
    wait: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How one thing stands: a line, lines of who does what about it, and the regions that it waits
    for."""

    line: str
    todo: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()


def lack_of(told: str | None) -> Lack | None:
    """What a need's row says of the second thing it lacks."""
    if told is None:
        return None
    found = cast("dict[str, dict[str, str]]", json.loads(told))
    blocked_by = found["blocked_by"]
    return Lack(blocked_by["resource"], blocked_by["code"], str(found["wait"]))


def lacks_of(need: Json) -> tuple[Lack, ...]:
    """All that a waiting need was refused when it began to wait, what it waits for first."""
    first = Lack(
        str(need["blocked_resource"]), str(need["blocked_code"]), str(need["wait"] or "short")
    )
    also = cast("Lack | None", need["also_lacks"])
    return (first,) if also is None else (first, also)


def items_of(needs: Sequence[Json]) -> list[str]:
    """The items that needs lack, each once."""
    waiting = [need for need in needs if need["state"] == "waitlisted"]
    lacks = [each for need in waiting for each in lacks_of(need) if each.resource == "stock"]
    return sorted({each.code for each in lacks})


def standing(
    need: Json, now: datetime, aside: Aside | None = None, unknown_items: Collection[str] = ()
) -> Standing:
    """Say how a need stands.

    Args:
        need: its row in intake.
        now: by the clock of the databases.
        aside: what the others have for it.
        unknown_items: those that it lacks and inventory does not know.
    """
    aside = aside or Aside()
    waits, todo = _waits(need, now, aside, unknown_items)
    since = f"{need['changed_at']:%Y-%m-%d %H:%M}"
    line = f"need {need['id']} is {need['state']} since {since} (attempt {need['attempt_no']})"
    line += f": {waits}" if waits else ""
    if need["pending"] and need["state"] in ON_TRIAL_IN:
        region = need["from_region"]
        line += f"; taken on trial, waits until {region} confirms it"
        todo = [*todo, ON_TRIAL.format(region=region, link=aside.link(region))]
    if need["attention"]:
        line += f"; attention: {need['attention']}"
        todo = [*todo, "a caseworker looks at what does not fit (desk: Needs) and settles it"]
    return Standing(line, tuple(todo), _waited_for(need, aside))


def _waited_for(need: Json, aside: Aside) -> tuple[str, ...]:
    """The regions that a need waits for: who was offered it, has it, or pays it."""
    state, payout = need["state"], aside.payout
    found = [
        need["offered_to"] if state == "waitlisted" else None,
        need["from_region"] if need["pending"] and state in ON_TRIAL_IN else None,
        payout["assigned_to"]
        if payout is not None and state == "ready" and payout["state"] in BY_OFFICE
        else None,
    ]
    return tuple(str(region) for region in found if region is not None)


def _waits(
    need: Json, now: datetime, aside: Aside, unknown_items: Collection[str]
) -> tuple[str, list[str]]:
    state = need["state"]
    if state == "requested":
        reason = str(need["reason"] or "")
        why = f" ({reason})" if reason else ""
        return f"waits for a decision{why}", [HINDRANCES.get(reason, DECIDES)]
    if state == "waitlisted":
        return _lacks(need, aside, unknown_items)
    if state in {"approved", "held"}:
        return _asked(need, now)
    if state == "ready":
        return _ready(need, now, aside)
    reason = str(need["reason"] or "")
    if state == "declined":
        return reason, [f"{DECLINED}: {BY_DECLINED.get(reason, AGAIN)}"]
    return reason, []


def _lacks(need: Json, aside: Aside, unknown_items: Collection[str]) -> tuple[str, list[str]]:
    said: list[str] = []
    todo: list[str] = []
    for lack in lacks_of(need):
        code = "" if need["sensitive"] else f" {lack.code}"
        wakes = "" if said else WAKES
        is_unknown = lack.resource == "stock" and lack.code in unknown_items
        if is_unknown and lack.wait != OFFERED:  # goods that come here would not wake it
            item = "its item" if need["sensitive"] else f"item {lack.code}"
            why, do = "not entered", ENTER.format(item=item) + wakes
        else:
            why = lack.wait
            do = BY_WAIT.get(lack.wait) or MORE_OF[lack.resource] + wakes
            region = need["offered_to"]
            do = do.format(
                region=region or "another region", until=_until(need), link=aside.link(region)
            )
        said.append(f"{lack.resource}{code} ({why})")
        todo.append(do)
    also = f"; besides it lacked {said[1]}" if len(said) > 1 else ""
    more, do_first = there(need, aside.free, is_growing=aside.is_growing)
    return f"waits for {said[0]}{more}{also}", [do_first or todo[0], *todo[1:]]


def _until(need: Json) -> str:
    until = need["offered_until"]
    return f" until {until:%Y-%m-%d %H:%M}" if isinstance(until, datetime) else ""


def _asked(need: Json, now: datetime) -> tuple[str, list[str]]:
    silent = [
        service
        for leg, service in (("supply", "inventory"), ("money", "payments"))
        if need[leg] == ASKED
    ]
    until = cast("datetime", need["deadline_at"])
    line = f"holds end {until:%Y-%m-%d %H:%M}"
    if silent:
        line = f"waits for the answer of {' and '.join(silent)}; {line}"
    if until < now:
        late = age((now - until).total_seconds())
        return f"{line}, {late} ago", [SWEEP]
    todo = [
        f"{IS_IT_UP} {service} up, and how many events has it not taken in? What is not "
        "answered in time is asked anew by itself"
        for service in silent
    ]
    return line, todo


def _ready(need: Json, now: datetime, aside: Aside) -> tuple[str, list[str]]:
    parts: list[str] = []
    todo: list[str] = []
    # Without a leg of money there is no payout, whoever could not be asked.
    is_paid_unknown = "payments" in aside.unasked and bool(need["money"])
    telling = _telling(need, now, aside.message, is_asked="notification" not in aside.unasked)
    for part, do in (telling, _paying(aside, now)):
        parts += [part] if part else []
        todo += [do] if do else []
    if is_paid_unknown:
        parts.append(PAID_UNKNOWN)
    elif need["told_at"] is not None and aside.payout is None:
        collect_by = (aside.reservation or {}).get("collect_by")
        until = f" until {collect_by:%Y-%m-%d %H:%M}" if isinstance(collect_by, datetime) else ""
        parts.append(f"waits to be handed over{until}")
    return "; ".join(parts), todo


def _telling(need: Json, now: datetime, message: Json | None, *, is_asked: bool) -> tuple[str, str]:
    if need["told_at"] is not None:
        return f"told {need['told_at']:%Y-%m-%d %H:%M} ({need['told_how']})", ""
    if need["message"] in BY_MESSAGE:
        return BY_MESSAGE[str(need["message"])], IN_PERSON
    if need["person_id"] is None:
        return "nobody was told: it is for no single person", IN_PERSON
    if message is None and not is_asked:
        return TOLD_UNKNOWN, ""
    if message is None:
        return (
            "the person does not know: notification has not queued a message",
            f"{IS_IT_UP} notification up, and how many events has it not taken in?",
        )
    state, reason = str(message["state"]), message["reason"]
    due = cast("datetime", message["due_at"])
    if state == "queued" and due > now:
        return f"its message waits for its hour, {due:%Y-%m-%d %H:%M}", ""
    if state in {"queued", "sending"}:
        return (
            f"its message is {state}",
            SENDER,
        )
    if state in {"sent", "delivered"}:
        return f"its message is {state}; intake has not heard of it", "aidmesh status"
    return f"the person does not know: its message is {state} ({reason})", IN_PERSON


def _paying(aside: Aside, now: datetime) -> tuple[str, str]:
    payout = aside.payout
    if payout is None or payout["state"] not in BY_PAYOUT:
        return "", ""
    waits, do = _step_of(payout, aside)
    lasts = age((now - cast("datetime", payout["recorded_at"])).total_seconds())
    reason = f" ({payout['reason']})" if payout["reason"] else ""
    return f"payout {cast('UUID', payout['id'])} {waits}{reason}, {lasts} old", do


def _step_of(payout: Json, aside: Aside) -> tuple[str, str]:
    """What a payout waits for, and a step that payments does not refuse."""
    state, office = str(payout["state"]), payout["assigned_to"]
    if office is not None and state in BY_OFFICE:
        waits, do = BY_OFFICE[state] if payout["withdrawal"] is None else ASKED_BACK
        return waits.format(region=office), do.format(link=aside.link(office))
    if payout["is_doubted"] and state in {"draft", "approved", "exported"}:
        return MAYBE_PAID
    if not payout["has_details"] and state == "draft":
        return NO_DETAILS
    return BY_PAYOUT[state]


def todo_of(stand: Sequence[Standing], trouble: Sequence[str]) -> tuple[str, ...]:
    """Who does what about needs, each once; guesses only where no trouble is known."""
    lines = dict.fromkeys(line for each in stand for line in each.todo)
    return tuple(line for line in lines if not trouble or not line.startswith(IS_IT_UP))


def of_needs(
    needs: Sequence[Json],
    now: datetime,
    reservations: Sequence[Json],
    payouts: Sequence[Json],
    messages: Sequence[Json],
    unknown_items: Collection[str] = (),
    unasked: Collection[str] = (),
    links: Mapping[str, str] = NO_LINKS,
    free: Mapping[UUID, int] = NOTHING_FREE,
    growing: Collection[UUID] = (),
) -> list[Standing]:
    """How needs stand.

    Args:
        needs: their rows.
        now: by the clock of the databases.
        reservations, payouts: of these needs, each need's newest last.
        messages: of these needs.
        unknown_items: those that they lack and inventory does not know.
        unasked: the services whose database did not answer.
        links: by region how this one sees it.
        free: by need how much one site has of the item that it waits for.
        growing: needs that wait for something of which more came, unheard by intake.
    """
    reservation_of, payout_of = (
        {row["need_id"]: row for row in rows} for rows in (reservations, payouts)
    )
    # What was said of an earlier attempt says nothing of this one.
    message_of = {(row["need_id"], row["attempt_no"]): row for row in messages}
    asides = [
        Aside(
            reservation_of.get(need["id"]),
            payout_of.get(need["id"]),
            message_of.get((need["id"], need["attempt_no"])),
            unasked,
            links,
            free.get(cast("UUID", need["id"]), 0),
            need["id"] in growing,
        )
        for need in needs
    ]
    return [
        standing(need, now, aside, unknown_items) for need, aside in zip(needs, asides, strict=True)
    ]
