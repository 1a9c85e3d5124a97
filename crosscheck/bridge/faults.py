"""What happened to a worker, in words?"""

from __future__ import annotations

import signal


def signal_name(number: int) -> str:
    """Return the name of a signal, such as ``SIGSEGV``."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown signal"


def describe_death(returncode: int, kind: str) -> str:
    """Say how a worker left: by a signal, or with a code of its own choice."""
    if returncode < 0:
        number = -returncode
        if number == signal.SIGKILL:
            return f"killed: signal {number} (SIGKILL), perhaps for lack of memory"
        return f"crashed: signal {number} ({signal_name(number)})"
    guess = "sys.exit or os._exit in the engine?" if kind in ("python", "thin") else "quit() in R?"
    return f"left with code {returncode} ({guess})"


def describe_timeout(seconds: float) -> str:
    """Say that the deadline passed."""
    return f"no answer within {seconds:g} s: killed"


def describe_memory(detail: str) -> str:
    """Say that memory ran out below the worker's limit."""
    return f"memory exhausted: {detail}" if detail else "memory exhausted"
