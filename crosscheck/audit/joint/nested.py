"""How far can a coefficient and its variance move when regressors are added to a column? (Families 19, 21, 34.)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosscheck.audit.paper import ColumnView

if TYPE_CHECKING:
    from crosscheck.audit.joint.model import Block


def bound_nested(block: Block, small: ColumnView, large: ColumnView) -> None:
    """Bound what added regressors can do: to shared coefficients, to their variance, and by themselves.

    With S the residual cross products of the added regressors, g their coefficients and d what one shared term
    loads on them, ``b_s - b_l = d'g``, ``v_l - v_s = d'(1/S)d`` and ``SSE_s - SSE_l = g'Sg``: Cauchy and Schwarz
    give ``(b_s - b_l)**2 <= (v_l - v_s)(SSE_s - SSE_l)``. One added term alone explains ``b**2/v``, which is no more
    than all of them.
    """
    s = block.system
    if not (block.has_scale(small) and block.has_scale(large)):
        return
    drop = s.sub(block.sse[small.key], block.sse[large.key])
    same_effects = set(small.facts.fixed_effects) == set(large.facts.fixed_effects)
    for term in large.printed_terms:
        v = block.factor.get((block.design(large), term))
        b = block.coef.get((large.key, term))
        if v is None or b is None:
            continue
        v0, b0 = block.factor.get((block.design(small), term)), block.coef.get((small.key, term))
        if term in small.facts.terms or (term == block.paper.facts.constant_term and same_effects):
            if v0 is not None and b0 is not None:
                s.le(v0, v)
                s.le(s.sq(s.sub(b0, b)), s.mul(s.sub(v, v0), drop))
        elif term in large.facts.terms:
            s.le(s.sq(b), s.mul(v, drop))
