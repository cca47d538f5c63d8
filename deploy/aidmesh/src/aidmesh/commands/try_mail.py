"""`aidmesh try-mail`: whether the mail server that is set takes a message."""

from typing import TYPE_CHECKING

from aidmesh.commands.common import EXIT_FAILED, refuse, report, run

if TYPE_CHECKING:
    from aidmesh_notification.channels import Outlet


def try_mail(address: str, *, json: bool = False) -> None:
    """Send one neutral mail by the settings of AIDMESH_NOTIFICATION_SMTP_… in the environment.

    It goes out as those to people do, and touches no mesh. Exit code 0 when the server took it;
    that it arrived, and how it looks, only the mailbox can tell.

    Args:
        address: a mailbox of your own.
        json: whether it was taken, as JSON.
    """
    run(_try(_outlet(), address, json))


def _outlet() -> "Outlet":
    from pydantic import ValidationError  # noqa: PLC0415

    from aidmesh_notification.channels import outlets_of  # noqa: PLC0415
    from aidmesh_notification.config import Settings  # noqa: PLC0415
    from aidmesh_notification.domain.cards import Channel  # noqa: PLC0415

    try:
        settings = Settings(region="none")
    except ValidationError as error:
        fields = ", ".join(str(each["loc"][0]) for each in error.errors())
        refuse(f"settings of notification make no sense: {fields}")
    if settings.smtp_host is None:
        refuse("no mail server is set: AIDMESH_NOTIFICATION_SMTP_HOST (docs/settings.md)")
    return outlets_of(settings)[Channel.EMAIL]


async def _try(outlet: "Outlet", address: str, as_json: bool) -> int:
    from uuid import uuid4  # noqa: PLC0415

    from aidmesh_chassis.privacy import PersonalText  # noqa: PLC0415
    from aidmesh_notification.channels import Interrupted, NotSent, Unreachable  # noqa: PLC0415
    from aidmesh_notification.texts import Rendered  # noqa: PLC0415

    mail = Rendered(subject="Test", text="This is a test. Nothing is to be done.")
    taken = False
    try:
        await outlet.send(uuid4(), uuid4(), PersonalText(address), mail)
        taken, told = True, "The mail server took it; look into the mailbox."
    except Unreachable as error:
        told = f"It cannot be reached, or takes nothing from this sender: {error.cause}."
    except Interrupted as error:
        told = f"The mail server was lost on the way: {error.cause}."
    except NotSent as error:
        told = f"The mail server refused it, {'for good' if error.lasting else 'for now'}."
    except Exception as error:  # noqa: BLE001 - it may have left, as it may for a person
        told = f"Nobody knows whether it left ({type(error).__name__}): look into the mailbox."
    finally:
        await outlet.close()
    report(as_json, {"taken": taken, "told": told}, told)
    return 0 if taken else EXIT_FAILED
