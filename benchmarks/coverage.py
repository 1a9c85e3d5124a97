"""Do iid and clustered intervals hold the true effect as often as they say?

    python benchmarks/coverage.py [--panels 500] [--seed 1]

Simulates panels without and with serially correlated errors and prints bias with its Monte Carlo error, and coverage
with exact 99% binomial bounds. With serial correlation iid must fail.
"""

from __future__ import annotations

import argparse
import sys

from crosscheck.designs.coverage import World, experiment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--panels", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    failed = False
    for rho in (0.0, 0.8):
        made = experiment(World(rho=rho), given.panels, given.seed, vcovs=("iid", "HC1", "CRV1", "CRV3"))
        print(f"rho = {rho}: bias {made.bias:+.6f} (Monte Carlo error {made.bias_se:.6f}), {given.panels} panels")
        for c in made.coverage:
            word = "holds 0.95" if c.plausible(0.95) else ("TOO LOW" if c.high < 0.95 else "above 0.95")
            print(f"  {c.vcov:<5} covers {c.share:.3f}  [{c.low:.3f}, {c.high:.3f}]  {word}")
        iid = made.coverage[0]
        failed |= iid.plausible(0.95) == (rho > 0) or abs(made.bias) > 4 * made.bias_se
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
