"""How a folder of `aidmesh demo` is told from others. Light: `aidmesh up` looks at each start."""

from pathlib import Path

MARK = "demo.json"
"""Says that a folder was made by `aidmesh demo` and may be emptied by it."""


def is_demo(folder: Path) -> bool:
    """Whether `aidmesh demo` made this folder: nobody in it is real."""
    return (folder / MARK).is_file()


def settings_of_a_demo(folder: Path) -> dict[str, str]:
    """Return what the services of a demo read from the environment besides their own."""
    return {
        "AIDMESH_CONSOLE_PASTE_TOKEN": "true",
        "AIDMESH_NOTIFICATION_SPOOL_PATH": str(folder / "phone.jsonl"),
        "AIDMESH_NOTIFICATION_SPOOL_FOR": '["sms", "email"]',
    }
