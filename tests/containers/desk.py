"""Staff who work through the published ports while containers die: they send a call again. And
somebody at the desk, who fills in its forms."""

import asyncio
import re
import time
from typing import Any
from uuid import UUID, uuid4

import httpx

from support.running import Json, Staff
from support.visitor import Visitor
from support.waiting import eventually

PATIENCE_S = 300.0
RETRY_S = 0.2
BUSY = frozenset({409, 423, 429})
FAILED = 500
PERSON = {
    "chosen_name": "Канарка Світла",
    "contact": {
        "channel": "sms",
        "address": "+380671234599",
        "hours_from": "00:00",
        "hours_to": "23:59",
        "wording": "neutral",
        "safe": True,
    },
    "consents": {"contact": "2024-01-01"},
    "languages": ["uk"],
    "area": "UA80",
}
LOGIN = "olena"
PASSWORD = "long enough a password"
NEED = re.compile(r'href="/needs/([0-9a-f-]{36})"')
CANARIES = ("Канарка Світла", "380671234599", "canary-code-")
"""What nobody may find in a log."""


class PatientStaff(Staff):
    """As `Staff`; a call that is not answered is sent again under its key. `resent` counts these,
    `longest_s` is how long the most delayed answer took."""

    resent: int = 0
    longest_s: float = 0.0

    async def call(
        self,
        role: str,
        method: str,
        service: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        status: int | None = None,
        **options: Any,
    ) -> Any:
        """As of `Staff`, for as long as patience lasts."""
        key = key or str(uuid4())
        began = time.monotonic()
        while True:
            try:
                return await super().call(
                    role, method, service, path, body, key=key, status=status, **options
                )
            except httpx.TransportError:
                if time.monotonic() - began > PATIENCE_S:
                    raise
            except AssertionError as error:  # another answer than wanted
                later = any(f": {code} " in str(error) for code in (*BUSY, *range(FAILED, 600)))
                if not later or time.monotonic() - began > PATIENCE_S:
                    raise
            finally:
                self.longest_s = max(self.longest_s, time.monotonic() - began)
            self.resent += 1
            await asyncio.sleep(RETRY_S)

    async def becomes(self, need_id: UUID, *states: str, deadline_s: float = PATIENCE_S) -> Json:
        """As of `Staff`, with its patience."""
        return await super().becomes(need_id, *states, deadline_s=deadline_s)

    async def ask_for(self, kind: str, **need: object) -> UUID:
        """Register somebody with details, who asks for one thing."""
        person = {**PERSON, "client_code": f"canary-code-{uuid4().hex[:10]}"}
        return await self.ask(kind, person, **need)


async def parcel(staff: PatientStaff, killed: asyncio.Event, at_work: asyncio.Event) -> None:
    """Somebody asks for a parcel, waits, is given it, by mistake, and is given it again.

    Args:
        staff: who does it.
        killed: waited for in the middle.
        at_work: set when the middle is reached.
    """
    site = await staff.site(f"center-{uuid4().hex[:8]}", area="UA80")
    await staff.item("food_parcel")
    place = {"place_area": "UA80", "site_id": str(site)}
    need = await staff.ask_for("food_parcel", **place)
    await staff.becomes(need, "waitlisted")
    at_work.set()
    await killed.wait()
    await staff.receive(site, "food_parcel", 1)
    await staff.becomes(need, "ready")
    held = await staff.reservation(need)
    assert held["state"] == "confirmed", held
    await staff.post("caseworker", "intake", f"/needs/{need}:told")
    reservation = held["reservation_id"]
    await staff.post("caseworker", "inventory", f"/reservations/{reservation}:issue")
    done = await staff.becomes(need, "fulfilled")
    assert done["service_no"] == 1
    undo = {"reason": "wrong_person"}
    await staff.post("caseworker", "inventory", f"/reservations/{reservation}:undo", undo)
    await staff.becomes(need, "ready")
    await staff.post("caseworker", "inventory", f"/reservations/{reservation}:issue")
    again = await staff.becomes(need, "fulfilled")
    assert again["service_no"] == 2


async def at_the_desk(staff: PatientStaff, visitor: Visitor) -> None:
    """Somebody is registered and given a hygiene kit, by the desk's own pages.

    Not a parcel, for which others wait after an upgrade.

    Args:
        staff: sees to it that there is one, and looks at what came of it.
        visitor: is signed in, as caseworker and logistician.
    """
    site = await staff.site(f"center-{uuid4().hex[:8]}", area="UA80")
    await staff.item("hygiene_kit")
    await staff.receive(site, "hygiene_kit", 1)
    home = await visitor.page("/")
    assert 'href="/hand-over"' in home, "Home shows nothing to somebody who hands over"
    shown = await visitor.send(
        "/register", "/register", client_code=f"canary-code-{uuid4().hex[:10]}",
        place_area="UA80", site_id=str(site), need_hygiene_kit="1",
    )  # fmt: skip
    asked = set(NEED.findall(shown))
    assert len(asked) == 1, f"one need was registered, and Needs shows {len(asked)}"
    need = UUID(asked.pop())
    await staff.becomes(need, "ready")
    reservation = (await staff.reservation(need))["reservation_id"]
    given = await visitor.send(f"/hand-over?site={site}", f"/hand-over/{reservation}/handover")
    assert f"/hand-over/{reservation}/undo" in given, "the desk does not say so"
    await staff.becomes(need, "fulfilled")
    assert str(need) not in await visitor.page("/needs")  # which shows what is not over
    await visitor.page(f"/needs/{need}")


async def arrives(staff: PatientStaff, allotment_id: str, amount_minor: int) -> Json:
    """Wait until an allotment is known as active where it was sent to."""

    async def there() -> Json | None:
        page = await staff.get("finance", "payments", "/allotments")
        found = [each for each in page["allotments"] if each["allotment_id"] == allotment_id]
        assert found, "it has not come"
        assert found[0]["received_minor"] == amount_minor, found[0]
        one: Json = found[0]
        return one

    found = await eventually(there, PATIENCE_S)
    assert isinstance(found, dict)
    return found
