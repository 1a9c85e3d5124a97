"""Which releases of a package lie between two versions, in the package index?

pip is asked (``pip index versions``), by uv where pip is not installed; it leaves out pre-releases and releases that
were yanked, and those that this Python cannot have.
"""

from __future__ import annotations

import os
import re
import subprocess

from crosscheck.errors import EngineMissing, UsageError
from crosscheck.upgrade.eras import release
from crosscheck.upgrade.origins import pip_command

_LINE = re.compile(r"^Available versions:\s*(.+)$", re.MULTILINE)
_FINAL = re.compile(r"[0-9]+(\.[0-9]+)*(\.post[0-9]+)?")
TIMEOUT = 120


def between(distribution: str, first: str, last: str) -> tuple[str, ...]:
    """Return all releases from one version to another, both included, oldest first.

    Raises
    ------
    EngineMissing
        Where the index cannot be asked.
    UsageError
        Where one of the ends is no release there, or the first is the newer one.
    """
    known = released(distribution)
    if last == "latest":
        last = known[-1]
    for end in (first, last):
        if end not in known:
            near = [v for v in known if release(v)[:2] == release(end)[:2]] or known[-6:]
            raise UsageError(
                f"{end} is no release of {distribution} for this Python in the package index",
                allowed=", ".join(near),
                hint="a range runs from one release to another; pre-releases and yanked ones are left out",
            )
    i, j = known.index(first), known.index(last)
    if i >= j:
        raise UsageError(f"{first} is not older than {last}", hint="give the older release with --from")
    return known[i : j + 1]


def released(distribution: str) -> tuple[str, ...]:
    """Return all final releases of a distribution that are not yanked, oldest first.

    Raises
    ------
    EngineMissing
        Where the index cannot be asked.
    """
    command = pip_command()
    if not command:
        raise EngineMissing("neither pip nor uv is here to ask the package index", hint="pip install uv")
    command += ["index", "versions", distribution, "--disable-pip-version-check", "--no-input"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=TIMEOUT, stdin=subprocess.DEVNULL,
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineMissing(f"the package index cannot be asked for {distribution}: {error}") from error
    found = _LINE.search(done.stdout)
    if found is None:
        words = " ".join((done.stderr or done.stdout).split())[-300:]
        raise EngineMissing(
            f"the package index does not list {distribution}: {words}", hint="run once with a connection"
        )
    versions = [v.strip() for v in found[1].split(",")]
    return tuple(sorted((v for v in versions if _FINAL.fullmatch(v)), key=_order))


def _order(version: str) -> tuple[tuple[int, ...], int]:
    number, _, post = version.partition(".post")
    return release(number), int(post or -1)
