"""Do the effects of disjoint subsamples differ? (Family 29.)"""

from __future__ import annotations

from crosscheck.audit.checks import Check
from crosscheck.audit.families.stars import p_value
from crosscheck.audit.formulas import difference_z
from crosscheck.audit.interval import INF, show
from crosscheck.audit.paper import Paper


def subgroup_differences(paper: Paper) -> tuple[Check, ...]:
    """Ask whether effects of disjoint subsamples differ (family 29).

    ``z = (b1 - b2)/sqrt(se1**2 + se2**2)`` over the printed boxes. Assumes disjoint, independent rows, as declared.
    False positives: as many as the test has, and more where subsamples are dependent.
    """
    treatment = paper.facts.treatment
    if treatment is None:
        return ()
    parts = [c for c in paper.columns if paper.sample(c.facts.sample).group and c.get(treatment.term, "estimate")]
    out = []
    for i, a in enumerate(parts):
        for b in parts[i + 1 :]:
            if paper.sample(a.facts.sample).group != paper.sample(b.facts.sample).group:
                continue
            tokens = [c.get(treatment.term, q) for c in (a, b) for q in ("estimate", "std_error")]
            if any(t is None for t in tokens):
                continue
            b1, s1, b2, s2 = (t for t in tokens if t is not None)
            z = abs(difference_z(b1.interval, b2.interval, s1.interval, s2.interval))
            out.append(
                Check(
                    id=f"29:{a.key}~{b.key}", family=29, kind="inference law", verdict="cannot_tell",
                    tokens=(b1.id, s1.id, b2.id, s2.id), interval=z,
                    formula=f"({b1.printed} - {b2.printed})/sqrt({s1.printed}^2 + {s2.printed}^2): |z| {show(z, 3)}, "
                    f"p in [{p_value(z.hi, INF):.2g}, {p_value(z.lo, INF):.2g}]",
                    statement=f"{treatment.term} in {a.name} and {b.name}: "
                    + ("different at 5%." if z.lo > 1.96 else "not significantly different at 10%." if z.hi < 1.645
                       else "may differ."),
                    category="claim", severity="none",
                )
            )  # fmt: skip
    return tuple(out)
