"""Settings of intake, from the environment: `AIDMESH_INTAKE_…`."""

from aidmesh_chassis.settings import ServiceSettings, settings_config


class Settings(ServiceSettings):
    """What every service has; intake adds none of its own yet."""

    model_config = settings_config("intake")
