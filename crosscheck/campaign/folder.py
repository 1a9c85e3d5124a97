"""How does a shrunk discrepancy become a folder that replays by itself and can be shown?

The format is that of :mod:`crosscheck.findings`. What the campaign cannot know (which side is right and why) is left to
whoever looks at it: the finding has the status ``own``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

from crosscheck import engines
from crosscheck.campaign.case import Case, Discrepancy
from crosscheck.finding_folder import study_text
from crosscheck.findings import Finding, FindingIdentity, Scripts, StudyUse, Value, panel_csv, write_finding
from crosscheck.findings.issue import issue_text
from crosscheck.findings.scripts import python_script, r_script
from crosscheck.study_file import MAX_ID


def write_folder(root: Path, case: Case, one: Discrepancy, versions: Mapping[str, str], day: dt.date) -> Path | None:
    """Write ``panel.csv``, ``study.toml``, the scripts, ``finding.toml`` and ``issue.md``; return the folder.

    Returns ``None`` for what is no pair of numbers: a broken relation, an error on one side, a missing term.

    Raises
    ------
    CrosscheckError
        Where the panel cannot be written as text, or the folder holds something else.
    """
    identity = one.identity
    if not identity.against or not isinstance(one.value, float) or not isinstance(one.other, float):
        return None
    names = (identity.engine, identity.against)
    python = python_script(names, case.request, case.frame, one.term, identity.quantity)
    r = r_script(names, case.request, one.term, identity.quantity)
    if not python and not r:
        return None
    name = identity.slug[:MAX_ID].rstrip("-")
    what = f"{identity.quantity} of {one.term}" if one.term else identity.quantity
    title = f"{what}: {identity.engine} and {identity.against} differ"
    languages = {e: engines.get(e).language for e in names}
    packages = {
        language: tuple(dict.fromkeys(p for e in names if languages[e] == language for p in engines.get(e).packages))
        for language in ("python", "r")
    }
    finding = Finding(
        schema=1,
        finding=name,
        title=title,
        status="own",
        seen_on=day.isoformat(),
        summary=f"{one.says}, on {case.frame.nrows} rows.",
        identity=FindingIdentity(
            rule=identity.rule,
            engine=identity.engine,
            version=identity.version or "unknown",
            against=identity.against,
            quantity=identity.quantity,
            features=identity.features,
        ),
        versions={e: versions.get(e) or "unknown" for e in names},
        scripts=Scripts(python=packages["python"] if python else (), r=packages["r"] if r else ()),
        study=StudyUse(shows=True),
        value=tuple(
            Value(
                label=e,
                script="repro.R" if languages[e] == "r" and r else "repro.py",
                side="engine" if e == identity.engine else "witness",
                source=e,
                number=number,
            )
            for e, number in zip(names, (one.value, one.other), strict=True)
        ),
    )
    panel = panel_csv(case.frame)
    shown, language = (python, "python") if python else (r, "r")
    files = {
        "panel.csv": panel,
        "study.toml": study_text(name, title, case.frame, case.request, *names),
        "issue.md": issue_text(finding, shown, panel, language=language),
        **({"repro.py": python} if python else {}),
        **({"repro.R": r} if r else {}),
    }
    return write_finding(root, finding, files)
