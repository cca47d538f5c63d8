"""`python -m aidmesh_console run`."""

from aidmesh_chassis.process import main
from aidmesh_console.app import build

if __name__ == "__main__":
    main("console", build, None)
