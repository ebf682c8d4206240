"""The allocator: what batches are made in need not be fetched anew for each of them."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
"""Names of settings in ``malloc.h``."""


def keep_memory() -> None:
    """Let the process keep the memory that it frees, where it allocates with glibc (Linux).

    A batch comes and goes in arrays of some megabytes. glibc hands each back to the system, which
    fills the next with zeros, page by page: up to a quarter of the time of an epoch. The setting is
    the whole process's, so a program of one's own decides; ``echoic train`` sets it.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return
    mallopt(M_MMAP_MAX, 0)  # nothing in mappings of its own, which end with the array
    mallopt(M_ARENA_MAX, 1)  # the arenas of threads are cut back whatever the threshold
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(M_TOP_PAD, 2**28)
