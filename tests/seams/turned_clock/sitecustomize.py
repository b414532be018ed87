"""Python imports this first in a server whose `PYTHONPATH` leads here: its wall clock is off by what a file says.

It changes where Python reads the wall clock, and nothing else; the clock that never goes back stays as it is.
"""

import mmap
import os
import time


def turn(place):
    with open(place, "rb") as file:
        shown = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    nanoseconds = time.time_ns

    def time_ns():
        return nanoseconds() + int(shown[:]) * 1_000_000_000

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1_000_000_000


if "SEAMS_CLOCK" in os.environ:
    turn(os.environ["SEAMS_CLOCK"])
