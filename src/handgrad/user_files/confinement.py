"""This process shut in for good: what it may read and write, no network, no other programs. Standard library alone.

Two fences stand one behind the other. The kernel's, on Linux, holds against any code (Landlock,
https://docs.kernel.org/userspace-api/landlock.html; a network of its own where user namespaces are allowed). Python's
audit hooks hold on every system, but only against code that does not look for a way around them (PEP 578).
"""

import contextlib
import ctypes
import glob
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

if sys.platform != "win32":
    import resource

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # flags of unshare
CREATE_RULESET, ADD_RULE, RESTRICT_SELF, PATH_BENEATH = 444, 445, 446, 1
NO_NEW_PRIVILEGES = 38
READ = 0b1100  # files and folders
OF_FILES = 0b1100_0000_0000_0110  # the rights that a file by itself can have
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # how many rights a version knows; later ones 16
EXECUTE = 0b1
MOST_PROCESSES, COUNTS_APART = 64, 2  # threads too; the first version whose kernel surely counts them apart
DEVICES = ("/dev/urandom", "/dev/zero")
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store", "/opt/homebrew/lib")

PROGRAMS = ("os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "os.startfile", "os.kill")
FORBIDDEN = (*PROGRAMS, "pty.", "subprocess.", "socket.", "ctypes.", "gc.", "signal.pthread_kill", "resource.")
CHANGES = {"chmod", "chown", "link", "mkdir", "remove", "rename", "rmdir", "symlink", "truncate", "utime", "setxattr"}
LOOKS = {"open", "os.listdir", "os.scandir", "os.chdir"}


def leave_others() -> None:
    """Move to where there is no network, and a count of processes of its own, as far as the system lets us.

    A process can while it has one thread. The count is kept below a limit for all users but root.
    """
    if sys.platform == "linux":
        is_apart = ctypes.CDLL(None).unshare(NEW_USER | NEW_NETWORK) == 0
        if is_apart and kernel_version() >= COUNTS_APART:
            resource.setrlimit(resource.RLIMIT_NPROC, (MOST_PROCESSES, MOST_PROCESSES))


def confine(readable: Iterable[str | Path], writable: Iterable[str | Path]) -> None:
    """From here on read what is readable and the standard library, change what is writable, start and reach nothing."""
    read = [os.path.realpath(path) for path in (*standard_library(), *readable)]
    write = [*(os.path.realpath(path) for path in writable), os.devnull]
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            lock_files([*read, *DEVICES, *LIBRARIES], write)
    beneath = [tuple(path + os.sep for path in paths) for paths in ([*read, *write, *DEVICES], write)]

    def judge(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(FORBIDDEN):
            raise PermissionError(f"{event} is not allowed here")
        moves = event.removeprefix("os.") in CHANGES
        if event in LOOKS or moves:
            changes = moves or (event == "open" and bool((arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)))
            for path in arguments if moves else arguments[:1]:
                if isinstance(path, (str, bytes, os.PathLike)):
                    place = os.path.realpath(os.fsdecode(path)) + os.sep
                    if not place.startswith(beneath[changes]):
                        raise PermissionError(f"{os.fsdecode(path)} is not yours to {'change' if changes else 'read'}")

    sys.addaudithook(judge)


def lock_files(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Let the kernel refuse all other files, TCP, and signals to others, as far as its version can."""
    call, version = ctypes.CDLL(None, use_errno=True).syscall, kernel_version()
    if version < 1:
        return
    all_rights = 2 ** FILE_RIGHTS.get(version, 16) - 1
    handled = struct.pack("=QQQ", all_rights, 0b11, 0b11)[: 8 if version < 4 else 16 if version < 6 else 24]
    rules = call(CREATE_RULESET, handled, len(handled), 0)
    for paths, rights in ((readable, READ), (writable, all_rights & ~EXECUTE)):
        for path in filter(os.path.exists, paths):
            place = os.open(path, os.O_PATH)
            rule = struct.pack("=Qi", rights if os.path.isdir(path) else rights & OF_FILES, place)
            call(ADD_RULE, rules, PATH_BENEATH, rule, 0)
            os.close(place)
    ctypes.CDLL(None).prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    call(RESTRICT_SELF, rules, 0)
    os.close(rules)


def kernel_version() -> int:
    """The version of Landlock that the kernel has; -1 for none."""
    return int(ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, 1)) if sys.platform == "linux" else -1


def standard_library() -> Iterator[str]:
    """Its files and folders, without the packages that are installed among them."""
    for folder in {os.path.dirname(os.__file__), *(path for path in sys.path if path.startswith(sys.base_prefix))}:
        if os.path.isdir(folder):
            yield from (entry.path for entry in os.scandir(folder) if not entry.name.endswith("-packages"))
    yield from glob.glob(os.path.join(sys.base_prefix, "lib", "lib*"))  # what its compiled modules need
