"""Goods: taken in, asked of other regions, sent, counted. Beds and slots are made at the start."""

import random
from datetime import UTC, datetime, timedelta
from typing import Final

from aidmesh.chaos.book import Json, Op, Status, rows, text
from aidmesh.chaos.load.cases import Region
from aidmesh.chaos.load.client import Client
from aidmesh.chaos.load.firsts import Firsts
from aidmesh_chassis.auth import Role

ITEMS: Final = ("food_parcel", "hygiene_kit")
BEDS: Final = 3
ROOMIER: Final = 5
RECEIVED_MAX: Final = 5
SLOTS: Final = 12
SHIPPED_MAX: Final = 4
MOVED_MAX: Final = 3


Trucks = dict[str, list[tuple[str, Json]]]
"""What drives to each region, by shipment: the paper that goes with the goods."""


class Keeper:
    """The stores of one region."""

    def __init__(self, client: Client, region: Region, trucks: Trucks, rng: random.Random) -> None:
        self._client = client
        self._region = region
        self._trucks = trucks
        self._rng = rng
        self._slots = 0
        self._beds = 0
        self._firsts = Firsts(
            client,
            {
                "ask_goods": self._ask,
                "accept_goods": self._answer,
                "dispatch": self._dispatch,
                "take_manifest": self._unload,
                "count": self._count,
                "move": self._move,
            },
        )

    async def set_up(self) -> None:
        """Open a center and a shelter, with goods, beds and appointments."""
        region = self._region
        region.center = text((await self._site("center")).answer, "site_id")
        region.shelter = text((await self._site("shelter")).answer, "site_id")
        for item in ITEMS:
            names = dict.fromkeys(("uk", "en", "de"), item)
            body: Json = {"code": item, "names": names, "unit": "piece", "tracking": "lot"}
            await self._do("item", "/items", body)
            await self._receive(item, 10)
        for _ in range(BEDS * (ROOMIER if region.roomy else 1)):
            await self._bed()
        for _ in range(SLOTS):
            await self._slot()

    async def act(self) -> None:
        """Do what a storekeeper does next: once what leads to a shipment, then as chance has it."""
        if await self._firsts.act():
            return
        chance = self._rng.random()
        if chance < 0.2:
            most = RECEIVED_MAX * (ROOMIER if self._region.roomy else 1)
            await self._receive(self._rng.choice(ITEMS), self._rng.randint(1, most))
        elif chance < 0.25:
            await self._slot()
        elif chance < 0.28:
            await self._bed()
        elif chance < 0.32:
            await self._move()
        elif chance < 0.40:
            await self._ask()
        elif chance < 0.42:
            await self._withdraw()
        elif chance < 0.56:
            await self._answer()
        elif chance < 0.64:
            await self._ship_promised()
        elif chance < 0.78:
            await self._dispatch()
        elif chance < 0.84:
            await self._unload()
        elif chance < 0.87:
            await self._settle_difference()
        else:
            await self._count()

    async def _site(self, site_type: str) -> Op:
        body: Json = {
            "code": f"{self._region.name}-{site_type}",
            "name": site_type,
            "area": self._region.area,
            "site_type": site_type,
        }
        return await self._do("site", "/sites", body)

    async def _bed(self) -> None:
        self._beds += 1
        bed: Json = {
            "site_id": self._region.shelter,
            "label": f"A{self._beds}",
            "room": "A",
            "code": "shelter",
        }
        await self._do("bed", "/beds", bed)

    async def _slot(self) -> None:
        self._slots += 1
        starts = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        body: Json = {
            "site_id": self._region.center,
            "code": "counseling",
            "professional": f"p-{self._slots}",
            "starts_at": (starts + timedelta(days=2)).isoformat(),
            "minutes": 50,
            "seats": 2,
        }
        await self._do("slot", "/slots", body)

    async def _receive(self, item: str, quantity: int) -> None:
        lines = [{"item": item, "quantity": quantity}]
        body: Json = {"site_id": self._region.center, "lines": lines}
        await self._do("receive", "/receipts", body, item=item, quantity=str(quantity))

    async def _move(self) -> None:
        """Take goods from the center to the shelter or back; there may be fewer free by then."""
        sites = [self._region.center, self._region.shelter]
        self._rng.shuffle(sites)
        lot = await self._lot(self._rng.choice(ITEMS), sites[0])
        if lot is None:
            return
        quantity = self._rng.randint(1, min(MOVED_MAX, int(str(lot["on_hand"]))))
        body: Json = {"quantity": quantity, "to_site_id": sites[1]}
        lot_id = text(lot, "lot_id")
        facts = {"lot": lot_id, "quantity": str(quantity)}
        await self._do("move", f"/lots/{lot_id}:move", body, **facts)

    async def _ask(self) -> None:
        item, owner = self._rng.choice(ITEMS), self._rng.choice(list(self._region.peers))
        quantity = self._rng.randint(1, SHIPPED_MAX)
        body: Json = {
            "from_region": owner,
            "item": item,
            "quantity": quantity,
            "to_site_id": self._region.center,
            "reason": "waiting_needs",
        }
        await self._do("ask_goods", "/transfers", body, item=item, quantity=str(quantity))

    async def _answer(self) -> None:
        """Accept what another region asks for and pack it, or refuse."""
        query = {"direction": "out", "state": "asked"}
        page = await self._client.get("inventory", "/transfers", Role.LOGISTICIAN, query)
        asks = rows(page or {}, "rows")
        if not asks:
            return
        ask = self._rng.choice(asks)
        transfer, item = text(ask, "transfer_id"), text(ask, "item")
        lot = await self._lot(item)
        if lot is None:
            body: Json = {"reason": "own_needs"}
            await self._do("refuse_goods", f"/transfers/{transfer}:refuse", body, transfer=transfer)
            return
        quantity = min(int(str(ask["quantity"])), int(str(lot["on_hand"])))
        body = {"quantity": quantity}
        path = f"/transfers/{transfer}:accept"
        facts = {"transfer": transfer, "quantity": str(quantity)}
        done = await self._do("accept_goods", path, body, **facts)
        if done.status is not Status.ACCEPTED:
            return
        await self._ship(transfer, text(lot, "lot_id"), quantity)

    async def _ship_promised(self) -> None:
        """Pack what a rule promised."""
        query = {"direction": "out", "state": "accepted"}
        page = await self._client.get("inventory", "/transfers", Role.LOGISTICIAN, query)
        asks = [
            each
            for each in rows(page or {}, "rows")
            if each["by_rule"] and not (each["sent"] or each["prepared"])
        ]
        if not asks:
            return
        ask = self._rng.choice(asks)
        lot = await self._lot(text(ask, "item"))
        if lot is None:
            return
        quantity = min(int(str(ask["accepted"])), int(str(lot["on_hand"])))
        await self._ship(text(ask, "transfer_id"), text(lot, "lot_id"), quantity)

    async def _ship(self, transfer: str, lot: str, quantity: int) -> None:
        later = 1 if quantity > 1 and self._rng.random() < 0.3 else 0
        lines = [{"lot_id": lot, "quantity": quantity - later}]
        body: Json = {"transfer_id": transfer, "lines": lines}
        op = await self._do("ship", "/shipments", body, transfer=transfer)
        if later and op.status is Status.ACCEPTED:
            await self._add(text(op.answer, "shipment_id"), lot, later)

    async def _add(self, shipment: str, lot: str, quantity: int) -> None:
        body: Json = {"lines": [{"lot_id": lot, "quantity": quantity}]}
        path = f"/shipments/{shipment}:add-lines"
        await self._do("add_lines", path, body, shipment=shipment)

    async def _withdraw(self) -> None:
        """What was asked for is not needed any more; what has left comes all the same."""
        page = await self._client.get(
            "inventory", "/transfers", Role.LOGISTICIAN, {"direction": "in"}
        )
        asks = [each for each in rows(page or {}, "rows") if each["state"] in ("asked", "accepted")]
        if asks:
            transfer = text(self._rng.choice(asks), "transfer_id")
            path = f"/transfers/{transfer}:withdraw"
            await self._do("withdraw_goods", path, {}, transfer=transfer)

    async def _lot(self, item: str, site_id: str | None = None) -> Json | None:
        query = {"item": item, "site_id": site_id or self._region.center}
        page = await self._client.get("inventory", "/lots", Role.LEAD, query)
        found = [
            lot
            for lot in rows(page or {}, "rows")
            if int(str(lot["on_hand"])) > int(str(lot.get("held") or 0))
        ]
        return self._rng.choice(found) if found else None

    async def _dispatch(self) -> None:
        shipment = await self._shipment("out", "preparing")
        if shipment is None:
            return
        shipment_id = text(shipment, "shipment_id")
        path = f"/shipments/{shipment_id}:dispatch"
        op = await self._do("dispatch", path, {}, shipment=shipment_id)
        if op.status is Status.REFUSED:  # what was packed was promised to somebody meanwhile
            path = f"/shipments/{shipment_id}:cancel"
            await self._do("cancel_shipment", path, {}, shipment=shipment_id)
        elif op.status is Status.ACCEPTED:
            await self._drive(shipment_id, text(shipment, "to_region"))

    async def _drive(self, shipment_id: str, to: str) -> None:
        """Send the paper along; where links are cut it is there before the event."""
        path = f"/shipments/{shipment_id}/manifest"
        paper = await self._client.get("inventory", path, Role.LOGISTICIAN)
        if paper is not None:
            body: Json = {"texts": paper["texts"]}
            self._trucks.setdefault(to, []).append((shipment_id, body))

    async def _unload(self) -> None:
        """Take in by its paper what has arrived, whether or not its event has."""
        arrived = self._trucks.get(self._region.name)
        if arrived:
            shipment_id, body = arrived.pop()
            path = "/shipments:take-manifest"
            await self._do("take_manifest", path, body, shipment=shipment_id)

    async def _count(self) -> None:
        """Count all of a shipment that was not counted yet, or a line of it."""
        shipment = await self._shipment("in", self._rng.choice(("dispatched", "receiving")))
        if shipment is None:
            return
        shipment_id = text(shipment, "shipment_id")
        left = [line for line in rows(shipment, "lines") if line["good"] is None]
        if self._rng.random() < 0.5:
            left = left[:1]
        counted = [self._counted(line) for line in left]
        await self._do(
            "count",
            f"/shipments/{shipment_id}:count",
            {"lines": counted},
            shipment=shipment_id,
            lines=" ".join(str(line["line_id"]) for line in counted),
        )

    def _counted(self, line: Json) -> Json:
        """Mostly what was sent; some is damaged or missing, or there is more."""
        sent, chance = int(str(line["quantity"])), self._rng.random()
        if chance < 0.1:
            return {"line_id": line["line_id"], "good": sent - 1, "damaged": 1, "reason": "wet"}
        if chance < 0.15:
            return {"line_id": line["line_id"], "good": sent - 1, "reason": "missing"}
        if chance < 0.2:
            return {"line_id": line["line_id"], "good": sent + 1, "reason": "more_came"}
        return {"line_id": line["line_id"], "good": sent}

    async def _settle_difference(self) -> None:
        page = await self._client.get("inventory", "/discrepancies", Role.LEAD)
        found = rows(page or {}, "rows")
        if found:
            difference = text(self._rng.choice(found), "discrepancy_id")
            path = f"/discrepancies/{difference}:settle"
            body: Json = {"reason": "looked_at"}
            await self._do("settle_difference", path, body, discrepancy=difference)

    async def _shipment(self, direction: str, state: str) -> Json | None:
        query = {"direction": direction, "state": state}
        page = await self._client.get("inventory", "/shipments", Role.LOGISTICIAN, query)
        found = rows(page or {}, "rows")
        return self._rng.choice(found) if found else None

    async def _do(self, what: str, path: str, body: Json, **facts: str) -> Op:
        return await self._client.do(what, "inventory", path, Role.LOGISTICIAN, body, **facts)
