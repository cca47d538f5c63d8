"""Kinds of need: what each takes, costs and is limited to; new ones, new prices, and their end."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Final

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console import i18n
from aidmesh_console.clients import kinds as client
from aidmesh_console.clients.catalogue_views import Kind
from aidmesh_console.clients.kinds import KindBody
from aidmesh_console.clients.link import ClientError, Refused
from aidmesh_console.forms import CODE, Form
from aidmesh_console.pages.common import CURRENCIES, Names, names_of, said_after
from aidmesh_console.pages.kind_forms import (
    COLLECT_DAYS,
    FOR_WHOM,
    ITEMS_MAX,
    LIMIT_PER,
    SENSITIVITIES,
    WITHIN_DAYS,
    kind_of,
    priced,
    unpriced,
)
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Reader = Annotated[Visit, Depends(visitor())]
Leader = Annotated[Visit, Depends(visitor(Act.CHANGE_CATALOGUE))]

LIST: Final = "/kinds"
NEW: Final = "/new-kind"
STEPS: Final = {
    "price": (Act.CHANGE_CATALOGUE, "price_set"),
    "drop-price": (Act.CHANGE_CATALOGUE, "price_dropped"),
    "end": (Act.CHANGE_CATALOGUE, "kind_ended"),
    "offer": (Act.CHANGE_CATALOGUE, "kind_offered"),
}
"""By step of a kind: who may take it, and what is said afterwards."""
USUAL: Final[Mapping[str, str]] = {
    "sensitivity": "none",
    "within_days": str(WITHIN_DAYS),
    "collect_days": str(COLLECT_DAYS),
    "currency": "UAH",
}
"""What the form of a new kind begins with, besides whom it is for."""
_NAMES: Final = {each: f"name_{each}" for each in i18n.LANGUAGES}


@routes.get(LIST)
async def show(visit: Reader) -> Response:
    """The catalogue by programme, and what has ended."""
    catalogue, names = await asyncio.gather(
        visit.hear(visit.intake.catalogue()), names_of(visit, kinds=True)
    )
    groups: dict[str, list[Kind]] = {each: [] for each in names.programmes}
    for kind in _by_name(names.offered.values(), names):
        groups.setdefault(kind.programme, []).append(kind)
    return visit.page(
        "kinds",
        catalogue=catalogue,
        names=names,
        groups={programme: found for programme, found in groups.items() if found},
        ended=_by_name((each for each in names.kinds.values() if not each.active), names),
    )


@routes.get(LIST + "/{code}")
async def one(code: str, visit: Reader) -> Response:
    """One kind with all its prices."""
    return await _page(visit, code)


@routes.post(LIST + "/{code}/{step}")
async def act(code: str, step: str, form: Posted, visit: Reader) -> Response:
    """Set a dated price or drop one to come, end a kind, or offer it again."""
    said = said_after(visit, STEPS, step)
    kind = await _kind(visit, code)
    version = form.whole("version", needed=True)
    changed = _change_of(step, kind, form)
    if form.faults or version is None:
        return await _page(visit, code, 422, step, form=form)
    try:
        await client.change(visit.intake.link, code, version, changed)
    except ClientError as error:
        status, _ = form.after(error)
        return await _page(visit, code, status, step, visit.problem(error), form)
    return visit.go(f"{LIST}/{code}", said=said)


@routes.get(NEW)
async def begin(visit: Leader) -> Response:
    """The form of a new kind."""
    return await _new(visit)


@routes.post(NEW)
async def add(form: Posted, visit: Leader) -> Response:
    """Enter a new kind of need."""
    kind = kind_of(form)
    if form.faults:
        wrong = visit.say("register.faults", len(form.faults))
        return await _new(visit, 422, wrong, form)
    try:
        is_new = await client.add(visit.intake.link, kind)
    except ClientError as error:
        if isinstance(error, Refused):
            fields = (each.field.split(".")[-1] for each in error.faults)
            form.faults.update({_NAMES.get(each, each): "refused" for each in fields})
        return await _new(visit, form.after(error)[0], visit.problem(error), form)
    if not is_new:
        form.faults["code"] = "refused"
        return await _new(visit, 409, visit.refusal("code-taken"), form)
    return visit.go(f"{LIST}/{kind['code']}", said="kind_added")


def _change_of(step: str, kind: Kind, form: Form) -> Callable[[KindBody], KindBody]:
    """What a step makes of the kind as it is; what is missing is in `form.faults`."""
    if step in {"end", "offer"}:
        return lambda now: {**now, "active": step == "offer"}
    if kind.money is None:
        raise Problem(NOT_FOUND)
    day = form.day("from_on", needed=True)
    if step == "drop-price":
        if day is not None and day <= i18n.today():
            form.faults["from_on"] = "begun"
        return lambda now: now if day is None else unpriced(now, day)
    amount = form.money("price", kind.money.currency, needed=True)
    return lambda now: now if day is None or amount is None else priced(now, day, amount)


async def _kind(visit: Visit, code: str) -> Kind:
    if not CODE.fullmatch(code):
        raise Problem(NOT_FOUND)
    return await visit.intake.kind(code)


async def _page(
    visit: Visit,
    code: str,
    status: int = 200,
    opened: str = "",
    wrong: str | None = None,
    form: Form | None = None,
) -> Response:
    kind, names = await asyncio.gather(_kind(visit, code), names_of(visit, kinds=True))
    today = i18n.today()
    return visit.page(
        "kind",
        status,
        kind=kind,
        names=names,
        now=kind.money.price_on(today) if kind.money else None,
        opened=opened,
        wrong=wrong,
        values=form.values if form else {},
        faults=form.faults if form else {},
    )


async def _new(
    visit: Visit, status: int = 200, wrong: str | None = None, form: Form | None = None
) -> Response:
    names = await names_of(visit, kinds=True)
    kinds = names.kinds.values()
    return visit.page(
        "new_kind",
        status,
        names=names,
        items=sorted(((each, names.item(each)) for each in names.items), key=lambda each: each[1]),
        rows=range(ITEMS_MAX),
        languages=i18n.LANGUAGES,
        sensitivities=SENSITIVITIES,
        for_whom=FOR_WHOM,
        limit_per=LIMIT_PER,
        currencies=CURRENCIES,
        places=sorted({kind.capacity.code for kind in kinds if kind.capacity}),
        categories=sorted({kind.money.cost_category for kind in kinds if kind.money}),
        ticked=form.many("for_whom") if form else ("person", "household"),
        values=form.values if form else {**USUAL, "price_from": i18n.today().isoformat()},
        faults=form.faults if form else {},
        wrong=wrong,
    )


def _by_name(kinds: Iterable[Kind], names: Names) -> list[Kind]:
    return sorted(kinds, key=lambda kind: names.kind(kind.code))
