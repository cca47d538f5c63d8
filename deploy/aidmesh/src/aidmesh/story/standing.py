"""How a need stands, what it waits for, and who does what about it: pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast
from uuid import UUID

from aidmesh.story.told import Json
from aidmesh.words import age

ASKED: Final = 1
"""A leg that was asked and has not answered, as intake counts."""

DECIDES: Final = "a caseworker or lead decides it at the desk, Needs"
HINDRANCES: Final = {
    "limit": "a limit speaks against it; a lead may approve it with a reason at the desk, Needs",
    "duplicate": "it may be a duplicate; a caseworker compares them at the desk, Needs",
}
MORE_OF: Final = {
    "stock": "take goods in, or ask another region for them (desk: Stock); whoever waits is woken",
    "bed": "a bed that becomes free wakes it; or refer the person to a region that has one",
    "slot": "enter more appointments, or one that is given up wakes it",
    "money": "finance receives an instalment or allots money that fits (desk: Money); it wakes it",
}
BY_WAIT: Final = {
    "behind": "others of the same or a higher priority were there before it; there is too little",
    "restricted": "there is some, but its terms (programme, kind, area, period, category) do not "
    "allow this: money or goods with other terms have to come",
    "closed": "its site is closed or its area under alert; it goes on when that ends",
    "recalled": "the allotment was recalled; finance finds other money (desk: Money)",
    "hold_expired": "answers came too late; it is asked anew by itself",
    "not_collected": "what was set aside was not collected; a caseworker talks to the person",
    "offered": "another region was asked to help; it has not answered yet (desk: Needs)",
}
BY_PAYOUT: Final = {
    "draft": ("waits for its approval", "somebody other than its maker approves it, desk: Money"),
    "approved": ("waits to be paid", "finance pays it or makes the bank file, desk: Money"),
    "exported": ("waits for the bank's answer", "finance reads in the bank's file, desk: Money"),
    "accepted": ("waits for the bank's statement", "finance reads it in, desk: Money"),
    "rejected": ("was refused by the bank", "finance corrects the payee's details, desk: Money"),
    "returned": ("came back from the bank", "finance corrects the payee's details, desk: Money"),
}
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
IN_PERSON: Final = "tell them in person (desk: Home, Tell in person) and say so there"


@dataclass(frozen=True, slots=True)
class Aside:
    """What other services than intake have for a need: rows of their tables, None where none is.

    Attributes:
        reservation: the last one: state, hold_until, collect_by.
        payout: the last one: id, state, reason, recorded_at.
        message: the last one: state, reason, due_at.
    """

    reservation: Json | None = None
    payout: Json | None = None
    message: Json | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How one need stands: a line, and lines of who does what about it."""

    line: str
    todo: tuple[str, ...] = ()


def standing(need: Json, now: datetime, aside: Aside | None = None) -> Standing:
    """Say how a need stands.

    Args:
        need: its row in intake.
        now: by the clock of the databases.
        aside: what the others have for it.
    """
    waits, todo = _waits(need, now, aside or Aside())
    since = f"{need['changed_at']:%Y-%m-%d %H:%M}"
    line = f"need {need['id']} is {need['state']} since {since} (attempt {need['attempt_no']})"
    line += f": {waits}" if waits else ""
    if need["attention"]:
        line += f"; attention: {need['attention']}"
        todo = [*todo, "a caseworker looks at what does not fit (desk: Needs) and settles it"]
    return Standing(line, tuple(todo))


def _waits(need: Json, now: datetime, aside: Aside) -> tuple[str, list[str]]:
    state = need["state"]
    if state == "requested":
        reason = str(need["reason"] or "")
        why = f" ({reason})" if reason else ""
        return f"waits for a decision{why}", [HINDRANCES.get(reason, DECIDES)]
    if state == "waitlisted":
        what = "" if need["sensitive"] else f" {need['blocked_code']}"
        why = f" ({need['wait']})" if need["wait"] else ""
        todo = BY_WAIT.get(str(need["wait"])) or MORE_OF[str(need["blocked_resource"])]
        return f"waits for {need['blocked_resource']}{what}{why}", [todo]
    if state in {"approved", "held"}:
        return _asked(need, now)
    if state == "ready":
        return _ready(need, now, aside)
    return str(need["reason"] or ""), []


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
    for part, do in (_telling(need, now, aside.message), _paying(aside.payout, now)):
        parts += [part] if part else []
        todo += [do] if do else []
    if (need["told_at"] is not None or need["person_id"] is None) and aside.payout is None:
        collect_by = (aside.reservation or {}).get("collect_by")
        until = f" until {collect_by:%Y-%m-%d %H:%M}" if isinstance(collect_by, datetime) else ""
        parts.append(f"waits to be handed over{until}")
    return "; ".join(parts), todo


def _telling(need: Json, now: datetime, message: Json | None) -> tuple[str, str]:
    if need["told_at"] is not None:
        return f"told {need['told_at']:%Y-%m-%d %H:%M} ({need['told_how']})", ""
    if need["person_id"] is None:
        return "", ""
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


def _paying(payout: Json | None, now: datetime) -> tuple[str, str]:
    if payout is None or payout["state"] not in BY_PAYOUT:
        return "", ""
    waits, do = BY_PAYOUT[str(payout["state"])]
    lasts = age((now - cast("datetime", payout["recorded_at"])).total_seconds())
    reason = f" ({payout['reason']})" if payout["reason"] else ""
    return f"payout {cast('UUID', payout['id'])} {waits}{reason}, {lasts} old", do


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
) -> list[Standing]:
    """How needs stand.

    Args:
        needs: their rows.
        now: by the clock of the databases.
        reservations, payouts, messages: of these needs, each need's newest last.
    """
    of_need = [{row["need_id"]: row for row in rows} for rows in (reservations, payouts, messages)]
    return [
        standing(need, now, Aside(*(rows.get(need["id"]) for rows in of_need))) for need in needs
    ]
