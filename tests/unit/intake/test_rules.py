"""Triage, prices, days, contacts: small rules against plain restatements of them."""

from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aidmesh_chassis.privacy import PersonalText
from aidmesh_contracts.days import KYIV, day_of
from aidmesh_intake.catalogue import packaged
from aidmesh_intake.domain.asks import AskError, approves_itself, ask_of
from aidmesh_intake.domain.dates import last_day, planned_day
from aidmesh_intake.domain.drafts import NeedDraft
from aidmesh_intake.domain.kinds import AutoApprove, ForWhom, Kind
from aidmesh_intake.domain.persons import Consents, Contact, Details, card_of
from aidmesh_intake.domain.rows import FIELDS, RowError, parse_row
from aidmesh_intake.domain.triage import ANSWERS, Band, band, floor_of, score
from aidmesh_intake.handlers.drafting import Wanted, draft_need
from aidmesh_notification.domain.hours import parse_hours
from unit.intake.builders import DAY, NOW

KINDS = {kind.code: kind for kind in packaged()}
DAYS = st.dates(date(2024, 1, 1), date(2024, 4, 30))


@given(st.dictionaries(st.sampled_from(sorted(ANSWERS)), st.booleans()))
def test_points_add_up_and_pep_tops_all(answers: dict[str, bool]) -> None:
    parcel = score(KINDS["food_parcel"].base_points, answers)
    assert parcel.points == 20 + sum(ANSWERS[name] for name, yes in answers.items() if yes)
    assert list(parcel.reasons) == sorted(name for name, yes in answers.items() if yes)
    pep = score(KINDS["pep_navigation"].base_points, {})
    every_yes = dict.fromkeys(ANSWERS, True)
    for kind in KINDS.values():
        if kind.code != "pep_navigation":
            assert score(kind.base_points, every_yes).points < pep.points
    with pytest.raises(KeyError):
        score(0, {"unheard_of": True})


@given(st.integers(0, 3000))
def test_bands_cover_every_score(points: int) -> None:
    floor, below = floor_of(band(points))
    assert floor <= points
    assert below is None or points < below
    assert band(1000) is Band.EMERGENCY


@given(DAYS, st.integers(1, 50))
def test_the_price_is_that_of_the_day(day: date, quantity: int) -> None:
    ask = ask_of(KINDS["travel"], 1, day)
    assert ask.money is not None
    assert ask.money.amount_minor == 150_000
    old = ask_of(KINDS["travel"], 2, date(2023, 12, 31))
    assert old.money is not None
    assert old.money.amount_minor == 200_000
    parcels = ask_of(KINDS["condoms_lubricant"], quantity, day)
    assert [line.quantity for line in parcels.stock] == [10 * quantity, 5 * quantity]


@given(st.integers(1, 10**15))
def test_aid_that_was_given_cost_what_it_cost(amount_minor: int) -> None:
    for code in ("counseling_paid", "financial_aid", "rent_support", "shelter_outside"):
        ask = ask_of(KINDS[code], 1, DAY, amount_minor=amount_minor, given=True)
        assert ask.money is not None
        assert ask.money.amount_minor == amount_minor
    units = ask_of(KINDS["financial_aid"], 14, DAY, given=True)
    assert units.money is not None
    assert units.money.amount_minor == 14 * 360_000
    with pytest.raises(AskError, match="out_of_range"):
        ask_of(KINDS["rent_support"], 1, DAY, amount_minor=10**15 + 1, given=True)
    with pytest.raises(AskError, match="not_of_this_kind"):
        ask_of(KINDS["food_parcel"], 1, DAY, amount_minor=amount_minor, given=True)


def test_asks_that_do_not_fit_their_kind() -> None:
    with pytest.raises(AskError, match="price_is_fixed"):
        ask_of(KINDS["counseling_paid"], 1, DAY, amount_minor=5)
    with pytest.raises(AskError, match="out_of_range"):
        ask_of(KINDS["financial_aid"], 1, DAY, amount_minor=10**9)
    with pytest.raises(AskError, match="out_of_range"):
        ask_of(KINDS["financial_aid"], 14, DAY)
    with pytest.raises(AskError, match="not_after_from_on"):
        ask_of(KINDS["shelter_night"], 1, DAY, to_on=DAY)
    with pytest.raises(AskError, match="not_of_this_kind"):
        ask_of(KINDS["food_parcel"], 1, DAY, from_on=DAY)
    beds = ask_of(KINDS["shelter_outside"], 2, DAY)
    assert beds.capacity is not None
    assert (beds.capacity.places, beds.capacity.to_on) == (2, DAY + timedelta(days=7))


def test_the_rule_approves_within_its_bounds() -> None:
    kind = KINDS["financial_aid"]
    assert approves_itself(kind, 1, ask_of(kind, 1, DAY))
    assert not approves_itself(kind, 1, ask_of(kind, 1, DAY, amount_minor=1_080_001))
    assert not approves_itself(KINDS["rent_support"], 1, ask_of(KINDS["rent_support"], 1, DAY))
    two = kind.model_copy(update={"auto_approve": AutoApprove(quantity_max=1)})
    assert not approves_itself(two, 2, ask_of(kind, 2, DAY))


def pep(needed_by: date | None = None, now: datetime = NOW, **more: Any) -> NeedDraft:
    """A need of PEP that was asked for the day before."""
    wanted = Wanted(kind="pep_navigation", needed_by=needed_by, place_area="UA80", **more)
    asked_on = day_of(now) - timedelta(days=1)
    return draft_need(UUID(int=1), wanted, KINDS, ForWhom.PERSON, None, now, asked_on)


@given(
    st.integers(0, 73 * 3600),
    st.integers(0, 300 * 24 * 3600).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    st.none() | st.integers(0, 5),
)
def test_hours_end_to_the_second(seconds_ago: int, now: datetime, days_left: int | None) -> None:
    exposed_at = now - timedelta(seconds=seconds_ago)
    needed_by = None if days_left is None else day_of(now) + timedelta(days=days_left)
    if seconds_ago >= 72 * 3600:
        with pytest.raises(AskError, match="too_late"):
            pep(needed_by, now, exposed_at=exposed_at)
        return
    drafted = pep(needed_by, now, exposed_at=exposed_at)
    until = exposed_at + timedelta(hours=72)
    assert drafted.needed_until == until
    assert drafted.needed_by == min(day_of(until), needed_by or day_of(until))


def test_pep_has_a_last_day_of_its_own() -> None:
    asked_on = DAY - timedelta(days=1)
    assert (pep().needed_by, pep().needed_until) == (asked_on + timedelta(days=3), None)
    assert (pep(DAY).needed_by, pep(DAY).needed_until) == (DAY, None)
    # Two and a half days ago in the evening: it ends in the small hours of tomorrow.
    exposed_at = datetime.combine(DAY - timedelta(days=2), time(2), KYIV)
    assert pep(exposed_at=exposed_at).needed_by == DAY + timedelta(days=1)
    for at, rule in (
        (NOW - timedelta(hours=72), "too_late"),
        (NOW + timedelta(seconds=1), "in_the_future"),
    ):
        with pytest.raises(AskError, match=rule):
            pep(exposed_at=at)
    before = pep(exposed_at=exposed_at - timedelta(days=3), given=True)
    assert before.needed_by == DAY - timedelta(days=2)
    with pytest.raises(AskError, match="not_of_this_kind"):
        draft_need(
            UUID(int=1),
            Wanted(kind="food_parcel", place_area="UA80", exposed_at=exposed_at),
            KINDS,
            ForWhom.PERSON,
            None,
            NOW,
            DAY,
        )


def test_what_is_entered_after_its_last_day_has_none() -> None:
    wanted = Wanted(kind="pep_navigation", place_area="UA80")
    late = draft_need(
        UUID(int=1), wanted, KINDS, ForWhom.PERSON, None, NOW, DAY - timedelta(days=4)
    )
    assert late.needed_by is None


def test_kinds_that_make_no_sense_are_refused() -> None:
    body = KINDS["counseling_paid"].model_dump()
    with pytest.raises(ValueError, match="provider"):
        Kind.model_validate(body | {"capacity": None})
    with pytest.raises(ValueError, match="split"):
        Kind.model_validate(body | {"splittable": True})
    with pytest.raises(ValueError, match="after an appointment"):
        Kind.model_validate(KINDS["medicine"].model_dump() | {"confirmed_start": True})
    with pytest.raises(ValueError, match="before everything else"):
        Kind.model_validate(KINDS["pep_navigation"].model_dump() | {"base_points": 999})


WORK = {
    "emergency shelter": {"shelter_night", "shelter_outside"},
    "food parcels and vouchers": {"food_parcel", "food_voucher"},
    "hygiene kits": {"hygiene_kit"},
    "financial aid": {"financial_aid", "rent_support", "travel"},
    "psychological counseling": {"counseling", "counseling_paid", "group_session"},
    "medical care": {"medical_care", "medical_care_paid", "medicine"},
    "legal advice": {"legal_advice"},
    "HIV and STI prevention": {
        "hiv_test", "sti_test", "self_test", "condoms_lubricant", "prep_navigation",
        "pep_navigation",
    },
    "hormone therapy on prescription": {"hormone_therapy"},
    "community centers": {"equipment_center", "furniture_center"},
    "events": {"event_place", "event_lodging", "event_travel"},
}  # fmt: skip
"""The organization's rows of work that serve somebody; grants and results are no kinds."""


def test_every_row_of_work_is_in_the_catalogue() -> None:
    for row, codes in WORK.items():
        assert codes <= KINDS.keys(), row
        assert all(KINDS[code].active for code in codes), row
    assert set().union(*WORK.values()) == KINDS.keys()
    assert len(KINDS) == len(packaged())


def test_days_are_those_of_kyiv() -> None:
    late = NOW.replace(hour=21, minute=30)
    assert day_of(late) == DAY + timedelta(days=1)
    assert planned_day(None, None, None, DAY) == DAY
    assert planned_day(None, DAY + timedelta(days=2), DAY, DAY) == DAY + timedelta(days=2)


@given(st.times(), st.times(), st.booleans())
def test_hours_that_never_open_are_refused(begin: time, end: time, safe: bool) -> None:
    contact = {
        "channel": "sms",
        "address": "+380501112233",
        "hours_from": f"{begin:%H:%M}",
        "hours_to": f"{end:%H:%M}",
        "wording": "neutral",
        "safe": safe,
    }
    if contact["hours_from"] != contact["hours_to"]:
        parse_hours(str(contact["hours_from"]), str(contact["hours_to"]))
        assert Contact.model_validate(contact).safe is safe
        return
    with pytest.raises(ValidationError) as caught:
        Contact.model_validate(contact)
    (error,) = caught.value.errors()
    assert (error["loc"], error["type"]) == (("hours_to",), "hours_are_equal")


@pytest.mark.parametrize("safe", [True, False])
@pytest.mark.parametrize("consents", [{}, {"data": DAY, "referral": DAY}, {"contact": DAY}])
def test_nobody_is_told_of_a_contact_without_consent_and_marks(
    consents: Consents, safe: bool
) -> None:
    contact = Contact(
        channel="sms",
        address=PersonalText("+380501234567"),
        hours_from="09:00",
        hours_to="20:00",
        wording="plain",
        safe=safe,
    )
    card = card_of(UUID(int=1), 2, contact, ("en", "uk"), consents)
    assert (card.version, card.language) == (2, "en")
    if safe and "contact" in consents:
        assert card.safe
        assert (card.channel, card.address, card.wording) == ("sms", contact.address, "plain")
        assert (card.hours_from, card.hours_to) == ("09:00", "20:00")
    else:
        assert not card.safe
        assert (card.channel, card.address, card.wording) == (None, None, "neutral")
        assert (card.hours_from, card.hours_to) == (None, None)
    assert not card_of(UUID(int=1), 2, None, (), consents).safe


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        (("fr", "en"), "en"),
        (("ro", "de-AT", "uk"), "de-AT"),
        (("uk", "en"), "uk"),
        (("ukz", "fr"), "ukz"),
        ((), None),
    ],
)
def test_people_are_written_to_in_the_first_language_that_there_are_texts_in(
    spoken: tuple[str, ...], written: str | None
) -> None:
    assert card_of(UUID(int=1), 1, None, spoken, {}).language == written


def test_no_hour_is_taken_from_whoever_did_not_say_since_when() -> None:
    assert last_day(72, DAY) == DAY + timedelta(days=3)
    assert last_day(73, DAY) == DAY + timedelta(days=4)
    assert last_day(1, DAY) == DAY + timedelta(days=1)


def test_hours_that_were_stored_before_stay_readable() -> None:
    stored = (
        b'{"contact": {"channel": "sms", "address": "1", "hours_from": "09:00",'
        b' "hours_to": "09:00", "wording": "plain", "safe": true}}'
    )
    assert Details.from_bytes(stored).contact is not None


def test_rows_name_columns_and_rules_never_values() -> None:
    good = {"row_id": "1", "kind": "food_parcel", "client_code": "c", "languages": "uk, en"}
    assert parse_row(good).languages == ("uk", "en")
    with pytest.raises(RowError) as caught:
        parse_row(good | {"birth_year": "secret", "asked_on": "2024-13-01", "contact_safe": "yes"})
    columns = {each.column for each in caught.value.problems}
    assert columns >= {"birth_year", "asked_on"}
    assert "secret" not in repr(caught.value.problems)
    with pytest.raises(RowError) as caught:
        parse_row(good | {"contact_safe": "yes"})
    assert caught.value.problems == [("contact_safe", "safe_needs_channel_hours_and_wording", {})]
    reached = {
        "contact_channel": "sms",
        "contact_address": "+380501112233",
        "contact_wording": "plain",
    }
    with pytest.raises(RowError) as caught:
        parse_row(good | reached | {"contact_safe": "yes", "contact_hours": "09:00-09:00"})
    assert caught.value.problems == [("contact_hours", "hours_are_equal", {})]
    with pytest.raises(RowError) as caught:
        parse_row(good | {"answer_pregnant": "secret"})
    assert caught.value.problems == [("answer_pregnant", "not_yes_or_no", {})]
    with pytest.raises(RowError) as caught:
        parse_row(good | {"answer_unheard_of": "yes"})
    assert caught.value.problems == [("row", "unknown", {})]
    with pytest.raises(RowError) as caught:
        parse_row(good | {"needed_by": "9999-12-31"})
    possible = {"ge": "2000-01-01", "le": "2099-12-31"}
    assert caught.value.problems == [("needed_by", "day_out_of_range", possible)]


def test_answers_of_triage_are_columns() -> None:
    row = parse_row(
        {"row_id": "1", "kind": "food_parcel", "answer_pregnant": "yes", "answer_minor": "no"}
    )
    assert row.answers == {"pregnant": True, "minor": False}
    assert {f"answer_{question}" for question in ANSWERS} < FIELDS
    assert "answers" not in FIELDS


@pytest.mark.parametrize(
    ("mechanism", "good", "mistyped", "rule"),
    [
        ("iban", "UA21 3223 1300 0002 6007 2335 6600 1", "UA21 3223 1300 0002 6007 2335 6600 2",
         "iban_check_digits"),
        ("card", "4242-4242-4242-4242", "4242-4242-4242-4241", "card_check_digit"),
    ],
)  # fmt: skip
def test_a_mistyped_account_is_found_where_it_is_typed(
    mechanism: str, good: str, mistyped: str, rule: str
) -> None:
    row = {
        "row_id": "1",
        "kind": "financial_aid",
        "payee_mechanism": mechanism,
        "payee_name": "Somebody",
    }
    assert parse_row(row | {f"payee_{mechanism}": good}).payee is not None
    with pytest.raises(RowError) as caught:
        parse_row(row | {f"payee_{mechanism}": mistyped})
    assert [each.rule for each in caught.value.problems] == [rule]
    assert mistyped not in repr(caught.value)
