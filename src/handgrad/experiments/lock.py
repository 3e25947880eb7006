"""One trainer per run: a lock on the open metrics file, which the system lets go when its process dies."""

import contextlib
import os
import time

try:
    import fcntl
except ModuleNotFoundError:  # Windows: runs are not locked there
    fcntl = None

ATTEMPTS = 10


def open_locked(path):
    """A descriptor to read and append to path, locked; ValueError when another process holds the lock.

    A link in its place is not followed.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o666)
    for _ in range(ATTEMPTS):
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:  # a trainer, or for an instant somebody who asks whether there is one
            time.sleep(0.02)
    os.close(descriptor)
    raise ValueError(f"{path.parent} is being trained by another process: wait until that has ended")


def is_locked(path):
    """Whether some process trains the run whose metrics file this is."""
    if fcntl is None or not path.is_file():
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    return False
