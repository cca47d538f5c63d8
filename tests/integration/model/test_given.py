"""Aid entered after it was given, from the desk to the results: what grants bore is told there."""

from datetime import date
from uuid import UUID, uuid4

from aidmesh_chassis.auth import Role
from aidmesh_contracts.ids import GrantId
from aidmesh_reporting.domain.results import Cell, Line
from aidmesh_reporting.store import results
from integration.model.plays import Play

GRANT = GrantId(uuid4())


def enter(play: Play, quantity: int, **where: str) -> UUID:
    """Self-tests given to a number of unnamed people."""
    need = {
        "kind": "self_test", "quantity": quantity, "headcount": quantity, "place_area": "UA63",
        "given": True, **where,
    }  # fmt: skip
    body = {"for_whom": "group", "needs": [need]}
    answer = play.do(play.town.intake.post("/v1/requests", body, status=201))
    return UUID(answer["needs"][0]["need_id"])


def by_grant(play: Play) -> dict[Cell, Line]:
    """Results by area and grant, of all time."""

    async def read() -> dict[Cell, Line]:
        async with play.town.results.read() as conn:
            return await results.lines(conn, date(2020, 1, 1), date.max, ("area", "grant"))

    return play.do(read())


def test_outreach_counts_for_the_grant_that_bought_the_goods(play: Play) -> None:
    play.do(
        play.town.inventory.stock(
            play.site_id, 40, "hiv_self_test", grant_id=GRANT, unit_value_minor=30_000
        )
    )
    first = enter(play, 10, site_id=str(play.site_id))
    second = enter(play, 5, site_id=str(play.site_id))
    play.hear_all()

    line = by_grant(play)[Cell(area="UA80", grant=GRANT)]
    assert (line.services, line.contacts, line.amounts) == (2, 15, {"UAH": 450_000})
    assert by_grant(play).keys() == {Cell(area="UA80", grant=GRANT)}

    body = {"reason": "entered_by_mistake"}
    play.do(play.town.act(first, "reverse", Role.LEAD, body=body))
    play.hear_all()
    line = by_grant(play)[Cell(area="UA80", grant=GRANT)]
    assert (line.services, line.contacts, line.amounts) == (1, 5, {"UAH": 150_000})
    play.do(play.town.act(second, "reverse", Role.LEAD, body=body))
    play.hear_all()
    assert by_grant(play) == {}
