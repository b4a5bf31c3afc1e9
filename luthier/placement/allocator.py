"""Keeping freed memory on Linux.

glibc gives a large block back to the kernel as soon as it is freed, so that a training step on
the CPU page-faults its temporaries anew, every step. Raising two thresholds keeps them.
"""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> bool:
    """Has the C library keep freed blocks of up to a gibibyte for the next allocation.

    Call it before the first large tensor. Costs nothing but that the process keeps the peak of
    its memory.

    Returns:
        Whether it could be done: only with glibc.

    Source:
        mallopt(3). Raising the thresholds also switches off their automatic adjustment.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    kept = libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
    return bool(kept and libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
