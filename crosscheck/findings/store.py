"""How is a finding's folder read and written?"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from crosscheck.canon import write_atomic
from crosscheck.errors import StudyError, UsageError, nearest
from crosscheck.findings.model import Finding
from crosscheck.toml_text import toml_text
from crosscheck.validation import validation_error

FINDING_FILE = "finding.toml"
FILES = ("panel.csv", "study.toml", "published.csv", "repro.py", "repro.R", "issue.md")


def finding_text(finding: Finding) -> str:
    """Return ``finding.toml``."""
    raw = finding.model_dump(mode="python", by_alias=True, exclude_defaults=True)
    first = {"schema": 1, "finding": finding.finding}
    return toml_text({**first, **{k: v for k, v in raw.items() if k not in first}})


def read_finding(folder: Path) -> Finding:
    """Read and check ``finding.toml``.

    Raises
    ------
    StudyError
        Where it is missing, malformed, or named otherwise than its folder.
    """
    file = folder / FINDING_FILE
    try:
        raw = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        siblings = sorted(p.parent.name for p in folder.parent.glob(f"*/{FINDING_FILE}")) if folder.parent else []
        raise StudyError(
            f"the folder has no {FINDING_FILE}", where=str(folder), hint=nearest(folder.name, siblings)
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StudyError(f"the finding cannot be read: {error}", where=str(file)) from None
    try:
        finding = Finding.model_validate(raw)
    except ValidationError as error:
        raise validation_error(error, Finding, raw, where=str(file)) from None
    if finding.finding != folder.name:
        raise StudyError(f"the finding {finding.finding!r} lies in the folder {folder.name!r}", where=str(file))
    return finding


def write_finding(root: Path, finding: Finding, files: Mapping[str, str]) -> Path:
    """Write a finding's folder below a root; each file whole or not at all, ``finding.toml`` last.

    Parameters
    ----------
    root : Path
    finding : Finding
    files : mapping of str to str
        Texts of ``panel.csv``, ``study.toml``, and of the scripts and issue text that there are.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UsageError
        Where the folder holds something else, or a file is none of a finding's.
    """
    folder = root / finding.finding
    unknown = sorted(set(files) - set(FILES))
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no file of a finding", allowed=", ".join(FILES))
    if folder.exists() and any(folder.iterdir()) and not (folder / FINDING_FILE).is_file():
        raise UsageError(
            "the folder holds something else than a finding", where=str(folder), hint="name another one with --out"
        )
    (folder / FINDING_FILE).unlink(missing_ok=True)
    for name in FILES:
        if name in files:
            write_atomic(folder / name, files[name])
        else:
            (folder / name).unlink(missing_ok=True)
    write_atomic(folder / FINDING_FILE, finding_text(finding))
    return folder


def find_findings(root: Path) -> tuple[Path, ...]:
    """Return the folders of the findings below a root, by name."""
    return tuple(sorted(p.parent for p in root.glob(f"*/{FINDING_FILE}")))
