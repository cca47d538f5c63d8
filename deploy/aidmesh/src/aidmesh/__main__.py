"""`aidmesh`: the operators' command. Add a command here, its module in `aidmesh.commands`."""

import gc

from cyclopts import App
from cyclopts.config import Env

from aidmesh.commands import (
    backup,
    bench,
    chaos,
    completion,
    dead,
    demo,
    doctor,
    import_,
    joining,
    keys,
    lock,
    logs,
    own_servers,
    rebuild,
    replay,
    retiring,
    retry_all,
    staff,
    status,
    supervise,
    topology,
    trace,
    try_mail,
    up,
    verify,
)
from aidmesh.commands.common import EXIT_CODES

EPILOGUE = "Exit codes:\n" + "\n".join(f"  {code}: {what}." for code, what in EXIT_CODES.items())


def build() -> App:
    """The command line, nothing heavy imported."""
    app = App(
        name="aidmesh",
        help="Run, provision, check and demonstrate an Aidmesh mesh.",
        config=Env("AIDMESH_", command=False),  # AIDMESH_DATA for --data, in a container
        help_epilogue=EPILOGUE,
        help_format="plaintext",  # rendering Markdown takes longer than everything else
        help_formatter="plain",
    )
    app.command(up.up)
    app.command(demo.demo)
    app.command(supervise.provision)
    app.command(supervise.supervise)
    app.command(import_.import_, name="import")
    app.command(verify.verify)
    app.command(status.status)
    app.command(doctor.doctor)
    app.command(logs.logs)
    app.command(trace.trace)
    app.command(try_mail.try_mail)
    app.command(backup.backup)
    app.command(backup.restore)

    aside = App(name="dead", help="Messages that could not be handled.")
    aside.command(dead.show_all, name="list")
    for look in (dead.show, dead.retry, dead.drop):
        aside.command(look)
    aside.command(retry_all.retry_all)
    app.command(aside)
    app.command(replay.replay)
    app.command(rebuild.rebuild)

    mesh = App(name="topology", help="Regions, their links, streams and durables.")
    for command in (
        topology.plan,
        topology.apply,
        topology.check,
        topology.recover,
        own_servers.render,
        own_servers.keep,
    ):
        mesh.command(command)
    mesh.command(joining.ask)
    mesh.command(joining.invite)
    mesh.command(joining.join)
    mesh.command(joining.rejoin)
    mesh.command(retiring.retire)
    mesh.command(retiring.unlink)
    app.command(mesh)

    secret = App(name="keys", help="The keys of regions.")
    secret.command(keys.init)
    secret.command(keys.rotate)
    secret.command(keys.show)
    secret.command(keys.protect)
    secret.command(keys.passphrase)
    secret.command(backup.keys, name="backup")
    app.command(secret)
    app.command(lock.lock)
    app.command(lock.unlock)

    speed = App(name="bench", help="What this machine can do.")
    speed.command(bench.needs)
    speed.command(bench.rows, name="import")
    app.command(speed)

    app.command(chaos.chaos)

    people = App(name="staff", help="Who may sign in to a region's desk.")
    people.command(staff.show, name="list")
    for change in (
        staff.add,
        staff.disable,
        staff.enable,
        staff.roles,
        staff.password,
        staff.token,
    ):
        people.command(change)
    app.command(people)
    app.command(completion.completing(app), name="--install-completion")
    return app


def main() -> None:
    """The console script."""
    gc.set_threshold(50_000, 20, 50)  # what a command imports is no garbage; looking takes long
    build()()


if __name__ == "__main__":
    main()
