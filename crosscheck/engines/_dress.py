"""How else can the same data, and the same model, be handed to a Python package?

Under another index, with text as objects, with nullable or Arrow columns, and as one of several models of a call. Such
ways decide nothing, or the package is at fault; the property ``data_frame`` asks for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crosscheck.errors import Unsupported

DRESSES = ("offset index", "text index", "repeated index", "objects", "nullable", "arrow", "multiple")
OTHER = "second_outcome"


def dressed(data: Any, dress: str | None) -> Any:
    """Return a pandas frame in another dress.

    Raises
    ------
    Unsupported
        For a dress that there is not, or that needs a package which is not here.
    """
    import pandas as pd

    if dress is None:
        return data
    if dress not in DRESSES:
        raise Unsupported(f"there is no way {dress!r} to hand data over (never)")
    n = len(data)
    if dress.endswith("index"):
        index: Any = {
            "offset index": np.arange(n) + 100,
            "text index": [f"row {(7 * k) % (7 * n + 1)}" for k in range(n)],
            "repeated index": np.arange(n) // 2,
        }[dress]
        return data.set_axis(pd.Index(index), axis=0)
    categories = [c for c in data.columns if isinstance(data[c].dtype, pd.CategoricalDtype)]
    if dress == "objects":
        return data.assign(**{c: data[c].astype(object) for c in categories})
    if dress == "nullable":
        return data.convert_dtypes()
    if dress == "arrow":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise Unsupported("pyarrow is not here (notimpl)") from None
        return data.convert_dtypes(dtype_backend="pyarrow")
    return data


def among_others(text: str, data: Any, dress: str | None) -> tuple[str, Any]:
    """Return formula and data of a call that fits the model beside one of another outcome, which lacks some values."""
    if dress != "multiple":
        return text, data
    outcome, tilde, rest = text.partition("~")
    if not outcome.strip().isidentifier():
        raise Unsupported("several outcomes are columns (never)")
    other = np.asarray(data[outcome.strip()], dtype=np.float64)[::-1].copy()
    other[:: max(len(other) // 3, 1)] = np.nan
    return f"{outcome.strip()} + {OTHER} {tilde}{rest}", data.assign(**{OTHER: other})
