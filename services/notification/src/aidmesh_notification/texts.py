"""Templates: data files of this package, read once at the start."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from importlib import resources
from string import Formatter
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from aidmesh_contracts.days import KYIV
from aidmesh_contracts.languages import LANGUAGES
from aidmesh_contracts.pickup import end_of
from aidmesh_notification.domain.sending import Wording

FIELDS: Mapping[str, frozenset[str]] = {
    "neutral": frozenset({"at", "from_on", "until", "count"}),
    "plain": frozenset({"at", "from_on", "until", "count", "organization"}),
}
"""What the texts of a wording may speak of: a neutral one never says who writes."""

_DATES = {"uk": "%d.%m.%Y", "en": "%Y-%m-%d", "de": "%d.%m.%Y"}
_TIMES = {"uk": "%d.%m.%Y, %H:%M", "en": "%Y-%m-%d, %H:%M", "de": "%d.%m.%Y, %H:%M Uhr"}


class Text(BaseModel):
    """One message in one language."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str
    text: str

    @property
    def placeholders(self) -> frozenset[str]:
        """Names in braces."""
        return frozenset(
            name
            for part in (self.subject, self.text)
            for _, name, _, _ in Formatter().parse(part)
            if name is not None
        )


class Template(BaseModel):
    """A message in every language and wording.

    Attributes:
        guarantee: what happens when sending was cut short: an `at_most_once` message goes to
            a person, an `at_least_once` one is sent again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    guarantee: Literal["at_most_once", "at_least_once"]
    texts: Mapping[Wording, Mapping[str, Text]]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for wording in ("neutral", "plain"):
            for language in LANGUAGES:
                text = self.texts.get(wording, {}).get(language)
                if text is None:
                    raise ValueError(f"{self.code}: no {wording} text in {language}")
                if odd := text.placeholders - FIELDS[wording]:
                    raise ValueError(f"{self.code}: {wording} {language} speaks of {sorted(odd)}")
        return self


class Rendered(BaseModel):
    """What the person reads."""

    model_config = ConfigDict(frozen=True)

    subject: str
    text: str


class Templates:
    """All templates by code, with the name that plain ones sign with."""

    def __init__(self, templates: Mapping[str, Template], organization: str) -> None:
        self._templates = dict(templates)
        self._organization = organization

    def __iter__(self) -> Iterator[Template]:
        return iter(self._templates.values())

    def get(self, code: str) -> Template | None:
        """Return the template, or None for an unknown code."""
        return self._templates.get(code)

    @property
    def at_least_once(self) -> list[str]:
        """Codes of templates that are sent again after an interruption."""
        return [
            template.code
            for template in self._templates.values()
            if template.guarantee == "at_least_once"
        ]

    def render(
        self,
        code: str,
        wording: Wording,
        language: str,
        *,
        until_at: datetime,
        count: int,
        starts_at: datetime | None = None,
        from_on: date | None = None,
    ) -> Rendered:
        """Fill in a template.

        Raises:
            KeyError: there is no such template or language, or it speaks of a time that is not
                given.
        """
        text = self._templates[code].texts[wording][language]
        values = {
            "until": _until(until_at, language),
            "count": str(count),
            "organization": self._organization,
        }
        if from_on is not None:
            values["at"] = values["from_on"] = from_on.strftime(_DATES[language])
        if starts_at is not None:
            values["at"] = starts_at.astimezone(KYIV).strftime(_TIMES[language])
        return Rendered(subject=text.subject.format_map(values), text=text.text.format_map(values))


def _until(until_at: datetime, language: str) -> str:
    """A day by itself if all of it is left, else the minute, never a later one."""
    local = until_at.astimezone(KYIV)
    is_whole_day = until_at == end_of(local.date())
    return local.strftime((_DATES if is_whole_day else _TIMES)[language])


def load_templates(organization: str) -> Templates:
    """Read the templates that come with the package.

    Raises:
        pydantic.ValidationError: a file is incomplete, so the service must not start.
    """
    folder = resources.files("aidmesh_notification") / "templates"
    files = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".json")),
        key=lambda entry: entry.name,
    )
    templates = [Template.model_validate_json(entry.read_bytes()) for entry in files]
    return Templates({template.code: template for template in templates}, organization)
