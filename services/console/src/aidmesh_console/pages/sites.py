"""Sites: which are open, closing and reopening them; new sites, items, beds and slots."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console.clients.catalogue_views import CapacityTake
from aidmesh_console.clients.link import ClientError, Refused
from aidmesh_console.forms import CODE, Form, as_text, filled
from aidmesh_console.i18n import LANGUAGES, Speaker
from aidmesh_console.pages.common import AREAS, CLOSE_REASONS, REOPEN_REASONS, Names, names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor
from aidmesh_contracts.days import KYIV

routes = Routes(include_in_schema=False)
Keeper = Annotated[Visit, Depends(visitor(Act.CHANGE_STOCK))]

SITE_TYPES: Final = ("shelter", "center", "warehouse", "office")
TRACKING: Final = ("lot", "serial", "none")
MINUTES_MAX: Final = 1440
CORRECT: Final = "correct-"
"""With the id of a site, the form that corrects it."""


@routes.get("/stock/sites")
async def show(visit: Keeper) -> Response:
    """The sites of this region, and forms for what is new; `item` begins one of that code."""
    item = visit.asked.get("item")
    return await _page(visit, item=item if not item or CODE.fullmatch(item) else None)


@routes.post("/stock/sites/{site_id}/close")
async def close(site_id: UUID, form: Posted, visit: Keeper) -> Response:
    """Close a site: for a while, keeping what is set aside, or giving all of it back."""
    reason = form.text("reason")
    if reason not in CLOSE_REASONS or form.text("keep") not in {"keep", "release"}:
        return await _page(visit, 422, visit.say("fault.reason"))
    keep = form.text("keep") == "keep"
    try:
        await visit.inventory.close_site(site_id, str(reason), form.key, keep=keep)
    except ClientError as error:
        return await _failed(visit, error, form, None)
    return visit.go("/stock/sites", said="site_closed")


@routes.post("/stock/sites/{site_id}/reopen")
async def reopen(site_id: UUID, form: Posted, visit: Keeper) -> Response:
    """Open a site again: deadlines are extended by the time it was closed."""
    reason = form.text("reason")
    if reason not in REOPEN_REASONS:
        return await _page(visit, 422, visit.say("fault.reason"))
    try:
        await visit.inventory.reopen_site(site_id, str(reason), form.key)
    except ClientError as error:
        return await _failed(visit, error, form, None)
    return visit.go("/stock/sites", said="site_reopened")


@routes.post("/stock/sites/{site_id}/correct")
async def correct(site_id: UUID, form: Posted, visit: Keeper) -> Response:
    """Give a site another name or address; an address that is left empty stays."""
    body = filled(
        {
            "version": form.whole("version", needed=True),
            "name": form.text("name", needed=True),
            "address": form.text("address"),
        }
    )
    opened = f"{CORRECT}{site_id}"
    if form.faults:
        wrong = visit.say("register.faults", len(form.faults))
        return await _page(visit, 422, wrong, opened, form)
    try:
        await visit.inventory.correct_site(site_id, body, form.key)
    except ClientError as error:
        return await _failed(visit, error, form, opened)
    return visit.go("/stock/sites", said="site_corrected")


@routes.post("/stock/new/{what}")
async def add(what: str, form: Posted, visit: Keeper) -> Response:
    """A new site, item, bed or slot."""
    if what not in _BODIES:
        raise Problem(NOT_FOUND)
    body = _BODIES[what](form)
    if form.faults:
        wrong = visit.say("register.faults", len(form.faults))
        return await _page(visit, 422, wrong, what, form)
    try:
        await visit.inventory.add(what, body, form.key)
    except ClientError as error:
        return await _failed(visit, error, form, what)
    return visit.go("/stock/sites", said="added")


def site_of(form: Form) -> dict[str, Any]:
    """The body of `POST /v1/sites`; what makes no sense is in `form.faults`."""
    return filled(
        {
            "code": form.code("code"),
            "name": form.text("name", needed=True),
            "area": form.choice("area", AREAS),
            "site_type": form.choice("site_type", SITE_TYPES),
            "address": form.text("address"),
        }
    )


def item_of(form: Form) -> dict[str, Any]:
    """The body of `POST /v1/items`; a name is needed in each language of the desk."""
    return filled(
        {
            "code": form.code("code"),
            "names": {each: form.text(f"name_{each}", needed=True) for each in LANGUAGES},
            "pack": form.whole("pack"),
            "tracking": form.choice("tracking", TRACKING),
            "prescription": form.checked("prescription"),
        }
    )


def suggested(code: str, names: Names) -> dict[str, str]:
    """The form of an item that kinds of need take, as far as it can be filled in.

    It is called what goods of its code are called, else as the one kind that takes it.
    """
    takers = [kind for kind in names.offered.values() if code in {t.item for t in kind.stock}]
    found = {"code": code}
    for each in LANGUAGES:
        say = Speaker(each)
        name = takers[0].names.get(each, "") if len(takers) == 1 else ""
        if say.has(f"goods.{code}"):
            name = say(f"goods.{code}")
        found[f"name_{each}"] = name[:1].upper() + name[1:]
    return found


def bed_of(form: Form) -> dict[str, Any]:
    """The body of `POST /v1/beds`."""
    return {
        "site_id": as_text(form.uuid("site_id", needed=True)),
        "label": form.text("label", needed=True),
        "room": form.text("room", needed=True),
        "code": form.code("code"),
    }


def slot_of(form: Form) -> dict[str, Any]:
    """The body of `POST /v1/slots`; the time is on the clocks of Kyiv."""
    minutes = form.whole("minutes", needed=True)
    if minutes is not None and minutes > MINUTES_MAX:
        form.faults["minutes"] = "too_large"
    return filled(
        {
            "site_id": as_text(form.uuid("site_id", needed=True)),
            "code": form.code("code"),
            "professional": form.code("professional"),
            "starts_at": as_text(form.moment("starts_at", KYIV, needed=True)),
            "minutes": minutes,
            "seats": form.whole("seats"),
        }
    )


_BODIES: Final[Mapping[str, Callable[[Form], dict[str, Any]]]] = {
    "sites": site_of,
    "items": item_of,
    "beds": bed_of,
    "slots": slot_of,
}


def _places(
    say: Speaker, takes: Sequence[tuple[CapacityTake, str]], resource: str
) -> Sequence[tuple[str, str]]:
    """The places of a resource to choose from: each by its name and the help that takes it."""
    by_code: dict[str, list[str]] = {}
    for take, kind in takes:
        if take.resource == resource:
            by_code.setdefault(take.code, []).append(kind)
    named = [
        (code, f"{say.code('place', code)}: {', '.join(sorted(kinds, key=say.order))}")
        for code, kinds in by_code.items()
    ]
    return sorted(named, key=lambda each: say.order(each[1]))


async def _failed(visit: Visit, error: ClientError, form: Form, opened: str | None) -> Response:
    if isinstance(error, Refused):
        form.faults.update({each.field.split(".")[-1]: "refused" for each in error.faults})
    status, key = form.after(error)
    return await _page(visit, status, visit.problem(error), opened, form, key)


async def _page(
    visit: Visit,
    status: int = 200,
    wrong: str | None = None,
    opened: str | None = None,
    form: Form | None = None,
    key: UUID | None = None,
    *,
    item: str | None = None,
) -> Response:
    names, sites = await asyncio.gather(
        names_of(visit, kinds=True), visit.hear(visit.inventory.sites())
    )
    values: dict[str, Mapping[str, str]] = {opened: form.values} if form and opened else {}
    if item is not None:
        opened, values = "items", {"items": suggested(item, names) if item else {}}
    takes = [
        (kind.capacity, names.kind(code))
        for code, kind in names.offered.items()
        if kind.capacity is not None
    ]
    return visit.page(
        "sites",
        status,
        names=names,
        sites=sites,
        wrong=wrong,
        opened=opened,
        correct=CORRECT,
        values=values,
        faults={opened: form.faults} if form and opened else {},
        keys={opened: key} if key else {},
        places={resource: _places(visit.say, takes, resource) for resource in ("bed", "slot")},
        site_types=SITE_TYPES,
        tracking=TRACKING,
        close_reasons=CLOSE_REASONS,
        reopen_reasons=REOPEN_REASONS,
    )  # fmt: skip
