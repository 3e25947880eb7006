"""Where a run comes from: versions, machine, threads, and the state of the folder it was started in."""

import importlib.metadata
import os
import platform
import subprocess

from ..kernels import num_threads

PACKAGES = ("handgrad", "numpy", "safetensors", "torch")
THREADS = ("HANDGRAD_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE")


def versions():
    """{'python': '3.13.1', 'numpy': '2.1.0', ...} of what is installed, imported or not."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine():
    """{'system': ..., 'processor': ..., 'cores': ...}."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processor": processor(),
        "cores": os.cpu_count(),
    }


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def threads():
    """{'num_threads': 2, 'OPENBLAS_NUM_THREADS': '1'}: what decides how sums are split, and so their last bits."""
    return {"num_threads": num_threads(), **{name: os.environ[name] for name in THREADS if name in os.environ}}


def git_state():
    """{'commit': ..., 'branch': ..., 'changed': whether tracked files differ from it}, or None outside a repository."""
    commit = git("rev-parse", "HEAD")
    if not commit:
        return None
    return {
        "commit": commit,
        "branch": git("rev-parse", "--abbrev-ref", "HEAD"),
        "changed": bool(git("status", "--porcelain", "--untracked-files=no")),
    }


def git(*arguments):
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
