"""How do the findings read as one table of a document?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from crosscheck.findings.model import Finding
from crosscheck.findings.store import read_finding

HEADER = ("package", "what", "says", "arbiter", "right with it", "upstream")


def findings_table(folders: Iterable[Path], root: str) -> str:
    """Return a Markdown table of findings, one row each, in the order of the folders.

    Parameters
    ----------
    folders : iterable of Path
    root : str
        Path of the findings as the document links to them.
    """
    rows = [_row(folder.name, read_finding(folder), root) for folder in folders]
    lines = [HEADER, tuple("---" for _ in HEADER), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _row(name: str, finding: Finding, root: str) -> tuple[str, ...]:
    engine = next(v.number for v in finding.value if v.side == "engine")
    arbiter = next((v.number for v in finding.value if v.side == "arbiter"), float("nan"))
    supports = ", ".join(finding.arbiter.supports) if finding.arbiter is not None else ""
    title = finding.title.replace("|", "\\|")
    return (
        f"{package(finding)} {finding.identity.version}",
        f"[{title}]({root}/{name}/)",
        f"{engine:.5g}",
        f"{arbiter:.5g}",
        supports or "-",
        _upstream(finding),
    )


def package(finding: Finding) -> str:
    """Return the package that a finding is about: the one among its versions whose version the identity carries."""
    scripts = (*finding.scripts.python, *finding.scripts.r)
    own = finding.identity.engine.removeprefix("r.")
    if own in finding.versions:
        return own
    return next((p for p in scripts if finding.versions.get(p) == finding.identity.version), own)


def _upstream(finding: Finding) -> str:
    upstream = finding.upstream
    if upstream is None or not upstream.url:
        return "not reported"
    number = "#" + upstream.url.rstrip("/").rsplit("/", 1)[-1]
    return f"[{number}]({upstream.url})" + (", fixed since" if finding.status == "fixed" else "")
