"""Settings of notification: `AIDMESH_NOTIFICATION_…` in the environment."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr

from aidmesh_chassis.settings import Port, ServiceSettings, settings_config
from aidmesh_notification.domain.cards import Channel

TIME_OF_DAY: Final = r"^([01]?\d|2[0-3]):[0-5]\d$"
TimeOfDay = Annotated[str, Field(pattern=TIME_OF_DAY)]


class Settings(ServiceSettings):
    """What is particular to notification.

    Attributes:
        organization: how plain texts sign; neutral ones never do.
        message_hours_max: a message not sent by then is told in person.
        send_batch_max: messages marked `sending` in one transaction at most.
        offer_ms_max: how long a channel may take until it asks for the text; a message that got no
            further certainly did not leave.
        send_ms_max: how long it may take over the text; a message that got no further may have
            left, and a person decides.
        tries_max, retry_s: a refusal that may pass is tried again, after `retry_s` doubled
            each time.
        outage_s_max: a channel that can't be reached is tried again after as long again as it has
            been away, at the latest after this; messages wait for it and use up no try.
        digest_from: `HH:MM` after which staff get their digest of people to be told.
        spool_path: file that the `file` channel appends to; None where there is none.
        spool_for: channels that write to the spool too, for a demonstration or a test.
        smtp_host: None where no mail is sent. Mail is the only channel that people are reached by;
            whoever has another contact, such as a phone number, is told in person.
        smtp_port: its port.
        smtp_tls: `starttls`, `tls` from the first byte, or `none`.
        smtp_user, smtp_password: None where the server asks for none.
        smtp_from: a neutral address; its domain and name say nothing about the organization.
        smtp_connections_max: mails sent at the same time at most.
    """

    model_config = settings_config("notification")

    organization: str = Field(default="Aidmesh", min_length=1, max_length=60)
    message_hours_max: int = Field(default=72, ge=1, le=24 * 30)
    send_batch_max: int = Field(default=512, ge=1, le=2000)
    offer_ms_max: int = Field(default=10_000, ge=100, le=60_000)
    send_ms_max: int = Field(default=15_000, ge=100, le=60_000)
    tries_max: int = Field(default=5, ge=1, le=20)
    retry_s: float = Field(default=30.0, gt=0, le=3600)
    outage_s_max: float = Field(default=60.0, gt=0, le=600)
    digest_from: TimeOfDay = "09:00"
    spool_path: Path | None = None
    spool_for: frozenset[Channel] = frozenset()
    smtp_host: str | None = None
    smtp_port: Port = 587
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_from: str = "reminder@localhost"
    smtp_connections_max: int = Field(default=4, ge=1, le=32)
