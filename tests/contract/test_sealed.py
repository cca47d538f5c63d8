"""What intake seals is what the service that opens it reads, field by field."""

from datetime import date
from uuid import UUID

import pytest

from aidmesh_chassis.privacy import PersonalText
from aidmesh_contracts.accounts import Mechanism
from aidmesh_intake.domain.persons import Consents, Contact, card_of
from aidmesh_intake.domain.persons import Payee as Entered
from aidmesh_notification.domain.cards import Card, reach_of, read_card
from aidmesh_payments.handlers.payees import Payee

PERSON, NEED, REF = (UUID(int=number) for number in (1, 2, 3))
CONTACT = Contact(
    channel="sms",
    address=PersonalText("+380 67 765 43 21"),
    hours_from="09:00",
    hours_to="20:00",
    wording="plain",
    safe=True,
)
ACCOUNTS: dict[Mechanism, dict[str, str]] = {
    "iban": {"iban": "UA213223130000026007233566001"},
    "card": {"card": "4111 1111 1111 1111"},
    "post": {"address": "Lviv, Canary Street 7"},
    "cash": {},
}


def test_a_card_says_how_somebody_may_be_reached() -> None:
    written = card_of(PERSON, 3, CONTACT, ("de", "uk"), {"contact": date(2024, 5, 1)})
    card = read_card(written.to_bytes(), PERSON, 3)
    assert card is not None
    assert set(Card.model_fields) == set(type(written).model_fields)
    for name in Card.model_fields:
        assert getattr(card, name) == getattr(written, name), name
    reach = reach_of(card)
    assert reach is not None
    assert (reach.address, reach.language, reach.wording) == (CONTACT.address, "de", "plain")


@pytest.mark.parametrize(
    ("spoken", "language"), [(("fr", "en-GB"), "en"), (("fr", "ro"), "uk"), ((), "uk")]
)
def test_who_speaks_a_language_of_ours_is_written_to_in_it(
    spoken: tuple[str, ...], language: str
) -> None:
    written = card_of(PERSON, 3, CONTACT, spoken, {"contact": date(2024, 5, 1)})
    card = read_card(written.to_bytes(), PERSON, 3)
    assert card is not None
    reach = reach_of(card)
    assert reach is not None
    assert reach.language == language


@pytest.mark.parametrize(
    ("contact", "consents"),
    [
        (CONTACT, {}),
        (CONTACT.model_copy(update={"safe": False}), {"contact": date(2024, 5, 1)}),
        (None, {"contact": date(2024, 5, 1)}),
    ],
)
def test_a_card_of_whom_nobody_may_write_to_reaches_nobody(
    contact: Contact | None, consents: Consents
) -> None:
    written = card_of(PERSON, 1, contact, (), consents)
    card = read_card(written.to_bytes(), PERSON, 1)
    assert card is not None
    assert card.address is None
    assert reach_of(card) is None


@pytest.mark.parametrize("mechanism", ACCOUNTS)
def test_a_payee_can_be_paid_where_the_box_is_opened(mechanism: Mechanism) -> None:
    entered = Entered.model_validate(
        {"mechanism": mechanism, "legal_name": "Canary Kanarenko", "tax_number": "1234567890"}
        | ACCOUNTS[mechanism]
    )
    payee = Payee.model_validate_json(entered.to_bytes(NEED, REF))
    for name in ("mechanism", "legal_name", "iban", "card", "tax_number"):
        assert getattr(payee, name) == getattr(entered, name), name
    assert payee.post_address == entered.address
