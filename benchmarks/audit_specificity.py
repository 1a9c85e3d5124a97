"""How often is an honest table called inconsistent, and how often is the kind of standard error named rightly?

Run ``python benchmarks/audit_specificity.py [--papers 2000] [--blocks 300] [--seed 5000]``. Papers are printed from
real regressions on simulated panels: classical, HC1 and clustered SEs, with and without controls and mediators,
balanced and not, 2 to 4 decimals, padded digits or not, dummies or absorbed effects.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

from crosscheck.audit import audit
from crosscheck.audit.api import AuditReport
from crosscheck.audit.simulate import simulate_paper


def named(report: AuditReport) -> str:
    """What the audit calls the SEs of a paper: iid, not, both, or nothing."""
    kinds = sorted({c.id.split(":")[1] for c in report.checks if c.family == 36})
    return "+".join(kinds) or "nothing"


def rate(bad: int, total: int) -> str:
    """A share with the upper end of its 95% interval (rule of three where nothing was seen)."""
    upper = 3.0 / total if bad == 0 else (bad + 2.0 * bad**0.5 + 2.0) / total
    return f"{bad} of {total} ({bad / total:.3%}, at most {upper:.3%} with 95% confidence)"


def main() -> None:
    """Simulate, audit, count."""
    options = argparse.ArgumentParser()
    options.add_argument("--papers", type=int, default=2000)
    options.add_argument("--blocks", type=int, default=300)
    options.add_argument("--seed", type=int, default=5000)
    args = options.parse_args()
    start = time.perf_counter()
    wrong: list[str] = []
    names: Counter[tuple[str, str]] = Counter()
    cells: Counter[tuple[str, int, bool]] = Counter()
    joint: Counter[str] = Counter()
    tables = 0
    for seed in range(args.seed, args.seed + args.papers):
        simulated = simulate_paper(seed)
        report = audit(simulated.frame, simulated.facts)
        tables += simulated.frame["table"].nunique()
        hit = {report.paper.tokens[t].table for c in report.inconsistent for t in c.tokens}
        wrong += [f"{seed}:{table}" for table in sorted(hit)]
        names[(simulated.se, named(report))] += 1
        cells[(simulated.se, simulated.decimals, simulated.balanced)] += 1
        joint.update(c.verdict for c in report.checks if c.family == 34)
    print(f"honest papers: {args.papers}, tables: {tables}, {time.perf_counter() - start:.0f} s")
    print(f"tables called inconsistent: {rate(len(wrong), tables)} {wrong}")
    print(f"joint feasibility of honest samples: {dict(joint)}")
    print("papers by SE, decimals, balanced:", dict(sorted(cells.items())))
    print("SE as named (truth, named):")
    for key, count in sorted(names.items()):
        print(f"  {key[0]:<8} {key[1]:<8} {count}")
    right = {"iid": {"nothing", "iid"}, "hetero": {"nothing", "not"}, "cluster": {"nothing", "not"}}
    mistakes = sum(count for (truth, said), count in names.items() if said not in right[truth])
    print(f"named wrongly: {rate(mistakes, args.papers)}")
    blocks = Counter(named(audit(p.frame, p.facts, joint_step=False)) for p in (
        simulate_paper(seed, "iid", like_paper=True) for seed in range(args.seed, args.seed + args.blocks)
    ))  # fmt: skip
    print(f"iid blocks like the founding paper's, named: {dict(blocks)} of {args.blocks}")


if __name__ == "__main__":
    main()
