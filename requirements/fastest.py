"""Print the Python to use: this one, or another of the same version that is clearly faster.

A region spends most of its time in Python, and builds of the same version differ by a third: those
that version managers make from source leave out profile-guided optimization unless told otherwise.
What a build was told is not written down reliably, so both do a little work and are timed.
"""

import subprocess
import sys
from pathlib import Path

ELSEWHERE = ("/usr/local/bin/python3", "/usr/bin/python3")
CLEARLY = 0.85  # of the time that this one needs
SECONDS_MAX = 60

WORK = """
import asyncio, ctypes, json, ssl, sys, time, zlib, zoneinfo  # a build without them is of no use

class Need:
    def __init__(self, number):
        self.number = number
    def scored(self, by):
        return self.number * by % 1009

def work():
    of = {}
    for number in range(15_000):
        need = Need(number)
        of.setdefault(need.scored(31), []).append(f"need-{number}")
    return json.dumps(of, indent=1)

def seconds():
    begun = time.process_time()
    work()
    return time.process_time() - begun

print(sys.version_info[:2], min(seconds() for _ in range(9)), sep="|")
"""


def measured(python: str) -> tuple[str, float] | None:
    """The version of a Python and the seconds it needs for the work; None if it cannot do it."""
    try:
        done = subprocess.run(
            [python, "-I", "-S", "-c", WORK],
            capture_output=True,
            text=True,
            check=True,
            timeout=SECONDS_MAX,
        )
        version, seconds = done.stdout.strip().split("|")
        return version, float(seconds)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def fastest(this: str, others: list[str]) -> str:
    """Which of them to use."""
    own = measured(this)
    if own is None:
        return this
    version, seconds = own
    best, least = this, seconds * CLEARLY
    for other in others:
        found = measured(other)
        if found is not None and found[0] == version and found[1] < least:
            best, least = other, found[1]
    return best


if __name__ == "__main__":
    running = Path(sys.executable).resolve()
    there = [each for each in ELSEWHERE if Path(each).exists() and Path(each).resolve() != running]
    sys.stdout.write(fastest(sys.executable, there) + "\n")
