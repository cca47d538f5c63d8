"""Synthetic people: names, codes and contacts that belong to no one.

Some carry canaries: values so odd that finding one anywhere outside an encrypted field means
personal data leaked. `aidmesh verify` searches events, logs and tables for them.
"""

from dataclasses import dataclass, field
from datetime import date
from random import Random

FIRST_NAMES = (
    "Олена", "Марія", "Ірина", "Софія", "Дарина", "Вікторія", "Катерина", "Юлія", "Андрій",
    "Максим", "Богдан", "Дмитро", "Олександр", "Ярослав", "Тарас", "Назар", "Саша", "Женя",
    "Валя", "Микита", "Артем", "Соломія", "Злата", "Остап", "Леся", "Марта", "Роман", "Юрій",
)  # fmt: skip
LAST_NAMES = (
    "Бондар", "Кравець", "Мельник", "Шевчук", "Ткач", "Коваль", "Олійник", "Гончар", "Лисенко",
    "Поліщук", "Савчук", "Марчук", "Кушнір", "Дяченко", "Яременко", "Романюк", "Левченко",
    "Білик", "Журавель", "Стець", "Гайдук", "Вовк", "Щербак", "Панчук", "Сорока", "Чумак",
)  # fmt: skip
CANARIES = 20
"""About so many people carry canaries, at any scale."""


@dataclass(slots=True)
class Person:
    """Someone who is helped.

    Attributes:
        number: counts from 0 over all areas.
        with_details: False for those who are known by their code only.
        canary: whether its values are to be searched for.
        safe: whether the contact is marked safe; otherwise the person is told when they come.
        household: a code shared by those who live together.
        days: by kind, the ordinals of the days it was asked for.
    """

    number: int
    area: str
    code: str
    with_details: bool
    chosen_name: str = ""
    legal_name: str = ""
    birth_year: int | None = None
    channel: str = ""
    address: str = ""
    safe: bool = False
    language: str = "uk"
    canary: bool = False
    origin_area: str = ""
    iban: str = ""
    household: str = ""
    days: dict[str, list[int]] = field(default_factory=dict)

    def may_ask(self, kind: str, day: date, gap_days: int) -> bool:
        """Whether nothing of this kind was asked for within `gap_days` of a day."""
        return all(abs(other - day.toordinal()) > gap_days for other in self.days.get(kind, ()))

    def remember(self, kind: str, day: date) -> None:
        """Keep in mind that this kind was asked for."""
        self.days.setdefault(kind, []).append(day.toordinal())


def iban(bank: int, account: int) -> str:
    """A Ukrainian IBAN with right check digits (ISO 13616, mod 97) of a bank that is none."""
    bban = f"{bank:06d}{account:019d}"
    check = 98 - int(f"{bban}301000") % 97  # U = 30, A = 10, check digits as 00
    return f"UA{check:02d}{bban}"


def make_person(
    rng: Random, number: int, area: str, areas: tuple[str, ...], *, canary: bool
) -> Person:
    """One synthetic person of an area."""
    with_details = canary or rng.random() < 0.72
    mark = f"{number:05d}"
    person = Person(
        number=number,
        area=area,
        code=f"kanarka-{mark}" if canary else f"{area[2:]}-{rng.randrange(16**5):05x}{mark}",
        with_details=with_details,
        canary=canary,
        iban=iban(399_999, 26_000_000_000_000 + number * 7919),
    )
    displaced = rng.random() < 0.35
    person.origin_area = rng.choice(areas) if displaced else area
    person.birth_year = rng.randint(1952, 2006)
    person.language = "uk" if rng.random() < 0.96 else "en"
    # Whoever is paid has a legal name, even if intake knows nothing but a code.
    last_name = f"Зозуленко{mark}" if canary else rng.choice(LAST_NAMES)
    person.legal_name = f"{rng.choice(FIRST_NAMES)} {last_name}"
    if with_details:
        person.chosen_name = f"Канарка{mark}" if canary else rng.choice(FIRST_NAMES)
        if canary or rng.random() < 0.62:
            person.channel = "sms"
            person.address = f"+38099{number:07d}"
            person.safe = rng.random() < 0.7
    return person


def canaries_of(person: Person) -> list[tuple[str, str]]:
    """The `(field, value)` pairs to search for, nothing for most people."""
    if not person.canary:
        return []
    return [
        ("client_code", person.code),
        ("chosen_name", person.chosen_name),
        ("legal_name", person.legal_name.split()[-1]),
        ("contact_address", person.address),
        ("payee_iban", person.iban),
    ]
