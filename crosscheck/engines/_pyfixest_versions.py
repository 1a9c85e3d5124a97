"""How does one request reach pyfixest 0.30 and every version after it?

What changed its name between versions is translated here; what a version lacks is ``unsupported`` and never left out.

* 0.40: ``ssc(adj, fixef_k, cluster_adj, cluster_df)`` became ``ssc(k_adj, k_fixef, G_adj, G_df)``, and the word
  ``nested`` became ``nonnested``; HAC covariances and ``vcov_kwargs`` came.
* 0.50: dummies of ``i()`` are named ``k::level``, and ``-1`` takes the intercept out.
* 0.60: ``fixef_tol``, ``fixef_maxiter`` and ``demeaner_backend`` became one ``demeaner`` object.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from crosscheck.errors import Unsupported

OLDEST = (0, 30)
# Released without the list of what it needs.
INCOMPLETE = {"0.40.0": ("formulaic", "joblib", "narwhals", "numba", "great-tables", "seaborn", "tabulate", "tqdm")}
OLD_WORDS = {"k_adj": "adj", "k_fixef": "fixef_k", "G_adj": "cluster_adj", "G_df": "cluster_df"}
OLD_COUNTING = {"nonnested": "nested"}
# Options that an older version lacks because it never did otherwise, or had one implementation only.
ALWAYS_SO = {
    "demeaner_backend": "rust",
    "accelerate": False,
    "vcov_kwargs": None,
    "weights": None,
    "weights_type": "aweights",
    "demeaner": None,
}


def release(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version."""
    match = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return tuple(int(n) for n in match[0].split(".")) if match else ()


def refusal(version: str) -> str:
    """Say why a version is out of reach, or return an empty string."""
    if release(version) < OLDEST:
        return f"crosscheck speaks to pyfixest {OLDEST[0]}.{OLDEST[1]} and newer, and {version} is older"
    return ""


def installed() -> str:
    """Return the version of pyfixest in this process."""
    return importlib.metadata.version("pyfixest")


def small_sample_words(words: Mapping[str, Any]) -> Any:
    """Return pyfixest's ``ssc()`` for the words of 0.40 and newer."""
    import pyfixest as pf

    if "k_adj" in inspect.signature(pf.ssc).parameters:
        return pf.ssc(**words)
    return pf.ssc(**{OLD_WORDS[k]: OLD_COUNTING.get(v, v) if k == "k_fixef" else v for k, v in words.items()})


def demeaning(tolerance: float, iterations: int) -> dict[str, Any]:
    """Return the options that ask for demeaning to a tolerance."""
    import pyfixest as pf

    if hasattr(pf, "LsmrDemeaner"):
        made = pf.LsmrDemeaner(fixef_atol=tolerance, fixef_btol=tolerance, fixef_maxiter=iterations, backend="within")
        return {"demeaner": made}
    # "rust" runs the same alternating projections as "numba", which compiles for 20 s in every new process
    return {"fixef_tol": tolerance, "fixef_maxiter": iterations, "demeaner_backend": "rust"}


def accepted(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a function of the installed version takes.

    Raises
    ------
    Unsupported
        Where it lacks one that would change the numbers.
    """
    known = inspect.signature(function).parameters
    lacking = [k for k, v in options.items() if k not in known and not (k in ALWAYS_SO and v == ALWAYS_SO[k])]
    if lacking:
        raise Unsupported(f"{function.__name__}() of pyfixest {installed()} has no option {lacking[0]} (notyet)")
    return {k: v for k, v in options.items() if k in known}
