"""Stock: what is on hand, held and free here, what others have; receiving and correcting."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_console import i18n
from aidmesh_console.clients.inventory_views import Expected, Stock
from aidmesh_console.clients.link import ClientError
from aidmesh_console.forms import Form, as_text, filled
from aidmesh_console.guest import short
from aidmesh_console.pages.common import (
    ADJUST_REASONS,
    REVERSE_REASONS,
    SETTLE_REASONS,
    Names,
    names_of,
)
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Reader = Annotated[Visit, Depends(visitor(Act.SEE_STOCK))]
Keeper = Annotated[Visit, Depends(visitor(Act.CHANGE_STOCK))]

FILTERS: Final = ("site", "item", "lots", "after", "purchase")
"""What the address asks for, of a form too: whose stock, how far lots and what does not fit, and
which purchase goods came for."""
KEPT: Final = ("site", "item")
"""What of it holds on after a form was taken in."""
_LOT_VERSION: Final = re.compile(r"([0-9a-f-]{36}) ([1-9][0-9]{0,8})")
"""What the desk sends of a lot whose terms it showed."""


@routes.get("/stock")
async def show(visit: Reader) -> Response:
    """Own stock by item and site, and other regions' with its age."""
    return await _page(visit)


@routes.post("/stock/receive")
async def receive(form: Posted, visit: Keeper) -> Response:
    """Goods came in and were counted."""
    last_on = form.day("expiry")
    line = {
        "item": form.text("item", needed=True),
        "quantity": form.whole("quantity", needed=True),
        "batch": form.text("batch"),
        "expiry": as_text(last_on),
        "unit_value_minor": form.money("value", "UAH"),
    }
    receipt = {
        "site_id": as_text(form.uuid("site_id", needed=True)),
        "received_on": as_text(form.day("received_on") or i18n.today()),
        "purchase_id": as_text(form.uuid("purchase_id")),
    }
    if form.faults:
        return await _page(visit, form.values, form.faults, "receive", status=422)
    body = {**filled(receipt), "lines": [filled(line)]}
    try:
        await visit.inventory.receive(body, form.key)
    except ClientError as error:
        return await _failed(visit, form, error, "receive")
    is_over = last_on is not None and last_on < i18n.today()
    said = "received_expired" if is_over else "received"
    return visit.go("/stock", said=said, site=form.uuid("site_id"))


@routes.post("/stock/adjust")
async def adjust(form: Posted, visit: Keeper) -> Response:
    """The shelf says something else than the book."""
    body = {
        "lot_id": as_text(form.uuid("lot_id", needed=True)),
        "kind": "count",
        "quantity": form.whole("counted", needed=True, least=0),
        "reason": form.text("reason", needed=True),
    }
    if body["reason"] is not None and body["reason"] not in ADJUST_REASONS:
        form.faults["reason"] = "choice"
    if form.faults:
        return await _page(visit, form.values, form.faults, "adjust", status=422)
    try:
        await visit.inventory.adjust(body, form.key)
    except ClientError as error:
        return await _failed(visit, form, error, "adjust")
    return _back(visit, "adjusted")


@routes.post("/stock/expiry")
async def expiry(form: Posted, visit: Keeper) -> Response:
    """A lot expires on another day than was entered, or on none."""
    found = _LOT_VERSION.fullmatch(form.text("lot", needed=True) or "")
    day = form.day("expiry")
    if found is None:
        form.faults["lot"] = "choice"
    if found is None or form.faults:
        return await _page(visit, form.values, form.faults, "expiry", status=422)
    body = {"version": int(found[2]), "reason": "entry_error", "expiry": as_text(day)}
    try:
        await visit.inventory.correct_lot(UUID(found[1]), body, form.key)
    except ClientError as error:
        return await _failed(visit, form, error, "expiry")
    return _back(visit, "expiry_corrected")


@routes.post("/stock/reverse")
async def reverse(form: Posted, visit: Keeper) -> Response:
    """Goods were entered by mistake: the whole receipt goes out of the books."""
    receipt_id, reason = form.uuid("receipt_id", needed=True), form.text("reason", needed=True)
    if reason is not None and reason not in REVERSE_REASONS:
        form.faults["reason"] = "choice"
    if receipt_id is None or reason is None or form.faults:
        return await _page(visit, form.values, form.faults, "reverse", status=422)
    try:
        await visit.inventory.reverse_receipt(receipt_id, reason, form.key)
    except ClientError as error:
        return await _failed(visit, form, error, "reverse")
    return _back(visit, "receipt_reversed")


@routes.post("/stock/settle/{discrepancy_id}")
async def settle(discrepancy_id: UUID, form: Posted, visit: Keeper) -> Response:
    """Somebody looked at what did not fit the books, and put it right."""
    reason = form.text("reason")
    if reason is None or reason not in SETTLE_REASONS:
        return await _page(visit, wrong=visit.say("fault.reason"), status=422)
    try:
        await visit.inventory.settle(discrepancy_id, reason, form.key)
    except ClientError as error:
        return await _failed(visit, form, error, "")
    return _back(visit, "settled")


def _back(visit: Visit, said: str) -> Response:
    return visit.go("/stock", said=said, **{name: visit.asked.get(name) or None for name in KEPT})


async def _failed(visit: Visit, form: Form, error: ClientError, opened: str) -> Response:
    status, key = form.after(error)
    wrong = visit.problem(error)
    return await _page(visit, form.values, {}, opened, wrong=wrong, status=status, key=key)


async def _page(
    visit: Visit,
    values: Mapping[str, str] | None = None,
    faults: Mapping[str, str] | None = None,
    opened: str | None = None,
    *,
    wrong: str | None = None,
    status: int = 200,
    key: UUID | None = None,
) -> Response:
    site_id, item = visit.asked_id("site"), visit.asked.get("item") or None
    stock, names = await asyncio.gather(visit.hear(visit.inventory.stock(site_id)), names_of(visit))
    lots = unfit = None
    purchases = _Purchases()
    if visit.may(Act.CHANGE_STOCK):
        purchases = await _purchases(visit, names, item, visit.asked_id("purchase"))
        unfit = await visit.hear(visit.inventory.discrepancies(visit.asked.get("after")))
        if site_id or item:
            after = visit.asked.get("lots")
            lots = (await visit.hear(visit.inventory.lots(site_id, item, after))).value
    own = [each for each in (stock.value.own if stock.value else ()) if item in {None, each.item}]
    others = [
        each for each in (stock.value.others if stock.value else ()) if item in {None, each.item}
    ]
    return visit.page(
        "stock",
        status,
        names=names,
        stock=stock,
        own=_by_item(own, names),
        others=sorted(
            (each for each in others if each.free > 0),
            key=lambda each: (names.item(each.item), each.region),
        ),
        lots=None if lots is None else lots.rows,
        more_lots=None if lots is None else lots.next,
        asked={name: text for name in FILTERS if (text := visit.asked.get(name))},
        unfit=unfit,
        purchases=purchases,
        settle_reasons=SETTLE_REASONS,
        site=site_id,
        item=item,
        values=values or {},
        faults=faults or {},
        opened=opened or ("receive" if purchases.chosen else None),
        wrong=wrong,
        reasons=ADJUST_REASONS,
        reverse_reasons=REVERSE_REASONS,
        keys={each: key or uuid4() for each in ("receive", "adjust", "expiry", "reverse")},
    )


@dataclass(frozen=True, slots=True)
class _Purchases:
    """What goods can be received for.

    Attributes:
        choices: purchases by id, with what is still to come of them, whose money, and the number.
        chosen: the one that is asked for, also if nothing more is expected of it.
        more: whether there are others; those of the goods that the page shows are all here.
        error: why nobody can say.
    """

    choices: Sequence[tuple[UUID, str]] = ()
    more: bool = False
    error: ClientError | None = None
    chosen: UUID | None = None


async def _purchases(
    visit: Visit, names: Names, item: str | None, chosen: UUID | None
) -> _Purchases:
    heard = await visit.hear(visit.inventory.expected())
    more = heard.value is not None and heard.value.next is not None
    if more and item is not None:
        heard = await visit.hear(visit.inventory.expected(item))
    lines: dict[UUID, Sequence[Expected]] = {}
    for row in heard.value.rows if heard.value else ():
        lines[row.purchase_id] = (*lines.get(row.purchase_id, ()), row)
    if chosen is not None:
        heard = await visit.hear(visit.inventory.lines_of(chosen))
        lines |= {chosen: heard.value.rows} if heard.value and heard.value.rows else {}
    if not lines:
        return _Purchases((), more, heard.error)
    codes = (await visit.hear(visit.reporting.grants())).value or {}
    order = visit.say.order
    choices = []
    for purchase_id, rows in lines.items():
        came = ", ".join(sorted((_came(visit, names, row) for row in rows), key=order))
        grant = codes.get(rows[0].grant_id) or short(rows[0].grant_id)
        choices.append((purchase_id, f"{came} · {grant} · {short(purchase_id)}"))
    by_name = sorted(choices, key=lambda each: order(each[1]))
    return _Purchases(by_name, more, chosen=chosen if chosen in lines else None)


def _came(visit: Visit, names: Names, row: Expected) -> str:
    return visit.say(
        "stock.came_of",
        item=names.item(row.item),
        received=visit.say.number(row.received),
        ordered=visit.say.number(row.ordered),
    )


@dataclass(frozen=True, slots=True)
class _Group:
    """One item in this region, and the sites that have some of it."""

    item: str
    on_hand: int
    held: int
    free: int
    expiry: date | None
    sites: Sequence[Stock]


def _by_item(rows: Sequence[Stock], names: Names) -> Sequence[_Group]:
    """Stock summed up by item, by name; sites that have none of it are left out."""
    groups: dict[str, list[Stock]] = {}
    for row in rows:
        groups.setdefault(row.item, []).append(row)
    return [
        _Group(
            item,
            sum(row.on_hand for row in found),
            sum(row.held for row in found),
            sum(row.free for row in found),
            min((row.expiry for row in found if row.expiry and row.on_hand), default=None),
            sorted((row for row in found if row.on_hand), key=lambda row: names.site(row.site_id)),
        )
        for item, found in sorted(groups.items(), key=lambda each: names.item(each[0]))
    ]
