"""`python -m aidmesh_console run`."""

from aidmesh_chassis.starting import start

if __name__ == "__main__":
    start("console", None)
