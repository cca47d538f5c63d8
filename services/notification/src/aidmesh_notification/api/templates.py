"""What people may be sent, and by which channels."""

from collections.abc import Collection
from typing import Literal

from fastapi import Depends
from pydantic import BaseModel

from aidmesh_chassis.auth import require
from aidmesh_chassis.db import Database, clock
from aidmesh_chassis.http import Routes, rows_max
from aidmesh_contracts.days import day_of
from aidmesh_contracts.pickup import ends_at
from aidmesh_notification.domain.cards import Channel
from aidmesh_notification.domain.sending import Wording
from aidmesh_notification.texts import Templates

# Seen in previews where a real message has a number.
_PREVIEW_DAYS = 7
_PREVIEW_COUNT = 3


class TextOut(BaseModel):
    """How a template reads in one wording and language, with sample values."""

    wording: Wording
    language: str
    subject: str
    text: str


class TemplateOut(BaseModel):
    """One template."""

    code: str
    guarantee: Literal["at_most_once", "at_least_once"]
    texts: list[TextOut]


class ChannelsOut(BaseModel):
    """The channels that are set up."""

    channels: list[Channel]


def router(database: Database, templates: Templates, channels: Collection[Channel]) -> Routes:
    """Return the routes of templates and channels.

    Args:
        channels: those that messages go out by.
    """
    routes = Routes(prefix="/v1")

    @routes.get(
        "/templates",
        dependencies=[Depends(require())],
        openapi_extra=rows_max(len(list(templates))),
    )
    async def list_templates() -> list[TemplateOut]:
        """What people may be sent, word for word, with sample values."""
        async with database.read() as conn:
            now = await clock(conn)
        until_at = ends_at(now, _PREVIEW_DAYS)
        return [
            TemplateOut(
                code=template.code,
                guarantee=template.guarantee,
                texts=[
                    TextOut(
                        wording=wording,
                        language=language,
                        **templates.render(
                            template.code,
                            wording,
                            language,
                            until_at=until_at,
                            count=_PREVIEW_COUNT,
                            starts_at=now,
                            from_on=day_of(until_at),
                        ).model_dump(),
                    )
                    for wording, texts in template.texts.items()
                    for language in texts
                ],
            )
            for template in templates
        ]

    @routes.get(
        "/channels", dependencies=[Depends(require())], openapi_extra=rows_max(len(list(Channel)))
    )
    async def list_channels() -> ChannelsOut:
        """By which channels messages go out here; a contact by another one is told in person."""
        return ChannelsOut(channels=sorted(channels))

    return routes
