"""Needs that another region is to serve, and those that other regions ask for."""

import asyncio
from typing import Annotated, Final
from uuid import UUID, uuid5

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console.clients import proposals
from aidmesh_console.clients import referrals as client
from aidmesh_console.clients.link import Away, ClientError
from aidmesh_console.pages.common import names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Decider = Annotated[Visit, Depends(visitor(Act.DECIDE_NEEDS))]
PAGES: Final = ("got", "made")
"""Each list of the page goes on by a field of the address of its own."""
_SAID: Final = {
    "take": "referral_taken",
    "keep": "referral_kept",
    "refuse": "referral_refused",
    "withdraw": "referral_withdrawn",
}


@routes.get("/referrals")
async def show(visit: Decider) -> Response:
    """Offers in and out."""
    return await _list(visit)


@routes.get("/referrals/of/{need_id}")
async def choose(need_id: UUID, visit: Decider) -> Response:
    """Where else there is a free bed, and how old that news is; for other help, which regions."""
    return await _choice(visit, need_id)


@routes.post("/referrals/of/{need_id}")
async def refer(need_id: UUID, form: Posted, visit: Decider) -> Response:
    """Offer a need to the region of a site."""
    where = (form.text("where") or "").split("/")
    if len(where) != len(("region", "area", "site")):
        return await _choice(visit, need_id, 422, visit.say("fault.choice"))
    names = ("to_region", "place_area", "site_id")
    body = {name: text for name, text in zip(names, where, strict=True) if text}
    try:
        await client.refer(visit.intake.link, need_id, body, form.key)
    except ClientError as error:
        status = 503 if isinstance(error, Away) else 409
        return await _choice(visit, need_id, status, visit.problem(error))
    return visit.go(f"/needs/{need_id}", said="referral_offered")


@routes.post("/referrals/offer")
async def offer(form: Posted, visit: Decider) -> Response:
    """Offer the needs that are ticked, each to where a place is free for it."""
    chosen = [each.split("/") for each in form.many("where")]
    if not chosen or any(len(each) != len(("need", "region", "area", "site")) for each in chosen):
        return await _list(visit, 422, visit.say("places.chosen_none"))
    for need_id, region, area, site_id in chosen:
        try:
            body = {"to_region": region, "place_area": area, "site_id": site_id}
            # Each by a key of its own, so that the form sent again offers nobody twice.
            await client.refer(visit.intake.link, UUID(need_id), body, uuid5(form.key, need_id))
        except ValueError:
            return await _list(visit, 422, visit.say("fault.choice"))
        except ClientError as error:
            status = 503 if isinstance(error, Away) else 409
            return await _list(visit, status, visit.problem(error))
    return visit.go("/referrals", said="referrals_offered")


@routes.post("/referrals/{referral_id}/{step}")
async def act(referral_id: UUID, step: str, form: Posted, visit: Decider) -> Response:
    """Take or refuse another region's offer, keep what a lost one offered, or withdraw an own."""
    if step not in _SAID:
        raise Problem(NOT_FOUND)
    try:
        await client.act(visit.intake.link, referral_id, step, form.key)
    except ClientError as error:
        status = 503 if isinstance(error, Away) else 409
        return await _list(visit, status, visit.problem(error))
    return visit.go("/referrals", said=_SAID[step])


async def _list(visit: Visit, status: int = 200, wrong: str | None = None) -> Response:
    pages = {name: text for name in PAGES if (text := visit.asked.get(name))}
    got, made, proposed, names = await asyncio.gather(
        visit.hear(client.referrals(visit.intake.link, pages.get("got"))),
        visit.hear(client.offers(visit.intake.link, pages.get("made"))),
        visit.hear(proposals.places(visit.intake.link)),
        names_of(visit, kinds=True),
    )
    return visit.page(
        "referrals",
        status,
        got=got,
        made=made,
        proposed=proposed,
        names=names,
        pages=pages,
        wrong=wrong,
    )


async def _choice(
    visit: Visit, need_id: UUID, status: int = 200, wrong: str | None = None
) -> Response:
    need, beds, names = await asyncio.gather(
        visit.intake.need(need_id),
        visit.hear(visit.inventory.all_beds()),
        names_of(visit, kinds=True),
    )
    others = [each for each in beds.value or () if each.region is not None]
    takes = need.ask.capacity
    sleeps = takes is not None and takes.resource == "bed"
    return visit.page(
        "refer",
        status,
        need=need,
        beds=beds,
        sleeps=sleeps,
        away=[each for each in others if each.free_by_day and each.free_by_day[0] > 0],
        regions=sorted({(str(each.region), each.area) for each in others}),
        names=names,
        wrong=wrong,
    )
