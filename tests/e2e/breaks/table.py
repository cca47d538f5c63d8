"""What `aidmesh verify` promises, broken on purpose: one table over all its checks."""

from e2e.breaks.agreement import AGREEMENT
from e2e.breaks.intake import INTAKE
from e2e.breaks.inventory import INVENTORY
from e2e.breaks.payments import PAYMENTS
from e2e.breaks.told import TOLD

BREAKS = (*INTAKE, *INVENTORY, *PAYMENTS, *TOLD, *AGREEMENT)
