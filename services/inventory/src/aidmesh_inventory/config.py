"""Settings of inventory."""

from aidmesh_chassis.settings import ServiceSettings, settings_config


class Settings(ServiceSettings):
    """What every service has, read from `AIDMESH_INVENTORY_*`."""

    model_config = settings_config("inventory")
