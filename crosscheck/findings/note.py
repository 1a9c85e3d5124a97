"""Does ``crosscheck run`` on the folder of a finding show it, and if not, why not?"""

from __future__ import annotations

from pathlib import Path

from crosscheck.errors import StudyError
from crosscheck.findings.model import Finding
from crosscheck.findings.store import FINDING_FILE, read_finding

PRINTED = "published.csv"


def finding_note(folder: Path) -> str:
    """Return a line about a study that is the folder of a finding; empty where it is none.

    Parameters
    ----------
    folder : Path
        Of the study.
    """
    if not (folder / FINDING_FILE).is_file():
        return ""
    try:
        finding = read_finding(folder)
    except StudyError as error:
        return f"finding: {error.what}"
    said = "the run shows it" if finding.study.shows else "the run does not show it"
    if finding.study.shows and (folder / PRINTED).is_file():
        said = "the run shows it, as the number that the package printed"
    why = f" ({finding.study.note})" if finding.study.note else ""
    scripts = " and ".join(n for n in ("repro.py", "repro.R") if (folder / n).is_file())
    return f"finding: {finding.title}\n  {said}{why}\n  {_numbers(finding)}; {scripts} run it alone"


def _numbers(finding: Finding) -> str:
    shown: dict[str, str] = {}
    for value in finding.value:
        if value.side in ("engine", "arbiter"):
            shown.setdefault(value.side, f"{value.source} {value.number:.6g}")
    return ", ".join(shown[side] for side in ("engine", "arbiter") if side in shown)
