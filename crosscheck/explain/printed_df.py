"""Why does an engine miss a printed p-value whose estimate and standard error it has? It uses another distribution."""

from __future__ import annotations

import math
from collections.abc import Iterable

from crosscheck.compare_known import inside
from crosscheck.explain.model import Explanation
from crosscheck.judging import inference
from crosscheck.published import PublishedNumber
from crosscheck.results import EstimationResult
from crosscheck.wald import PREFIXES, joint_test, members, own_df

DIGITS = 15.0


def explain_printed_df(
    number: PublishedNumber, result: EstimationResult, others: Iterable[EstimationResult], level: float
) -> tuple[Explanation, ...]:
    """Replay a printed statistic, p-value or bound with the degrees of freedom that the other engines use.

    Parameters
    ----------
    number : PublishedNumber
        A printed number that ``result`` misses.
    result : EstimationResult
    others : iterable of EstimationResult
        Fits of the same column; each distribution that one of them uses is tried, once.
    level : float
        Of printed confidence bounds.
    """
    joint = number.term.startswith(PREFIXES)
    chosen = members(number.term, [row.term for row in result.coefs]) if joint else (number.term,)
    if not chosen or result.coef(chosen[0]) is None:
        return ()
    mine = own_df(result, chosen)
    users: dict[float, str] = {}
    for other in others:
        if other.status == "ok" and other.engine != result.engine and other.coef(chosen[0]) is not None:
            users.setdefault(own_df(other, chosen), other.engine)
    for df, engine in sorted(users.items()):
        value = None if df == mine else _replay(number, result, chosen, df, level)
        if value is None or not inside(value, number):
            continue
        return (
            Explanation(
                rule="t.df",
                title=f"{result.engine} uses {_law(mine)}; the printed number is that of {_law(df)}, as in {engine}",
                formula=f"{number.quantity} from the estimate and standard error of {result.engine} with "
                f"{_law(df)} = {value:.10g}, printed {number.text}",
                replay=value,
                digits_after=DIGITS,
                remedy={result.engine: f"compare the statistic with {_law(df)}"},
            ),
        )
    return ()


def _replay(
    number: PublishedNumber, result: EstimationResult, chosen: tuple[str, ...], df: float, level: float
) -> float | None:
    if number.term.startswith(PREFIXES):
        tested = joint_test(result, chosen, chi2=number.term.startswith("chi2:"), df=df)
        return None if tested is None else tested[0 if number.quantity == "statistic" else 1]
    row = result.coef(chosen[0])
    return None if row is None else inference(row, df, level).get(number.quantity)


def _law(df: float) -> str:
    return "the normal" if math.isinf(df) else f"t({df:g})"
