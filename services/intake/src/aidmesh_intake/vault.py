"""Where intake encrypts and decrypts: every use of a key is here."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from pydantic import ValidationError

from aidmesh_chassis.crypto import (
    DecryptionFailed,
    MasterKey,
    PersonKey,
    PublicKey,
    decrypt,
    encrypt,
    keyed_hash,
    seal,
    unwrap_key,
    wrap_key,
)
from aidmesh_chassis.keys import INTAKE, MASTER, NOTIFICATION, PAYMENTS, KeyRing
from aidmesh_intake.domain.codes import plain_code
from aidmesh_intake.domain.lookup import Secrets
from aidmesh_intake.domain.persons import Card, Details, Payee, Said
from aidmesh_intake.domain.referral import Box


@dataclass(frozen=True, slots=True)
class Locker:
    """The key of a person or a household in hand, and as it is stored."""

    key: PersonKey
    wrapped: bytes


class Vault:
    """The keys of intake at work. Methods raise `Locked` while the master key is not loaded."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    @property
    def ring(self) -> KeyRing:
        """The keys, to lock and unlock."""
        return self._ring

    def open(self) -> "OpenVault":
        """Take the keys in hand for one piece of work."""
        return OpenVault(
            self._ring.master(), self._ring.public(NOTIFICATION), self._ring.public(PAYMENTS)
        )

    def open_box(self, sealed: bytes, referral_id: UUID) -> Box:
        """What another region says of whom it refers, to be shown to who may see them.

        Raises:
            Locked: the key is not loaded.
            DecryptionFailed: it is damaged, sealed to somebody else, or of another offer.
        """
        try:
            box = Box.from_bytes(self._ring.unseal(INTAKE, sealed))
        except ValidationError:
            raise DecryptionFailed from None
        if box.referral_id != referral_id:
            raise DecryptionFailed
        return box

    def unseal(self, sealed: bytes) -> bytes:
        """What another region's intake sealed to this one.

        Raises:
            Locked: the key is not loaded.
            DecryptionFailed: it is damaged, or sealed to somebody else.
        """
        return self._ring.unseal(INTAKE, sealed)

    @property
    def is_locked(self) -> bool:
        """Whether personal data cannot be read or written now."""
        return MASTER in self._ring.missing

    @property
    def hears_others(self) -> bool:
        """Whether what other regions seal can be opened, and compared with what is known here."""
        return not self._ring.missing


class OpenVault:
    """Keys in hand; not kept longer than a request or a chunk."""

    __slots__ = ("_master", "_notification", "_payments")

    def __init__(self, master: MasterKey, notification: PublicKey, payments: PublicKey) -> None:
        self._master = master
        self._notification = notification
        self._payments = payments

    def lookup(self, code: str, purpose: bytes) -> bytes:
        """What a code is found by; the same code always gives the same, only with our key."""
        return keyed_hash(self._master, plain_code(code).encode(), purpose=purpose)

    def row_key(self, source: str, row_id: str) -> bytes:
        """What a row of an import is found by."""
        return keyed_hash(self._master, f"{source}\x1f{row_id}".encode(), purpose=b"import-row")

    def content_hash(self, content: bytes) -> bytes:
        """What tells whether a row or a file is the same as before."""
        return keyed_hash(self._master, content, purpose=b"import-content")

    def new_locker(self, person_id: UUID) -> Locker:
        """A new key for a person."""
        key = PersonKey.random()
        return Locker(key, wrap_key(self._master, key, _aad(person_id)))

    def locker(self, person_id: UUID, wrapped: bytes) -> Locker:
        """A stored key, unwrapped."""
        return Locker(unwrap_key(self._master, wrapped, _aad(person_id)), wrapped)

    def new_household_locker(self, household_id: UUID) -> Locker:
        """A new key for a household: for what is said of it and of no single member."""
        key = PersonKey.random()
        return Locker(key, wrap_key(self._master, key, _household(household_id)))

    def household_locker(self, household_id: UUID, wrapped: bytes) -> Locker:
        """A household's stored key, unwrapped."""
        return Locker(unwrap_key(self._master, wrapped, _household(household_id)), wrapped)

    def hide(self, locker: Locker, person_id: UUID, details: Details) -> bytes:
        """Details as they are stored."""
        return encrypt(locker.key, details.to_bytes(), b"details:" + person_id.bytes)

    def show(self, locker: Locker, person_id: UUID, data: bytes) -> Details:
        """Stored details, to be shown to someone whose role was checked."""
        plain = decrypt(locker.key, data, b"details:" + person_id.bytes)
        return Details.from_bytes(plain)

    def hide_reasons(
        self, locker: Locker | None, request_id: UUID, reasons: Mapping[str, object]
    ) -> bytes:
        """Answers and notes of a request; under the master key for a group or a site."""
        key = self._master if locker is None else locker.key
        return encrypt(key, json.dumps(dict(reasons)).encode(), b"reasons:" + request_id.bytes)

    def show_reasons(self, locker: Locker | None, request_id: UUID, data: bytes) -> Said:
        """Stored answers and notes, to be shown to someone whose role was checked."""
        key = self._master if locker is None else locker.key
        return Said.model_validate_json(decrypt(key, data, b"reasons:" + request_id.bytes))

    def hide_secrets(
        self, locker: Locker, person_id: UUID, lookup_id: UUID, secrets: Secrets
    ) -> bytes:
        """What was blinded for a query, as it is stored until it is answered."""
        return encrypt(locker.key, secrets.to_bytes(), _lookup(person_id, lookup_id))

    def show_secrets(
        self, locker: Locker, person_id: UUID, lookup_id: UUID, data: bytes
    ) -> Secrets:
        """What was blinded for a query. Raises `DecryptionFailed`."""
        plain = decrypt(locker.key, data, _lookup(person_id, lookup_id))
        return Secrets.model_validate_json(plain)

    def seal_card(self, card: Card) -> str:
        """A contact card that only notification opens."""
        return base64.b64encode(seal(self._notification, card.to_bytes())).decode()

    def seal_payee(self, payee: Payee, need_id: UUID, payee_ref: UUID) -> str:
        """Payee details that only the paying office opens."""
        sealed = seal(self._payments, payee.to_bytes(need_id, payee_ref))
        return base64.b64encode(sealed).decode()


def _lookup(person_id: UUID, lookup_id: UUID) -> bytes:
    return b"lookup:" + person_id.bytes + lookup_id.bytes


def _household(household_id: UUID) -> bytes:
    return b"household:" + household_id.bytes


def _aad(person_id: UUID) -> bytes:
    return b"person:" + person_id.bytes
