"""Settings that every service has; each adds its own and names its prefix."""

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from aidmesh_contracts.values import Region

Port = Annotated[int, Field(ge=0, le=65535)]


SECRETS_DIR: Final = "AIDMESH_SECRETS_DIR"
"""The variable that names a folder with a file for each setting that is not in the environment."""


_FIELD: Final = re.compile(r'field "(\w+)"')
"""How pydantic-settings names the one of which it could not read the JSON."""


class SettingsRefused(ValueError):
    """Settings are missing or do not fit.

    Attributes:
        reasons: what is wrong, by the variable of the environment; never what it holds.
    """

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in reasons.items()))
        self.reasons = reasons


class ServiceSettings(BaseSettings):
    """Read from the environment, and from files of a secrets folder where there is one.

    A service subclasses this with `model_config = settings_config("inventory")`, so its fields
    are `AIDMESH_INVENTORY_REGION`, `AIDMESH_INVENTORY_DATABASE_URL` and so on.

    Attributes:
        region: its short name, such as `kyiv`; the same for all services of a region.
        database_url: of the role that owns the service's database; None for one without.
        database_password_file: the password of that role, instead of the one in `database_url`; two
            while one replaces the other, one a line. None, or not there: the one in the URL.
        pooler: True where a transaction-mode pooler stands before PostgreSQL.
        pool_max: database connections at most.
        nats_url: one or more servers, separated by commas.
        nats_ca_file: what vouches for the certificates of servers on other machines, whose
            connections are encrypted; None for servers on this one.
        nats_seed_file: the seed of the service's own nkey; None for a server without accounts, and
            then no passphrase can be given to the service.
        http_host: the address to listen on.
        http_port: the port to listen on; 0 takes any that is free.
        instance: which copy of the service this is, where there are several; named in its logs.
        keys_dir: folder with the keys that this service may see.
        batch_max: messages handled in one transaction at most.
        peer_late_s_max: a peer region that is dark, whose events lag or who leaves a handoff
            unanswered for longer is logged and shown to the lead and on-call; in seconds, 15 at
            least, which is how long a peer's last report is believed.
        log_level: the least severe lines that are written.
    """

    region: Region
    database_url: SecretStr | None = None
    database_password_file: Path | None = None
    pooler: bool = False
    pool_max: int = Field(default=8, ge=2, le=100)
    nats_url: str = "nats://127.0.0.1:4222"
    nats_ca_file: Path | None = None
    nats_seed_file: Path | None = None
    http_host: str = "127.0.0.1"
    http_port: Port = 0
    instance: Annotated[str, Field(max_length=63, pattern="^[A-Za-z0-9._-]*$")] = ""
    keys_dir: Path = Path("keys")
    batch_max: int = Field(default=256, ge=1, le=1000)
    peer_late_s_max: float = Field(default=300.0, ge=15)
    log_level: Literal["debug", "info", "warning", "error"] = "info"


def settings_config(service: str) -> SettingsConfigDict:
    """Return the pydantic-settings configuration of a service: its prefix, and where secrets are.

    The files of a secrets folder are named as the variables, in lower case.
    """
    return SettingsConfigDict(
        env_prefix=f"AIDMESH_{service.upper()}_",
        extra="ignore",
        secrets_dir=os.environ.get(SECRETS_DIR),
    )


Kind = TypeVar("Kind", bound=ServiceSettings)


def read_settings(kind: type[Kind]) -> Kind:
    """Read the settings of a service. Raises SettingsRefused."""
    try:
        return kind()
    except ValidationError as error:
        # Of a mapping the rest of a place is keys, and those are what somebody typed.
        found = error.errors(include_url=False, include_context=False, include_input=False)
        reasons = {_variable(kind, str(each["loc"][0])): each["msg"] for each in found}
    except SettingsError as error:
        named = _FIELD.search(str(error))
        reasons = {_variable(kind, named[1] if named else "?"): "Input should be valid JSON"}
    raise SettingsRefused(reasons)


def unknown_settings(kind: type[ServiceSettings]) -> dict[str, str | None]:
    """Names that are set for a service and that it does not know: mistyped, or of other versions.

    Returns:
        By name the known one that it is most like; None if it is like none.
    """
    fields = [field.upper() for field in kind.model_fields]
    folder = kind.model_config.get("secrets_dir")
    files = [] if folder is None else [each.name for each in Path(str(folder)).glob("*")]
    prefix = _variable(kind, "")
    found: dict[str, str | None] = {}
    for given in sorted({name.upper() for name in (*os.environ, *files)}):
        name = given.removeprefix(prefix)
        if given.startswith(prefix) and name not in fields:
            closest = get_close_matches(name, fields, n=1)
            found[given] = f"{prefix}{closest[0]}" if closest else None
    return found


def _variable(kind: type[ServiceSettings], field: str) -> str:
    return f"{kind.model_config.get('env_prefix', '')}{field.upper()}"
