"""Needs that one region refers to another: each is served once, by one of them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from aidmesh.quiet import RegionProbe
from aidmesh.verification.outcome import Outcome, outcome

_SERVING: Final = frozenset({"requested", "approved", "held", "ready", "waitlisted", "fulfilled"})


class Referred(NamedTuple):
    """A need of one region that another is to serve, as it knows it."""

    need_id: UUID
    from_region: str
    to_region: str
    status: str
    state: str


class Taken(NamedTuple):
    """What was made of an offer; `state` is None where nothing was."""

    from_region: str
    status: str
    state: str | None
    pending: bool


async def referrals_match(
    probes: Sequence[RegionProbe], elsewhere: Mapping[str, Collection[str]]
) -> Outcome:
    """Each need is served in one region, and whoever is referred has a need where they went.

    Args:
        elsewhere: by region, its peers that do not run here.
    """
    offers: dict[UUID, Referred] = {}
    taken: dict[str, dict[UUID, Taken]] = {}
    alone: list[str] = []
    for probe in probes:
        conn = probe.connections["intake"]
        for row in await conn.fetch(
            "SELECT r.id, r.need_id, r.to_region, r.status, n.state FROM referral_out r "
            "JOIN need n ON n.id = r.need_id"
        ):
            offers[row["id"]] = Referred(
                row["need_id"], probe.name, row["to_region"], row["status"], row["state"]
            )
        rows = await conn.fetch(
            "SELECT r.id, r.from_region, r.status, n.state, COALESCE(n.pending, false) "
            "FROM referral_in r LEFT JOIN need n ON n.id = r.need_id"
        )
        taken[probe.name] = {row[0]: Taken(*tuple(row)[1:]) for row in rows}
        alone += [
            f"need {row['id']} of {probe.name} is referred to nobody"
            for row in await conn.fetch(
                "SELECT id FROM need n WHERE state = 'referred' AND NOT EXISTS "
                "(SELECT FROM referral_out r WHERE r.need_id = n.id AND r.status = 'confirmed')"
            )
        ]
    return outcome(
        "mesh.referrals_match",
        "no need is served in two regions, and every referred need has its own where it went",
        [*alone, *odd_referrals(offers, taken, elsewhere)],
    )


def odd_referrals(
    offers: Mapping[UUID, Referred],
    taken: Mapping[str, Mapping[UUID, Taken]],
    elsewhere: Mapping[str, Collection[str]],
) -> list[str]:
    """What is wrong with referrals whose both ends run here, once it is quiet.

    Args:
        taken: by region, what it knows of offers of others.
        elsewhere: by region, its peers that do not run here.
    """
    odd: list[str] = []
    for referral_id, offer in offers.items():
        if offer.to_region not in taken:
            if offer.to_region not in elsewhere[offer.from_region]:
                odd.append(f"referral {referral_id} went to {offer.to_region}, which nobody knows")
            continue
        there = taken[offer.to_region].get(referral_id)
        is_theirs = there is not None and there.state is not None and not there.pending
        if there is not None and there.from_region != offer.from_region:
            odd.append(f"referral {referral_id} is taken for {there.from_region}'s")
        if offer.status == "confirmed":
            if offer.state != "referred":
                odd.append(f"need {offer.need_id} was referred and is {offer.state}")
            if there is None or there.state is None:
                odd.append(f"need {offer.need_id} has no need in {offer.to_region}")
            elif there.pending and there.state not in ("cancelled", "declined", "expired"):
                odd.append(f"need {offer.need_id} was never let go of in {offer.to_region}")
        elif is_theirs:
            odd.append(f"need {offer.need_id} is served in two regions")
        elif offer.status != "offered" and there is not None and there.state in _SERVING:
            odd.append(f"need {offer.need_id} is still held in {offer.to_region}")
    known = set(offers)
    for name, by_id in taken.items():
        odd += [
            f"referral {each} to {name} is unknown to {there.from_region}"
            for each, there in by_id.items()
            if there.from_region in taken and each not in known
        ]
    return odd
