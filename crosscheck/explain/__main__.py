"""What causes are known? ``python -m crosscheck.explain`` prints the catalogue as Markdown, for docs/explain.md."""

from __future__ import annotations

import re

from crosscheck.explain.known import known
from crosscheck.explain.rules import eras, packages, rules


def catalogue() -> str:
    """Return all rules, conventions of packages, defaults by version, and bugs on record as Markdown."""
    lines = ["### Rules", "", "| rule | verdict | what it says | formula | sources |", "|---|---|---|---|---|"]
    for rule in rules().values():
        cells = [f"`{rule.id}`", rule.verdict, _plain(rule.title), rule.formula, "; ".join(rule.references)]
        lines.append(_row(cells))
    lines += ["", "### Conventions by the name of their package", ""]
    lines += [
        "Over N - K: `n`, `n-1`, or `none` (no factor). K: `none` the coefficients, `none+1` and one constant,",
        "`nonnested` without effects nested in the clusters (`.data`: by the data alone), `full` every effect, `exact`",
        "their rank. G / (G - 1):",
        "`min` of the smallest dimension, `conventional` of each, `none`, `twice`.",
        "",
        "| package | covariance | over N - K | K | G / (G - 1) | degrees of freedom | source |",
        "|---|---|---|---|---|---|---|",
    ]
    for p in packages():
        lines.append(_row([p.title, ", ".join(p.vcov), p.numerator, p.k, p.g, p.df, p.source]))
    lines += ["", "### Defaults that changed", "", "| versions | what | source |", "|---|---|---|"]
    for era in eras():
        lines.append(_row([_span(era.package, era.since, era.before), f"{era.text} ({era.trait})", era.source]))
    lines += ["", "### Bugs on record", "", "| slug | versions | what | arbiter | reference |", "|---|---|---|---|---|"]
    for bug in known():
        span = _span(bug.package, bug.since, bug.before)
        lines.append(_row([f"`{bug.slug}`", span, bug.what, bug.arbiter, bug.reference]))
    return "\n".join(lines) + "\n"


def _plain(title: str) -> str:
    """Return a template as a reader takes it: one side does this, and that was asked for."""
    for name, text in (("{side}", "one side"), ("{did}", "*this*"), ("{asked}", "*that*"), ("{other}", "the other")):
        title = title.replace(name, text)
    return re.sub(r"{([a-z]+)}", r"*\1*", title)


def _span(package: str, since: str, before: str) -> str:
    if since and before:
        return f"{package} from {since}, before {before}"
    return f"{package} from {since}" if since else f"{package} before {before}" if before else f"{package}, all so far"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"


if __name__ == "__main__":
    print(catalogue(), end="")
