"""Settings of reporting: `AIDMESH_REPORTING_…` in the environment."""

from pathlib import Path

from pydantic import Field

from aidmesh_chassis.settings import ServiceSettings, settings_config


class Settings(ServiceSettings):
    """What is particular to reporting.

    Attributes:
        publish_s: how long a month's numbers rest before they are published anew; while they
            don't, they are published every minute.
        small_cell_k: the public variant tells of no fewer people or contacts than this.
        reader_seed_file: the seed of the nkey that may read whole streams; needed for
            `rebuild --from-stream` only.
    """

    model_config = settings_config("reporting")

    publish_s: float = Field(default=3.0, gt=0, le=600)
    small_cell_k: int = Field(default=5, ge=2, le=100)
    reader_seed_file: Path | None = None
