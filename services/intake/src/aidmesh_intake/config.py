"""Settings of intake, from the environment: `AIDMESH_INTAKE_…`."""

from pathlib import Path

from pydantic import Field

from aidmesh_chassis.settings import ServiceSettings, settings_config


class Settings(ServiceSettings):
    """What every service has, and how much other regions may ask.

    Attributes:
        lookups_day_max: blind queries about people that one other region is answered within 24
            hours, and that it is asked; each lets it compare four values with what is known here.
        lookups_all_day_max: those of all other regions together.
        erasures_file: the list of erasures that outlives backups, apart from the data (see
            docs/backup.md); without one a restore brings back who was erased since.
    """

    model_config = settings_config("intake")

    lookups_day_max: int = Field(default=50, ge=0, le=1000)
    lookups_all_day_max: int = Field(default=200, ge=0, le=5000)
    erasures_file: Path | None = None
