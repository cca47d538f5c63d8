"""Whether another region knows somebody: what is compared, and the boxes in which it travels.

Everything has one size, whatever is in it: blinded elements that stand for nothing look like the
others, what is known is filled up with random values, and who found nothing says so in a box as
large as who found something.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from aidmesh_chassis.privacy import PersonalText, PersonalYear
from aidmesh_contracts.intake_links import Means
from aidmesh_intake.domain.codes import plain_code
from aidmesh_intake.domain.persons import Contact, Details

INPUTS: Final = 4
"""What is compared of one person, at most, and always as many elements."""

ELEMENT_BYTES: Final = 32
TOKEN_BYTES: Final = 6
PROOF_BYTES: Final = 16
LISTED_MIN: Final = 1024
LISTED_MAX: Final = 65_536
"""What one message carries: 6 bytes each, and base64, within the million that a server takes."""
BEFORE_MAX: Final = 8

_ID_BYTES: Final = 16
_WORDS_MIN: Final = 2
_DIGITS_MIN: Final = 9
_NATIONAL_DIGITS: Final = 10
_COUNTRY: Final = "380"
_MEANS: Final[tuple[Means, ...]] = ("code", "contact", "name")
_NOBODY: Final = UUID(int=0)

_APOSTROPHES: Final = re.compile("['`\u2019\u02bc\u2018\u2032\u044c\u044a]")
_AT_THE_START: Final = {"є": "ye", "ї": "yi", "й": "y", "ю": "yu", "я": "ya"}
_CYRILLIC: Final = "абвгґдеєжзиіїйклмнопрстуфхцчшщюяёыэ"
_WRITTEN: Final = "a b v h g d e ie zh z y i i i k l m n o p r s t u f kh ts ch sh shch iu ia e y e"
_LATIN: Final = dict(zip(_CYRILLIC, _WRITTEN.split(), strict=True))
"""Ukrainian names as passports write them (Cabinet of Ministers, 2010, no. 55)."""


class Input(NamedTuple):
    """One thing that two records may agree in, written in one way."""

    means: Means
    data: bytes


def inputs_of(details: Details, region: str, code: PersonalText | None) -> list[Input]:
    """What is compared of a person; of a record with little in it little, or nothing.

    Args:
        region: whose `code` it is: the region that is asked.
        code: at the region that asks, what the person showed; there, the record's own.
    """
    found = [
        _code(code, region),
        _contact(details.contact),
        _name(details.legal_name, details.birth_year),
        _name(details.chosen_name, details.birth_year),
    ]
    return list(dict.fromkeys(each for each in found if each is not None))


def _code(code: PersonalText | None, region: str) -> Input | None:
    text = "" if code is None else plain_code(code.reveal())
    return Input("code", f"code:{region}:{text}".encode()) if text else None


def _contact(contact: Contact | None) -> Input | None:
    if contact is None:
        return None
    text = contact.address.reveal()
    if contact.channel == "email":
        return Input("contact", f"email:{_plain(text)}".encode())
    number = phone_of(text) if contact.channel == "sms" else None
    return None if number is None else Input("contact", f"phone:{number}".encode())


def _name(name: PersonalText | None, birth_year: PersonalYear | None) -> Input | None:
    if name is None or birth_year is None:
        return None
    words = words_of(name.reveal())
    if len(words) < _WORDS_MIN:
        return None  # a first name and a year are of many
    return Input("name", f"name:{' '.join(words)}:{birth_year.reveal()}".encode())


def phone_of(text: str) -> str | None:
    """A number with its country, digits only; numbers without one are Ukrainian."""
    digits = re.sub(r"\D", "", unicodedata.normalize("NFKC", text)).removeprefix("00")
    if len(digits) == _NATIONAL_DIGITS and digits[0] == "0":
        digits = _COUNTRY + digits[1:]
    elif len(digits) == _NATIONAL_DIGITS + 1 and digits.startswith("80"):
        digits = "3" + digits
    return digits if len(digits) >= _DIGITS_MIN else None


def words_of(name: str) -> list[str]:
    """The words of a name in Latin letters, without marks, in one order."""
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name)).casefold()
    text = _APOSTROPHES.sub("", text)
    return sorted(_latin(word) for word in re.findall(r"[^\W\d_]+", text))


def _latin(word: str) -> str:
    word = word.replace("зг", "zgh")
    head = _AT_THE_START.get(word[0], _LATIN.get(word[0], word[0]))
    written = head + "".join(_LATIN.get(letter, letter) for letter in word[1:])
    parts = unicodedata.normalize("NFKD", written)
    return "".join(part for part in parts if not unicodedata.combining(part))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().casefold()


class Blinded(BaseModel):
    """What the region that asks keeps until it is answered; stored only encrypted.

    Attributes:
        blind: hex of the scalar; None where the element stands for nothing.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    means: Means = "name"
    data: str = Field(default="", repr=False)
    blind: str | None = Field(default=None, repr=False)


class Secrets(BaseModel):
    """What was blinded for one query, in the order of its elements."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    blinded: tuple[Blinded, ...] = Field(min_length=INPUTS, max_length=INPUTS, repr=False)

    def to_bytes(self) -> bytes:
        """The plain JSON, to be encrypted at once."""
        return self.model_dump_json().encode()


class Damaged(ValueError):
    """A box that does not hold what it should."""


@dataclass(frozen=True, slots=True)
class AskBox:
    """The elements that are to be evaluated."""

    lookup_id: UUID
    elements: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """To be sealed."""
        return self.lookup_id.bytes + b"".join(self.elements)

    @classmethod
    def from_bytes(cls, plain: bytes, lookup_id: UUID) -> Self:
        """Read what was sealed. Raises `Damaged`."""
        if len(plain) != _ID_BYTES + INPUTS * ELEMENT_BYTES:
            raise Damaged
        return cls(_id_of(plain, lookup_id), _pieces(plain[_ID_BYTES:], ELEMENT_BYTES))


@dataclass(frozen=True, slots=True)
class AnswerBox:
    """What was evaluated, and the tokens of whoever is known and agreed, among random ones."""

    lookup_id: UUID
    elements: tuple[bytes, ...]
    tokens: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """To be sealed."""
        return self.lookup_id.bytes + b"".join((*self.elements, *self.tokens))

    @classmethod
    def from_bytes(cls, plain: bytes, lookup_id: UUID) -> Self:
        """Read what was sealed. Raises `Damaged`."""
        head = _ID_BYTES + INPUTS * ELEMENT_BYTES
        listed = (len(plain) - head) // TOKEN_BYTES
        if len(plain) != head + listed * TOKEN_BYTES or not LISTED_MIN <= listed <= LISTED_MAX:
            raise Damaged
        return cls(
            _id_of(plain, lookup_id),
            _pieces(plain[_ID_BYTES:head], ELEMENT_BYTES),
            _pieces(plain[head:], TOKEN_BYTES),
        )


@dataclass(frozen=True, slots=True)
class CloseBox:
    """What agreed: nobody can name a value who does not know the input; and what was found before.

    Attributes:
        values: the first bytes of the function's values.
        before: links that the person has already, or that were refused.
    """

    lookup_id: UUID
    values: tuple[bytes, ...] = ()
    before: tuple[UUID, ...] = ()

    def to_bytes(self) -> bytes:
        """To be sealed; always as long."""
        nothing = bytes(TOKEN_BYTES + PROOF_BYTES)
        values = [*self.values, *[nothing] * INPUTS][:INPUTS]
        before = [*self.before, *[_NOBODY] * BEFORE_MAX][:BEFORE_MAX]
        return self.lookup_id.bytes + b"".join((*values, *(each.bytes for each in before)))

    @classmethod
    def from_bytes(cls, plain: bytes, lookup_id: UUID) -> Self:
        """Read what was sealed. Raises `Damaged`."""
        head = _ID_BYTES + INPUTS * (TOKEN_BYTES + PROOF_BYTES)
        if len(plain) != head + BEFORE_MAX * _ID_BYTES:
            raise Damaged
        values = _pieces(plain[_ID_BYTES:head], TOKEN_BYTES + PROOF_BYTES)
        before = (UUID(bytes=each) for each in _pieces(plain[head:], _ID_BYTES))
        return cls(
            _id_of(plain, lookup_id),
            tuple(each for each in values if any(each)),
            tuple(each for each in before if each != _NOBODY),
        )


def _id_of(plain: bytes, lookup_id: UUID) -> UUID:
    """It belongs to this query, and to no other that somebody could have put it under."""
    if plain[:_ID_BYTES] != lookup_id.bytes:
        raise Damaged
    return lookup_id


def _pieces(data: bytes, size: int) -> tuple[bytes, ...]:
    return tuple(data[start : start + size] for start in range(0, len(data), size))


def token_of(value: bytes) -> bytes:
    """What of a value is listed."""
    return value[:TOKEN_BYTES]


def shown(value: bytes) -> bytes:
    """What of a value tells who was asked that the input is known: more than was listed."""
    return value[: TOKEN_BYTES + PROOF_BYTES]


def padded_count(count: int) -> int:
    """How many tokens are listed where there are so many; it tells of their number little."""
    size = LISTED_MIN
    while size < count:
        size *= 2
    return size


class Known(NamedTuple):
    """Whose a value is, and what it is of."""

    person_id: UUID
    means: Means


_ENTRY_BYTES: Final = TOKEN_BYTES + PROOF_BYTES + _ID_BYTES + 1


@dataclass(slots=True)
class Index:
    """Whose the values of one answer are; random ones, since their key is gone by then."""

    entries: dict[bytes, list[Known]] = field(default_factory=dict)

    def add(self, value: bytes, known: Known) -> None:
        """Enter a value; a telephone may be several people's."""
        self.entries.setdefault(shown(value), []).append(known)

    @property
    def tokens(self) -> set[bytes]:
        """What of it is listed."""
        return {token_of(value) for value in self.entries}

    def found(self, values: Iterable[bytes]) -> Mapping[UUID, tuple[Means, ...]]:
        """Whom values speak of, and by what."""
        by: dict[UUID, set[Means]] = {}
        for value in values:
            for known in self.entries.get(value, ()):
                by.setdefault(known.person_id, set()).add(known.means)
        return {
            person_id: tuple(each for each in _MEANS if each in means)
            for person_id, means in by.items()
        }

    def to_bytes(self) -> bytes:
        """As it is kept until the query is closed."""
        return b"".join(
            value + known.person_id.bytes + bytes([_MEANS.index(known.means)])
            for value, each in self.entries.items()
            for known in each
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what was kept."""
        index = cls()
        for entry in _pieces(data, _ENTRY_BYTES):
            value = entry[: TOKEN_BYTES + PROOF_BYTES]
            person_id = UUID(bytes=entry[len(value) : -1])
            index.add(value, Known(person_id, _MEANS[entry[-1]]))
        return index


def matches(
    values: Sequence[tuple[Means, bytes]], tokens: Iterable[bytes]
) -> list[tuple[Means, bytes]]:
    """Those of some values that are listed."""
    listed = frozenset(tokens)
    return [(means, value) for means, value in values if token_of(value) in listed]
