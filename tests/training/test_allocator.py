"""Memory that is kept between batches."""

import subprocess
import sys

import pytest


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the setting is glibc's")
def test_memory_that_was_freed_is_kept_for_the_next_array():
    """Counted in page faults: an array of 64 MB that is fetched anew costs at least 32 of them."""
    code = """
import resource
import numpy as np
from echoic.training.allocator import keep_memory

keep_memory()
faults = []
for _ in range(6):
    np.ones(2**24, dtype=np.float32)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(faults[-1] - faults[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 32
