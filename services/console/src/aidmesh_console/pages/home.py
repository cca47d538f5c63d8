"""Home: what waits for whoever is signed in."""

import asyncio
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_console.clients.peers import together
from aidmesh_console.clients.referrals import referrals as received
from aidmesh_console.pages.common import names_of
from aidmesh_console.roles import Act
from aidmesh_console.supply import low
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)

_COUNTED = ("requested", "ready", "waitlisted")
_TELL_ROWS = 8
_LOOK_ROWS = 50
_PAYOUTS_ROWS = 100


@routes.get("/")
async def show(visit: Annotated[Visit, Depends(visitor())]) -> Response:
    """What there is to do, by role; the services are asked all at once."""
    async with asyncio.TaskGroup() as tasks:
        begin = tasks.create_task
        cases = begin(_cases(visit)) if visit.may(Act.DECIDE_NEEDS) else None
        goods = begin(_goods(visit)) if visit.may(Act.SEE_STOCK) else None
        money = begin(_money(visit)) if visit.may(Act.SEE_MONEY) else None
        alerts = begin(visit.hear(visit.alerts.lasting())) if visit.may(Act.RUN_ALERTS) else None
        ready = begin(visit.readiness()) if visit.may(Act.SEE_HEALTH) else None
        named = cases is not None or goods is not None
        names = begin(names_of(visit, kinds=True)) if named else None
    return visit.page(
        "home",
        names=names.result() if names is not None else None,
        cases=cases.result() if cases is not None else None,
        goods=goods.result() if goods is not None else None,
        money=money.result() if money is not None else None,
        alerts=alerts.result() if alerts is not None else None,
        services=ready.result() if ready is not None else None,
        peers=together(filter(None, ready.result().values())) if ready is not None else {},
    )


@routes.post("/told/{need_id}")
async def told(
    need_id: UUID, form: Posted, visit: Annotated[Visit, Depends(visitor(Act.DECIDE_NEEDS))]
) -> Response:
    """Somebody was told in person."""
    await visit.intake.act(need_id, "told", {}, form.key)
    return visit.go("/", said="told")


async def _cases(visit: Visit) -> dict[str, object]:
    counts, tell, look = await asyncio.gather(
        visit.hear(visit.intake.counts(_COUNTED)),
        visit.hear(visit.intake.to_tell(_TELL_ROWS + 1)),
        visit.hear(visit.intake.needs(attention=True, limit=_LOOK_ROWS)),
    )
    by_voice = tell.value or ()
    return {
        "counts": counts,
        "tell": tell,
        "look": look,
        "by_voice": by_voice[:_TELL_ROWS],
        "more_to_tell": len(by_voice) > _TELL_ROWS,
        "to_decide": await _to_decide(visit),
    }


async def _to_decide(visit: Visit) -> Sequence[tuple[str, str, int]]:
    """What waits for a lead: where it is, what to call it, and how much there is of it."""
    if not visit.may(Act.UNITE_OR_ERASE):
        return ()
    merges, referrals = await asyncio.gather(
        visit.hear(visit.intake.merges()), visit.hear(received(visit.intake.link, None))
    )
    me = visit.session.caller.staff_id
    confirmable = [
        each for each in (merges.value.merges if merges.value else ()) if each.proposed_by != me
    ]
    offered = [
        each
        for each in (referrals.value.referrals if referrals.value else ())
        if each.status == "offered"
    ]
    found = (
        ("/merges", "home.merges", len(confirmable)),
        ("/referrals", "home.referrals", len(offered)),
    )
    return [each for each in found if each[2]]


async def _goods(visit: Visit) -> dict[str, object]:
    free, beds, queues = await asyncio.gather(
        visit.hear(visit.inventory.free_of_items()),
        visit.hear(visit.inventory.own_beds()),
        visit.hear(visit.intake.queues()),
    )
    waiting: dict[str, int] = {}
    for each in queues.value or ():
        if each.resource == "stock":
            waiting[each.code] = waiting.get(each.code, 0) + each.needs
    return {
        "free": free,
        "low": low(free.value, waiting) if free.value is not None else (),
        "beds": beds,
    }


async def _money(visit: Visit) -> dict[str, object]:
    draft, approved = await asyncio.gather(
        visit.hear(visit.payments.payouts("draft", limit=_PAYOUTS_ROWS)),
        visit.hear(visit.payments.payouts("approved", limit=_PAYOUTS_ROWS)),
    )
    return {"draft": draft, "approved": approved}
