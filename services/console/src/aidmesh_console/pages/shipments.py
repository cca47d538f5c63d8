"""Goods between regions: asking, answering, sending, counting in, and the manifest to print."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console.clients import proposals
from aidmesh_console.clients.inventory_views import Lots, Stock, StockAway
from aidmesh_console.clients.link import ClientError
from aidmesh_console.clients.shipments import Shipment
from aidmesh_console.forms import Form
from aidmesh_console.pages.common import Names, names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Keeper = Annotated[Visit, Depends(visitor(Act.CHANGE_STOCK))]

ASK_REASONS: Final = ("waiting_needs", "low_stock")
REFUSE_REASONS: Final = ("own_needs", "too_far", "entry_error")
PAGES: Final = ("of_us", "by_us", "out", "coming")
"""Each list of the page goes on by a field of the address of its own."""
COUNT_REASONS: Final = ("damaged", "wet", "broken_seal", "miscounted", "lost", "theft")


@routes.get("/shipments")
async def show(visit: Keeper) -> Response:
    """What others have, what is asked for, and what is on its way."""
    return await _page(visit)


@routes.post("/shipments/ask")
async def ask(form: Posted, visit: Keeper) -> Response:
    """Ask another region for what it has free."""
    region, _, item = (form.text("what", needed=True) or "").partition(" ")
    body = {
        "from_region": region,
        "item": item,
        "quantity": form.whole("quantity", needed=True),
        "to_site_id": str(form.uuid("to_site_id", needed=True)),
        "reason": form.choice("reason", ASK_REASONS),
    }
    if form.faults:
        return await _page(visit, 422, visit.fault(form))
    try:
        await visit.shipments.ask(body, form.key)
    except ClientError as error:
        return await _page(visit, 409, visit.problem(error))
    return visit.go("/shipments", said="transfer_asked")


@routes.post("/shipments/proposals/{step}")
async def propose(step: str, form: Posted, visit: Keeper) -> Response:
    """Ask for what is proposed, or set it aside."""
    region, _, item = (form.text("what", needed=True) or "").partition(" ")
    body: dict[str, object] = {"from_region": region, "item": item}
    link, key = visit.inventory.link, form.key
    if step == "take":
        body["quantity"] = form.whole("quantity", needed=True)
        body["to_site_id"] = str(form.uuid("to_site_id", needed=True))
    elif step != "aside":
        raise Problem(NOT_FOUND)
    if form.faults:
        return await _page(visit, 422, visit.fault(form))
    try:
        if step == "take":
            await proposals.take(link, body, key)
        else:
            await proposals.set_aside(link, body, key)
    except ClientError as error:
        return await _page(visit, form.after(error)[0], visit.problem(error))
    said = "proposal_taken" if step == "take" else "proposal_aside"
    return visit.go("/shipments", said=said)


@routes.post("/shipments/asks/{transfer_id}/{step}")
async def answer(transfer_id: UUID, step: str, form: Posted, visit: Keeper) -> Response:
    """Accept, refuse or begin to send what another region asks for, or withdraw an own ask."""
    body: dict[str, object]
    if step == "accept":
        body = {"quantity": form.whole("quantity", needed=True)}
    elif step == "refuse":
        body = {"reason": form.choice("reason", REFUSE_REASONS)}
    elif step == "prepare":
        body = {"transfer_id": str(transfer_id), "lines": [_lot_line(form)]}
    elif step == "withdraw":
        body = {}
    else:
        raise Problem(NOT_FOUND)
    if form.faults:
        return await _page(visit, 422, visit.fault(form))
    try:
        if step == "prepare":
            made = await visit.shipments.prepare(body, form.key)
            return visit.go(f"/shipments/{made.shipment_id}", said="shipment_prepared")
        await visit.shipments.answer(transfer_id, step, body, form.key)
    except ClientError as error:
        return await _page(visit, 409, visit.problem(error))
    said = "transfer_withdrawn" if step == "withdraw" else "transfer_answered"
    return visit.go("/shipments", said=said)


@routes.post("/shipments/take")
async def take(form: Posted, visit: Keeper) -> Response:
    """Take a shipment in by its manifest, where its event has not come."""
    texts = (form.text("note", needed=True) or "").split()
    if form.faults:
        return await _page(visit, 422, visit.fault(form))
    try:
        taken = await visit.shipments.take(texts, form.key)
    except ClientError as error:
        return await _page(visit, 409, visit.problem(error))
    return visit.go(f"/shipments/{taken.shipment_id}", said="shipment_taken")


@routes.get("/shipments/{shipment_id}")
async def show_one(shipment_id: UUID, visit: Keeper) -> Response:
    """A shipment: to be prepared, sent off, counted."""
    return await _one(visit, shipment_id)


@routes.get("/shipments/{shipment_id}/manifest")
async def manifest(shipment_id: UUID, visit: Keeper) -> Response:
    """The manifest, to print."""
    shipment, names, found = await asyncio.gather(
        visit.shipments.shipment(shipment_id),
        names_of(visit),
        visit.shipments.manifest(shipment_id),
    )
    return visit.page("manifest", shipment=shipment, names=names, codes=len(found.images))


@routes.get("/shipments/{shipment_id}/codes/{number}.svg")
async def code(shipment_id: UUID, number: int, visit: Keeper) -> Response:
    """One of the QR codes of a manifest."""
    images = (await visit.shipments.manifest(shipment_id)).images
    if not 1 <= number <= len(images):
        raise Problem(NOT_FOUND)
    text = images[number - 1].replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return visit.keep(Response(text, media_type="image/svg+xml"))


@routes.post("/shipments/{shipment_id}/{step}")
async def act(shipment_id: UUID, step: str, form: Posted, visit: Keeper) -> Response:
    """Add a lot, send off, give up, or count in."""
    body: dict[str, object] = {}
    if step == "add-lines":
        body = {"lines": [_lot_line(form)]}
    elif step == "count":
        shipment = await visit.shipments.shipment(shipment_id)
        body = {"lines": _counts(form, shipment)}
        if not body["lines"]:
            form.faults.setdefault("good", "missing")
    elif step not in {"dispatch", "cancel"}:
        raise Problem(NOT_FOUND)
    if form.faults:
        return await _one(visit, shipment_id, 422, visit.fault(form), form)
    try:
        await visit.shipments.act(shipment_id, step, body, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _one(visit, shipment_id, status, visit.problem(error), form, key)
    said = {"count": "shipment_counted", "add-lines": "shipment_prepared"}
    return visit.go(f"/shipments/{shipment_id}", said=said.get(step, f"shipment_{step}"))


def _lot_line(form: Form) -> dict[str, object]:
    return {
        "lot_id": str(form.uuid("lot_id", needed=True)),
        "quantity": form.whole("quantity", needed=True),
    }


def _counts(form: Form, shipment: Shipment) -> list[dict[str, object]]:
    """The lines of which something was entered."""
    rows: list[dict[str, object]] = []
    for line in shipment.lines:
        good = form.whole(f"good_{line.line_id}", least=0)
        damaged = form.whole(f"damaged_{line.line_id}", least=0)
        if good is None and damaged is None:
            continue
        if good is None:
            # Nothing written is not the same as none: what is counted is counted once.
            form.faults.setdefault(f"good_{line.line_id}", "missing")
        row: dict[str, object] = {
            "line_id": str(line.line_id),
            "good": good or 0,
            "damaged": damaged or 0,
        }
        reason = form.text(f"reason_{line.line_id}")
        if reason is not None:
            row["reason"] = reason
        rows.append(row)
    return rows


async def _page(visit: Visit, status: int = 200, wrong: str | None = None) -> Response:
    stock, names = await asyncio.gather(visit.hear(visit.inventory.stock(None)), names_of(visit))
    proposed = await visit.hear(proposals.goods(visit.inventory.link))
    pages = {name: text for name in PAGES if (text := visit.asked.get(name))}
    of_us, by_us, out, coming = await asyncio.gather(
        visit.hear(visit.shipments.transfers("out", pages.get("of_us"))),
        visit.hear(visit.shipments.transfers("in", pages.get("by_us"))),
        visit.hear(visit.shipments.shipments("out", pages.get("out"))),
        visit.hear(visit.shipments.shipments("in", pages.get("coming"))),
    )
    to_prepare = [each.item for each in of_us.value.rows if each.to_prepare] if of_us.value else []
    return visit.page(
        "shipments",
        status,
        names=names,
        stock=stock,
        offers=_offers(visit, names, stock.value.others if stock.value else ()),
        what=f"{visit.asked.get('region', '')} {visit.asked.get('item', '')}",
        pages=pages,
        free_here=_free(stock.value.own if stock.value else ()),
        proposed=proposed,
        places_for={each: _places(names, each.site_id, each.area) for each in proposed.value or ()},
        of_us=of_us,
        by_us=by_us,
        out=out,
        coming=coming,
        lots=await _lots_of(visit, set(to_prepare)),
        lots_of=visit.asked.get("lots_of"),
        ask_reasons=ASK_REASONS,
        refuse_reasons=REFUSE_REASONS,
        wrong=wrong,
    )


async def _lots_of(
    visit: Visit, items: Collection[str], site_id: UUID | None = None
) -> Mapping[str, Lots]:
    """Lots to send some of, by item; of one that has many those from where the address says."""
    after = {visit.asked.get("lots_of"): visit.asked.get("lots")}
    found = await asyncio.gather(
        *(visit.hear(visit.inventory.lots(site_id, item, after.get(item))) for item in items)
    )
    return {item: each.value for item, each in zip(items, found, strict=True) if each.value}


def _free(own: Sequence[Stock]) -> Mapping[str, int]:
    """What is free in this region, by item."""
    found: dict[str, int] = {}
    for each in own:
        found[each.item] = found.get(each.item, 0) + each.free
    return found


def _places(names: Names, site_id: UUID | None, area: str | None) -> Sequence[tuple[UUID, str]]:
    """Open sites where goods would be of use to those who wait for them."""
    return [
        (each, name)
        for each, name in names.open_sites
        if (site_id is None or each == site_id)
        and (area is None or names.sites[each].area.startswith(area))
    ]


def _offers(visit: Visit, names: Names, others: Sequence[StockAway]) -> Sequence[tuple[str, str]]:
    """What other regions have free, to choose from: how much, and how old that word is."""
    free: dict[tuple[str, str], list[StockAway]] = {}
    for each in others:
        if each.free > 0:
            free.setdefault((each.item, each.region), []).append(each)
    offers = []
    for (item, region), rows in sorted(free.items()):
        pieces = visit.say.number(sum(row.free for row in rows))
        age = visit.say.age(min(row.as_of for row in rows))
        text = f"{names.item(item)} · {region} · {pieces} · {visit.say('as_of')} {age}"
        offers.append((f"{region} {item}", text))
    return offers


async def _one(
    visit: Visit,
    shipment_id: UUID,
    status: int = 200,
    wrong: str | None = None,
    form: Form | None = None,
    key: UUID | None = None,
) -> Response:
    shipment, names = await asyncio.gather(visit.shipments.shipment(shipment_id), names_of(visit))
    is_ours = shipment.from_region == visit.desk.settings.region
    lots: Mapping[str, Lots] = {}
    if is_ours and shipment.state == "preparing":
        items = sorted({line.item for line in shipment.lines})
        lots = await _lots_of(visit, items, shipment.from_site_id)
    return visit.page(
        "shipment",
        status,
        shipment=shipment,
        names=names,
        is_ours=is_ours,
        lots=lots,
        values=form.values if form else {},
        reasons=COUNT_REASONS,
        key=key or uuid4(),
        wrong=wrong,
    )
