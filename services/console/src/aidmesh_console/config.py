"""Settings of the desk: where the other services answer, and how long a visit lasts."""

from typing import Annotated

from pydantic import AnyHttpUrl, Field

from aidmesh_chassis.settings import ServiceSettings, settings_config


class Settings(ServiceSettings):
    """Read from `AIDMESH_CONSOLE_*`.

    Attributes:
        intake_url, inventory_url, payments_url, notification_url, reporting_url: base addresses
            of the region's services.
        wait_ms_max: how long the desk waits for an answer of a service, in milliseconds.
        connections_max: open connections to the services, all together.
        idle_s_max: a visit without a click ends after so many seconds.
        visit_s_max: a visit ends after so many seconds whatever happens, 12 hours at most.
        token_s: how long a token given out at sign-in is good for before it is renewed.
        leave_url: the neutral page that the quick exit goes to.
        paste_token: whether one may sign in with a token, as in the demo.
        https: whether the desk is reached by https only, so that cookies are marked Secure.
    """

    model_config = settings_config("console")

    intake_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8101")
    inventory_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8102")
    payments_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8103")
    notification_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8104")
    reporting_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8105")
    wait_ms_max: Annotated[int, Field(ge=100, le=60_000)] = 8_000
    connections_max: Annotated[int, Field(ge=1, le=500)] = 50
    idle_s_max: Annotated[int, Field(ge=60, le=4 * 3600)] = 30 * 60
    visit_s_max: Annotated[int, Field(ge=300, le=12 * 3600)] = 12 * 3600
    token_s: Annotated[int, Field(ge=120, le=3600)] = 3600
    leave_url: AnyHttpUrl = AnyHttpUrl("https://www.wikipedia.org/")
    paste_token: bool = False
    https: bool = False

    @property
    def service_urls(self) -> list[str]:
        """Where the desk goes for what it shows."""
        services = (self.intake_url, self.inventory_url, self.payments_url)
        return [str(url) for url in (*services, self.notification_url, self.reporting_url)]
