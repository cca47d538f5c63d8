"""The HTTP side of each service, as it is built, without a database."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from fastapi import FastAPI

from aidmesh_chassis.service import Service

SERVICES = ("intake", "inventory", "payments", "notification", "reporting")
"""Those with an API; the desk has pages."""


def app_of(name: str, keys_dir: Path) -> FastAPI:
    """A service's app.

    Args:
        keys_dir: holds the keys of its region.
    """
    settings = import_module(f"aidmesh_{name}.config").Settings
    build: Callable[[object], Service] = import_module(f"aidmesh_{name}.app").build
    values = {"region": "kyiv", "database_url": "postgresql://nowhere/none", "keys_dir": keys_dir}
    return build(settings(**values)).app
