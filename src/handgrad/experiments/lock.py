"""One trainer per run: a lock on the open metrics file, which the system lets go when its process dies.

On Windows, which has no such locks, nothing is locked, and a killed run stays 'killed' while it is resumed.
"""

import os
import sys
import time

if sys.platform != "win32":
    import fcntl

ATTEMPTS = 10


def open_locked(path):
    """A descriptor to read and append to path, locked; ValueError when another process holds the lock.

    A link in its place is not followed.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o666)
    for _ in range(ATTEMPTS):
        if take(descriptor, exclusive=True):
            return descriptor
        time.sleep(0.02)  # a trainer has it, or for an instant somebody who asks whether there is one
    os.close(descriptor)
    raise ValueError(f"{path.parent} is being trained by another process: wait until that has ended")


def is_locked(path):
    """Whether some process trains the run whose metrics file this is."""
    if not path.is_file():
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return not take(descriptor, exclusive=False)
    finally:
        os.close(descriptor)


def take(descriptor, exclusive):
    """Lock the open file, for oneself or beside other readers; False where another process has it."""
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
