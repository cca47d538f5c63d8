"""`aidmesh --install-completion`: the shell completes commands and options."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cyclopts import App

Shell = Literal["bash", "zsh", "fish", "powershell"]


def completing(app: "App") -> Callable[..., None]:
    """The command for an app; what it needs is imported when it runs."""

    def install_completion(*, shell: Shell | None = None, output: Path | None = None) -> None:
        """Have the shell complete commands and options; say which with --shell if need be.

        Args:
            shell: by default the one that this runs in.
            output: file to write the script to, instead of where the shell looks for it.
        """
        from cyclopts.completion.install import create_install_completion_command  # noqa: PLC0415

        create_install_completion_command(app.install_completion, add_to_startup=output is None)(
            shell=shell, output=output
        )

    return install_completion
