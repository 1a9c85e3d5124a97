"""What does one write to the maintainers of a package? Short, exact, and with an example that runs."""

from __future__ import annotations

from crosscheck.findings.model import Finding


def issue_text(finding: Finding, script: str, panel: str, *, language: str = "python") -> str:
    """Return ``issue.md``: title, what is seen, the example with its data, what decides, versions.

    Parameters
    ----------
    finding : Finding
    script : str
        Text of the script in the package's own language.
    panel : str
        Text of ``panel.csv``.
    language : str
        Of the script.
    """
    rows = [f"| {v.source} | {v.number:.10g} |" for v in finding.value]
    lines = [
        f"# {finding.title}",
        "",
        finding.summary.strip(),
        "",
        f"| {finding.identity.quantity} | |",
        "|---|---|",
        *dict.fromkeys(rows),
        "",
    ]
    if finding.arbiter is not None:
        lines += ["## What I expected", "", f"{finding.arbiter.formula} ({finding.arbiter.source})", ""]
    if finding.cause is not None:
        lines += ["## Where it comes from", "", f"`{finding.cause.where}`: {finding.cause.what}", ""]
    versions = ", ".join(f"{name} {version}" for name, version in finding.versions.items())
    lines += [
        "## Example",
        "",
        "`panel.csv`:",
        "",
        "```",
        panel.strip(),
        "```",
        "",
        f"```{language}",
        script.strip(),
        "```",
        "",
        f"Versions: {versions}.",
    ]
    return "\n".join(lines) + "\n"
