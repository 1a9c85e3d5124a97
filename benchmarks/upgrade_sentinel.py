"""How long does a check of two versions over the sentinel set take, without R, once their environments are built?

    python benchmarks/upgrade_sentinel.py [PACKAGE FROM TO]...

The first check builds the environments (and whatever they compile); the second, with no cache of answers, is what is
measured: it has to take less than three minutes on two quiet cores. Wall time on a busy machine says little: CPU time
is printed beside it.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time

BUDGET = 180.0
PAIRS = (
    ("pyfixest", "0.50.1", "0.60.0"),
    ("linearmodels", "6.1", "7.0"),
    ("statsmodels", "0.14.6", "0.15.0"),
    ("csdid", "0.4.2", "0.4.3"),
)


def check(package: str, old: str, new: str) -> tuple[float, float, str]:
    """Run one check; return wall and CPU seconds, and its first line."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "crosscheck", "upgrade", "--package", package, "--from", old, "--to", new]
        command += ["--sentinel", "--transport", "recorded", "--no-cache", "--out", out, "--format", "text"]
        done = subprocess.run(
            command,
            env=os.environ | {"CROSSCHECK_RSCRIPT": "none"},
            capture_output=True,
            text=True,
            check=False,
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = (done.stdout or done.stderr).strip().splitlines()
    return time.perf_counter() - began, cpu, said[0] if said else f"exit {done.returncode}"


def main() -> None:
    words = sys.argv[1:]
    pairs = [tuple(words[k : k + 3]) for k in range(0, len(words), 3)] or list(PAIRS)
    slow = 0
    for package, old, new in pairs:
        check(package, old, new)
        wall, cpu, said = check(package, old, new)
        slow += min(wall, cpu) > BUDGET
        print(f"{package} {old} -> {new}: {wall:.0f} s wall, {cpu:.0f} s CPU, of {BUDGET:.0f} allowed; {said}")
    raise SystemExit(1 if slow else 0)


if __name__ == "__main__":
    main()
