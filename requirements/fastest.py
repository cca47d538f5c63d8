"""Print the Python to use: this one, or another of the same version that is clearly faster.

A region spends most of its time in Python, and builds of the same version differ by a third: those
that version managers make from source leave out profile-guided optimization unless told otherwise.
What a build was told is not written down reliably, so both do a little work and are timed.
"""

import subprocess
import sys
from pathlib import Path

ELSEWHERE = ("/usr/local/bin/python3", "/usr/bin/python3")
CLEARLY = 0.9  # of the time that this one needs
ROUNDS = 5
"""How often each is timed, in turn: a machine that is busy for a moment slows down one of them."""
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

print(sys.version_info[:2], min(seconds() for _ in range(5)), sep="|")
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
    least: dict[str, float] = {}
    versions: dict[str, str] = {}
    for python in (this, *others) * ROUNDS:
        found = measured(python)
        if found is not None:
            versions[python], seconds = found
            least[python] = min(seconds, least.get(python, seconds))
    if this not in least:
        return this
    alike = [each for each in least if versions[each] == versions[this]]
    best = min(alike, key=lambda each: least[each])
    return best if least[best] < least[this] * CLEARLY else this


if __name__ == "__main__":
    running = Path(sys.executable).resolve()
    there = [each for each in ELSEWHERE if Path(each).exists() and Path(each).resolve() != running]
    sys.stdout.write(fastest(sys.executable, there) + "\n")
