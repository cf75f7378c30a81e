"""Where a result comes from: the commit of the checkout and the machine, in words."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from diff_planner import __version__, resources


def commit() -> str:
    """Return the commit of the source checkout, with "-dirty" where files were changed.

    Outside a git checkout it is the package's version, marked as such.
    """
    root = resources.checkout()
    head = _git(root, "rev-parse", "HEAD") if root else None
    if root is None or head is None:
        return f"unknown (version {__version__})"
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"{head}-dirty" if changed else head


def machine() -> str:
    """Return processor, number of usable cores, system and Python version."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{_processor()}, {cores} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}"
    )


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or "processor unknown"
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


def _git(root: Path, *arguments: str) -> str | None:
    """Run git in the checkout; None where git or the repository is not there."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
