"""Why do two sources disagree on a joint test whose coefficients they agree on? They use another distribution."""

from __future__ import annotations

import math

from crosscheck.conventions import lre
from crosscheck.explain.model import ENOUGH_DIGITS, Departure, Explanation, write
from crosscheck.results import EstimationResult
from crosscheck.wald import PREFIXES, joint_test, members, own_df

PRINTS = 1e-6


def explain_joint(
    reference: EstimationResult, candidate: EstimationResult, term: str, quantity: str
) -> tuple[Explanation, ...]:
    """Replay the candidate's joint test with the reference's degrees of freedom; empty where that closes no gap.

    The covariances of the two may differ in the last digits, which a joint test of nearly collinear coefficients
    magnifies, so the replay must meet the reference to nine digits or one part in a million, whichever it can.
    """
    if not term.startswith(PREFIXES) or quantity not in ("statistic", "p_value"):
        return ()
    chosen = members(term, [row.term for row in candidate.coefs])
    chi2 = term.startswith("chi2:")
    df_reference, df_candidate = own_df(reference, chosen), own_df(candidate, chosen)
    if not chosen or df_reference == df_candidate:
        return ()
    mine, theirs = joint_test(candidate, chosen, chi2=chi2, df=df_reference), joint_test(reference, chosen, chi2=chi2)
    if mine is None or theirs is None:
        return ()
    at = 0 if quantity == "statistic" else 1
    replay, target = mine[at], theirs[at]
    if lre(target, replay) < ENOUGH_DIGITS and abs(replay - target) > PRINTS * abs(target):
        return ()
    names = {side: _law(df, len(chosen)) for side, df in (("r", df_reference), ("c", df_candidate))}
    departure = Departure(
        rule="df.joint",
        side=candidate.engine,
        opposite=reference.engine,
        did=names["c"],
        asked=names["r"],
        words={"other": reference.engine},
    )
    text = f"W = b' V^-1 b = {mine[0] * (1 if chi2 or math.isinf(df_reference) else len(chosen)):.10g}; "
    text += f"p = P({names['r']} > statistic) = {mine[1]:.10g}"
    return (write((departure,), formula=text, replay=replay, reference=target),)


def _law(df: float, q: int) -> str:
    return f"chi2({q})" if math.isinf(df) else f"F({q}, {df:g})"
