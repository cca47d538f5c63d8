"""A passphrase on its way to a service: who can open it, and for whom it is never sealed."""

import base64
from pathlib import Path

import pytest

from aidmesh.credentials import create_credentials, publics_of, seed_file
from aidmesh.rotation import finish, prepare, switch
from aidmesh_chassis.crypto import KEY_BYTES, DecryptionFailed, PrivateKey
from aidmesh_chassis.nkey import Nkey, SeedError, read_nkey
from aidmesh_chassis.passphrases import (
    NotGenuine,
    Passphrase,
    Receiver,
    Sealed,
    SealTo,
    seal_passphrase,
)

# Blanks at both ends belong to it, and so does what needs more than one byte.
PASSPHRASE = Passphrase(" Канарка im Bergwerk ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of kyiv's keys."""
    create_credentials(tmp_path / "kyiv")
    return tmp_path / "kyiv"


@pytest.fixture
def receiver(folder: Path) -> Receiver:
    return Receiver("kyiv", "intake", seed_file(folder, "intake"))


def said_by(receiver: Receiver) -> SealTo:
    said = receiver.seal_to()
    assert said is not None
    return said


def sealed_to(receiver: Receiver, folder: Path, passphrase: Passphrase = PASSPHRASE) -> Sealed:
    return seal(folder, said_by(receiver), passphrase=passphrase)


def seal(
    folder: Path,
    to: SealTo,
    *,
    region: str = "kyiv",
    service: str = "intake",
    passphrase: Passphrase = PASSPHRASE,
) -> Sealed:
    return seal_passphrase(passphrase, to, region, service, publics_of(folder, service))


def test_the_service_meant_opens_it(receiver: Receiver, folder: Path) -> None:
    for text in (PASSPHRASE.reveal(), "x", "ж" * 1024):
        sealed = sealed_to(receiver, folder, Passphrase(text))
        assert receiver.open(sealed).reveal() == text


def test_nothing_of_it_shows(receiver: Receiver, folder: Path) -> None:
    sealed = sealed_to(receiver, folder)
    assert PASSPHRASE.reveal().encode() not in base64.b64decode(sealed.reveal())
    assert f"{sealed} {sealed!r} {PASSPHRASE} {receiver.open(sealed)!r}" == "*** *** *** ***"
    lengths = {
        len(sealed_to(receiver, folder, Passphrase(text)).reveal()) for text in ("x", "y" * 500)
    }
    assert len(lengths) == 1  # not how long it is either


def test_it_is_opened_once(receiver: Receiver, folder: Path) -> None:
    sealed, held_back = sealed_to(receiver, folder), sealed_to(receiver, folder)
    receiver.open(sealed)
    for late in (sealed, held_back):
        with pytest.raises(DecryptionFailed):
            receiver.open(late)


def test_after_locking_only_what_is_sealed_anew_is_opened(receiver: Receiver, folder: Path) -> None:
    held_back = sealed_to(receiver, folder)
    receiver.renew()
    with pytest.raises(DecryptionFailed):
        receiver.open(held_back)
    assert receiver.open(sealed_to(receiver, folder)) == PASSPHRASE


def test_another_process_opens_nothing(receiver: Receiver, folder: Path) -> None:
    sealed = sealed_to(receiver, folder)
    for other in (
        Receiver("kyiv", "intake", seed_file(folder, "intake")),  # a copy, or the next start
        Receiver("kyiv", "payments", seed_file(folder, "payments")),
    ):
        with pytest.raises(DecryptionFailed):
            other.open(sealed)
    assert receiver.open(sealed) == PASSPHRASE  # what others try in vain changes nothing


@pytest.mark.parametrize("damage", ["", "no base64", "AQ==", "ж"])
def test_what_is_no_seal_is_refused(receiver: Receiver, damage: str) -> None:
    with pytest.raises(DecryptionFailed):
        receiver.open(Sealed(damage))


def test_a_changed_seal_is_refused(receiver: Receiver, folder: Path) -> None:
    raw = bytearray(base64.b64decode(sealed_to(receiver, folder).reveal()))
    raw[-1] ^= 1
    with pytest.raises(DecryptionFailed):
        receiver.open(Sealed(base64.b64encode(raw).decode()))


def test_it_is_not_sealed_to_another_region_or_service(receiver: Receiver, folder: Path) -> None:
    to = said_by(receiver)
    nkeys = publics_of(folder, "intake")  # even by a key that is taken for both
    for region, service in (("lviv", "intake"), ("kyiv", "payments"), ("kyivi", "ntake")):
        with pytest.raises(NotGenuine):
            seal_passphrase(PASSPHRASE, to, region, service, nkeys)
    with pytest.raises(NotGenuine):
        seal(folder, to, service="payments")


def test_it_is_not_sealed_to_who_signs_with_another_key(folder: Path, tmp_path: Path) -> None:
    create_credentials(tmp_path / "lviv")
    for seed in (seed_file(tmp_path / "lviv", "intake"), seed_file(folder, "payments")):
        with pytest.raises(NotGenuine):
            seal(folder, said_by(Receiver("kyiv", "intake", seed)))
    with pytest.raises(NotGenuine):
        seal_passphrase(
            PASSPHRASE,
            said_by(Receiver("kyiv", "intake", seed_file(folder, "intake"))),
            "kyiv",
            "intake",
            ["", "no key", "ж"],
        )


def test_it_is_not_sealed_to_a_key_that_somebody_put_in(receiver: Receiver, folder: Path) -> None:
    said = said_by(receiver)
    own = base64.b64encode(PrivateKey.random().public.raw).decode()
    for changed in (
        {"public": own},
        {"public": "no base64"},
        {"public": "AQ=="},
        {"signature": own},
        {"signature": ""},
    ):
        with pytest.raises(NotGenuine):
            seal(folder, said.model_copy(update=changed))


def test_a_server_of_nats_cannot_have_it_signed(
    receiver: Receiver, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the same key sign any text, as a nonce. What is signed here is none, even where
    somebody has found a key whose bytes are."""
    signed: list[bytes] = []

    def sign(nkey: Nkey, message: bytes) -> bytes:
        signed.append(message)
        return bytes(nkey.pair.sign(message))

    monkeypatch.setattr(Nkey, "sign", sign)
    sealed_to(receiver, folder)
    [message] = signed
    with pytest.raises(UnicodeDecodeError):
        message[:-KEY_BYTES].decode()
    with pytest.raises(UnicodeEncodeError):
        read_nkey(seed_file(folder, "intake")).signature(message.decode(errors="surrogateescape"))


def test_while_nkeys_are_replaced_both_are_believed(receiver: Receiver, folder: Path) -> None:
    before = said_by(receiver)
    fresh = prepare(folder)
    seal(folder, said_by(receiver))
    switch(folder)
    assert said_by(receiver).signature != before.signature  # the file is read each time
    for each in (before, said_by(receiver)):
        seal(folder, each)
    finish(folder, fresh)
    seal(folder, said_by(receiver))
    with pytest.raises(NotGenuine):
        seal(folder, before)


def test_without_a_seed_there_is_nothing_to_seal_to(tmp_path: Path) -> None:
    assert Receiver("kyiv", "intake", None).seal_to() is None
    with pytest.raises(SeedError):
        Receiver("kyiv", "intake", tmp_path / "missing.nk").seal_to()
