"""Routes about money that needs wait for, here and in other regions, and what could serve them."""

from uuid import UUID

from fastapi import Response

from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_contracts.ids import AllotmentId
from aidmesh_contracts.values import Code, Currency, Region
from aidmesh_payments.api.answers import WaitPage
from aidmesh_payments.api.desk import Desk, Finance, Minor, Reader
from aidmesh_payments.domain.waits import Key
from aidmesh_payments.handlers import waits as handlers
from aidmesh_payments.store.queries import grants as grant_queries


class WaitBody(Body):
    """What is waited for, and where."""

    region: Region
    programme: Code
    currency: Currency

    @property
    def key(self) -> Key:
        """The same for the handler."""
        return (self.region, self.programme, self.currency)


class ServeBody(WaitBody):
    """Which of what is proposed is sent.

    Attributes:
        allotment_id: whose free money it is; None for money that was not allotted.
        amount_minor: all that is proposed of it, or less.
    """

    grant_id: UUID
    budget_line: Code
    allotment_id: UUID | None = None
    amount_minor: Minor


def router(desk: Desk) -> Routes:
    """The routes."""
    routes = Routes(prefix="/v1", tags=["rebalancing"])

    @routes.get("/waits", response_model=WaitPage)
    async def list_waits(caller: Reader, page: PageQuery) -> dict[str, object]:
        """What is waited for in regions that are heard, and what of the own grants could serve it.

        `coming_minor` was sent for it or is proposed. An offer without `is_plain` is of money that
        its donor restricts in more than programmes: whether it fits, a person has to say. Those of
        a `holder` become proposals to it; their `as_of` and `link` are those of what it told.
        """
        async with desk.db.read() as conn:
            found = await handlers.standing(desk.office, conn, desk.link)
            kept, following = page.of(found.waits, lambda wait: wait.key)
            offers = [offer for offer in found.offers if offer.wait in kept]
            ids = list({offer.source.grant_id for offer in offers})
            codes = {row["id"]: row["code"] for row in await grant_queries.grants_of(conn, ids)}
        return {
            "waits": [
                {
                    "region": wait.region,
                    "programme": wait.programme,
                    "currency": wait.currency,
                    "amount_minor": wait.amount_minor,
                    "chosen_minor": wait.chosen_minor,
                    "coming_minor": found.coming.get(wait.key, 0),
                    "as_of": wait.as_of,
                    "link": desk.link(wait.region),
                    "offers": [
                        {
                            "grant_id": offer.source.grant_id,
                            "grant_code": codes.get(offer.source.grant_id),
                            "budget_line": offer.source.budget_line,
                            "allotment_id": offer.source.allotment_id,
                            "holder": offer.source.holder,
                            "amount_minor": offer.amount_minor,
                            "free_minor": offer.free_minor,
                            "is_plain": offer.source.is_plain,
                            "as_of": offer.source.as_of,
                            "link": None
                            if offer.source.holder is None
                            else desk.link(offer.source.holder),
                        }
                        for offer in offers
                        if offer.wait is wait
                    ],
                }
                for wait in kept
            ],
            "next": following,
        }

    @routes.post("/waits:serve", status_code=201)
    async def serve(body: ServeBody, caller: Finance, once: Once) -> Response:
        """Allot what is proposed, or propose to its holder that it goes there."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            allotment_id = None if body.allotment_id is None else AllotmentId(body.allotment_id)
            made = await handlers.serve(
                desk.office,
                tx,
                desk.link,
                body.key,
                (body.grant_id, body.budget_line, allotment_id),
                body.amount_minor,
                caller.staff_id,
            )
            return await once.answer(tx, 201, made)

    @routes.post("/waits:set-aside")
    async def set_aside(body: WaitBody, caller: Finance, once: Once) -> Response:
        """Have nothing proposed for it until more waits, or a week is over."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await handlers.set_aside(desk.office, tx, desk.link, body.key, caller.staff_id)
            return await once.answer(tx, 200, body.model_dump())

    return routes
