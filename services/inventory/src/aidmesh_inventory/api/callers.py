"""Who may call which of inventory's routes, and how its lists go on: one name each."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends
from pydantic import Field, TypeAdapter

from aidmesh_chassis.auth import Caller, Role, require

DESK_ROLES = (Role.CASEWORKER, Role.LOGISTICIAN, Role.LEAD)
"""Those who see to people."""

ANYONE = Depends(require())
KEEPER = Depends(require(Role.LOGISTICIAN, Role.LEAD))
Staff = Annotated[Caller, ANYONE]
Storekeeper = Annotated[Caller, KEEPER]
AtDesk = Annotated[Caller, Depends(require(*DESK_ROLES))]

Quantity = Annotated[int, Field(ge=1, le=1_000_000)]
"""Pieces of a line of goods."""

UUID_KEY: TypeAdapter[UUID] = TypeAdapter(UUID)
"""The key of lists in the order of their ids."""
