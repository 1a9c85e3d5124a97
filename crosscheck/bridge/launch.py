"""How does a worker die with its parent and stay within its memory?

Run as a script by the parent, before the worker proper: asks the kernel for a signal at the parent's death (Linux),
limits the address space, writes no core files, and then becomes the worker. It imports nothing of crosscheck, so that
it starts in a few milliseconds, and serves workers of any language.

Usage: ``launch.py PARENT_PID MEMORY_BYTES COMMAND...`` (0: no limit).
"""

from __future__ import annotations

import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask for SIGKILL when the thread that started this process ends; only Linux offers it."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def limit(kind: int, size: int) -> None:
    """Lower one limit of the process; a system that refuses (macOS has no real RLIMIT_AS) keeps its own."""
    try:
        hard = resource.getrlimit(kind)[1]
        cap = size if hard == resource.RLIM_INFINITY else min(size, hard)
        resource.setrlimit(kind, (cap, cap))
    except (OSError, ValueError) as error:
        print(f"limit {kind} not set: {error}", file=sys.stderr)


def main(arguments: list[str]) -> None:
    """Set the limits and become the worker."""
    parent, memory = int(arguments[0]), int(arguments[1])
    die_with_parent()
    if os.getppid() != parent:
        os._exit(0)
    limit(resource.RLIMIT_CORE, 0)
    if memory:
        limit(resource.RLIMIT_AS, memory)
    os.execvp(arguments[2], arguments[2:])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
