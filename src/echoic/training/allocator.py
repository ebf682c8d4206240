"""The allocator: memory that is freed by one batch and kept for the next."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
"""Names of settings in ``malloc.h``."""


def keep_memory() -> None:
    """Let the process keep the memory that it frees, if it allocates with glibc (Linux).

    A batch needs arrays of some megabytes for a moment. glibc returns each to the system, which
    fills the next with zeros, page by page: up to a quarter of the time of an epoch. The setting
    is the whole process's, so the program decides; ``echoic train`` sets it.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return
    mallopt(M_MMAP_MAX, 0)  # no array in a mapping of its own, which ends with it
    mallopt(M_ARENA_MAX, 1)  # arenas of threads are trimmed whatever the threshold
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(M_TOP_PAD, 2**28)
