"""Oblasts and cities of Ukraine: the P-code and the ISO 3166-2 code of each.

The two lists look alike and differ where it hurts (Kyiv city is UA80 and UA-30, Chernivtsi UA73
and UA-77), so every pair is written down and none is computed.
Sources: COD-AB Ukraine (OCHA), administrative level 1; ISO 3166-2:UA.
"""

from typing import Final

ISO_BY_PCODE: Final[dict[str, str]] = {
    "UA01": "UA-43",  # Autonomous Republic of Crimea
    "UA05": "UA-05",  # Vinnytsia
    "UA07": "UA-07",  # Volyn
    "UA12": "UA-12",  # Dnipropetrovsk
    "UA14": "UA-14",  # Donetsk
    "UA18": "UA-18",  # Zhytomyr
    "UA21": "UA-21",  # Zakarpattia
    "UA23": "UA-23",  # Zaporizhzhia
    "UA26": "UA-26",  # Ivano-Frankivsk
    "UA32": "UA-32",  # Kyiv oblast
    "UA35": "UA-35",  # Kirovohrad
    "UA44": "UA-09",  # Luhansk
    "UA46": "UA-46",  # Lviv
    "UA48": "UA-48",  # Mykolaiv
    "UA51": "UA-51",  # Odesa
    "UA53": "UA-53",  # Poltava
    "UA56": "UA-56",  # Rivne
    "UA59": "UA-59",  # Sumy
    "UA61": "UA-61",  # Ternopil
    "UA63": "UA-63",  # Kharkiv
    "UA65": "UA-65",  # Kherson
    "UA68": "UA-68",  # Khmelnytskyi
    "UA71": "UA-71",  # Cherkasy
    "UA73": "UA-77",  # Chernivtsi
    "UA74": "UA-74",  # Chernihiv
    "UA80": "UA-30",  # Kyiv city
    "UA85": "UA-40",  # Sevastopol
}

_PCODE_LENGTH: Final = 4  # of the first administrative level, which deeper codes begin with


def iso_code_of(area: str) -> str | None:
    """Return the ISO 3166-2 code of the oblast or city that an area lies in, None if unknown."""
    return ISO_BY_PCODE.get(area[:_PCODE_LENGTH])
