"""How else can the same data be handed to a Python package?

Under another index, with text as objects or categories, with nullable or Arrow columns. Such ways decide nothing, or
the package is at fault; the property ``data_frame`` asks for them. One of several models of a call, and a call with all
options written out, are in :mod:`crosscheck.engines._ways`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from crosscheck.errors import Unsupported

DRESSES = ("offset index", "text index", "repeated index", "objects", "categories", "nullable", "arrow")


def dressed(data: Any, dress: str | None, keys: Collection[str] = ()) -> Any:
    """Return a pandas frame in another dress.

    Parameters
    ----------
    data : pandas.DataFrame
    dress : str or None
        One of :data:`DRESSES`.
    keys : collection of str
        Columns that only tell rows apart (fixed effects, clusters); the dress ``categories`` makes categories of them.

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
    if dress == "categories":
        return data.assign(**{c: pd.Categorical(data[c]) for c in keys if c in data.columns})
    if dress == "nullable":
        return data.convert_dtypes()
    if dress == "arrow":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise Unsupported("pyarrow is not here (notimpl)") from None
        return data.convert_dtypes(dtype_backend="pyarrow")
    return data
