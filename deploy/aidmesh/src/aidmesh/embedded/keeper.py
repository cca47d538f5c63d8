"""Keeps one server and never outlives its owner.

Run as a script (``python -I -S keeper.py STOP_SIGNAL STOP_MS UID GID COMMAND...``), standard
library only: it costs some milliseconds and a few megabytes per server.

The owner holds the writing end of standard input. However the owner ends (return, Ctrl-C,
SIGKILL, crash), the kernel closes that end; the keeper then stops the server with its own signal,
waits at most STOP_MS, and kills what is left. Should the keeper itself be killed, Linux sends the
server the stop signal (PR_SET_PDEATHSIG; it is set after the change of user, which clears it).

It writes ``PID\n`` to standard output as soon as the server's process exists, and ends with the
server's exit status (128 + signal if it was killed). UID and GID of -1 mean "as I am".
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
POLL_S = 0.02


def _become_server(
    keeper_pid: int, stop_signal: int, uid: int, gid: int, log_fd: int, command: list[str]
) -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log_fd, 1)
    os.dup2(log_fd, 2)
    if uid >= 0:
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, stop_signal, 0, 0, 0)
        if os.getppid() != keeper_pid:  # it died before the request was in place
            os._exit(125)
    os.execv(command[0], command)  # noqa: S606 - no shell is the point


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _signal_server(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _exited(pid: int) -> int | None:
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _stop(pid: int, stop_signal: int, stop_ms: int) -> int:
    _signal_server(pid, stop_signal)
    deadline = time.monotonic() + stop_ms / 1000
    while time.monotonic() < deadline:
        code = _exited(pid)
        if code is not None:
            return code
        time.sleep(POLL_S)
    _signal_group(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def main(arguments: list[str]) -> int:
    """Start the command, wait for its end or the owner's, and leave nothing behind."""
    stop_signal, stop_ms, uid, gid = (int(argument) for argument in arguments[:4])
    command = arguments[4:]
    wake_r, wake_w = os.pipe()
    os.set_blocking(wake_w, False)
    signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP):  # the owner decides when to stop
        signal.signal(number, signal.SIG_IGN)
    asked_to_stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked_to_stop.append(number))

    keeper_pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(wake_r)
            os.close(wake_w)
            _become_server(keeper_pid, stop_signal, uid, gid, 2, command)
        finally:
            os.write(2, f"cannot run {command[0]}: {sys.exc_info()[1]}\n".encode())
            os._exit(126)

    os.write(1, f"{pid}\n".encode())
    os.close(1)
    code = None
    while code is None:
        ready, _, _ = select.select([0, wake_r], [], [])
        if wake_r in ready:
            os.read(wake_r, 512)
        code = _exited(pid)
        owner_gone = 0 in ready and not os.read(0, 512)
        if code is None and (owner_gone or asked_to_stop):
            code = _stop(pid, stop_signal, stop_ms)
    _signal_group(pid, signal.SIGKILL)  # whatever the server started in its own session
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
