"""Are the numbers of a finding still seen?

Each script runs in a process of its own, in an empty folder to which the finding's ``panel.csv`` was copied, and prints
``label = number`` on lines of their own. Nothing is imported from a finding.
"""

from __future__ import annotations

import importlib.metadata
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crosscheck.bridge import find_r, r_packages
from crosscheck.findings.model import PYTHON_SCRIPT, R_SCRIPT, Finding, Value

TIMEOUT = 120.0
TAIL = 1500
_LINE = re.compile(
    r"(?P<label>[^=\n]*[^=\s])\s*=\s*(?P<number>[-+]?(?:[0-9.]+(?:[eE][-+]?[0-9]+)?|nan|NaN|inf|Inf))\s*"
)
_BASE_R = frozenset({"stats", "utils", "base"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What came of one script.

    Attributes
    ----------
    script : str
    skipped : str
        Why it was not run; empty where it was.
    error : str
        Why it did not end well; empty where it did.
    gone : tuple of str
        What is no longer as recorded, in words.
    seen : mapping of str to float
        All numbers printed.
    """

    script: str
    skipped: str = ""
    error: str = ""
    gone: tuple[str, ...] = ()
    seen: Mapping[str, float] | None = None

    @property
    def holds(self) -> bool:
        """Whether the script ran and every recorded number was seen."""
        return not (self.skipped or self.error or self.gone)


def printed_numbers(text: str) -> dict[str, float]:
    """Read lines of the form ``label = number``; other lines say something to people."""
    found = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match:
            found[match["label"].strip()] = float(match["number"])
    return found


def replay(folder: Path, finding: Finding, script: str, *, timeout: float = TIMEOUT) -> Replay:
    """Run a script of a finding and compare what it prints with what is recorded.

    Parameters
    ----------
    folder : Path
        Of the finding.
    script : str
        ``repro.py`` or ``repro.R``.
    """
    packages = finding.scripts.python if script == PYTHON_SCRIPT else finding.scripts.r
    recorded = tuple(v for v in finding.value if v.script == script)
    lacking = _lacking(script, packages)
    if lacking or not recorded:
        return Replay(script=script, skipped=lacking or f"{finding.finding} has no {script}")
    versions = _versions(script, packages)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for file in (script, "panel.csv"):
            shutil.copyfile(folder / file, place / file)
        command = [sys.executable, script] if script == PYTHON_SCRIPT else [_rscript(), "--vanilla", script]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC", "TMPDIR": name}
        environment.pop("PYTHONHASHSEED", None)
        try:
            done = subprocess.run(
                command, cwd=place, env=environment, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            return Replay(script=script, error=f"{script} did not end within {timeout:g} seconds")
    if done.returncode != 0:
        return Replay(script=script, error=f"{script} ended with {done.returncode}:\n{done.stderr[-TAIL:]}")
    seen = printed_numbers(done.stdout)
    gone = tuple(g for v in recorded if (g := _gone(v, seen, finding, versions)))
    return Replay(script=script, gone=gone, seen=seen)


def _gone(value: Value, seen: Mapping[str, float], finding: Finding, versions: Mapping[str, str]) -> str:
    if value.label not in seen:
        return f"{value.script} prints no line '{value.label} = ...'"
    number = seen[value.label]
    if math.isnan(value.number) and math.isnan(number):
        return ""
    if math.isclose(number, value.number, rel_tol=value.rtol, abs_tol=0.0) or number == value.number:
        return ""
    now = ", ".join(f"{p} {versions[p]}" for p in sorted(versions) if versions[p] != finding.versions.get(p))
    why = f"with {now} here" if now else "with the versions of the finding"
    return f"{value.label}: recorded {value.number!r}, now {number!r} ({why}): fixed upstream? then update status"


def _lacking(script: str, packages: tuple[str, ...]) -> str:
    if script == PYTHON_SCRIPT:
        missing = [p for p in packages if not _python_version(p)]
        return f"the Python package {missing[0]} is not installed" if missing else ""
    if find_r() is None:
        return "R is not here"
    missing = [p for p in packages if p not in _BASE_R and p not in r_packages()]
    return f"the R package {missing[0]} is not installed" if missing else ""


def _python_version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _versions(script: str, packages: tuple[str, ...]) -> dict[str, str]:
    if script == R_SCRIPT:
        return {p: r_packages()[p] for p in packages if p in r_packages()}
    return {p: _python_version(p) for p in packages}


def _rscript() -> str:
    found = find_r()
    assert found is not None
    return found.rscript
