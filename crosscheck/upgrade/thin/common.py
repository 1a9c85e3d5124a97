"""What do all drivers share: frames, adapters, and the shape of an answer?"""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import re

import numpy as np
import pandas as pd

NA_INT = -(2**31)
DTYPES = {"datetime": "datetime64[ns]", "str": "str", "object": "object"}
QUANTITIES = ("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high", "df")
STATS = ("nobs", "r2", "adj_r2", "r2_within", "df_resid")
LONG = 500


class Refused(Exception):
    """The message itself cannot be answered."""


class Unsupported(Exception):
    """What is asked is not in this version."""


def one_line(error):
    """Return the text of an error on one line."""
    return " ".join(str(error).split())[:LONG]


def failure(error, frames):
    """Return reason and condition of an exception: its class and text, and where it was raised."""
    text = f"{type(error).__name__}: {one_line(error)}".rstrip(": ")
    where = frames[-1] if frames else None
    place = f" (in {where.name}, {where.filename.rpartition('/')[2]}:{where.lineno})" if where else ""
    return {"reason": text, "conditions": [{"kind": "error", "text": text + place, "cls": type(error).__name__}]}


def plain(value):
    """Return a value as JSON has it: NaN and infinities as words, numpy's scalars as Python's."""
    kind = type(value)
    if kind is float or isinstance(value, (float, np.floating)):
        number = float(value)
        if math.isfinite(number):
            return number
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    if kind is str or value is None or isinstance(value, (bool, str)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value.tolist()]
    raise TypeError(f"cannot write {kind.__name__} as JSON")


def columns_of(described, payload, rows):
    """Return the columns of a frame: name to (kind, values, levels)."""
    out = {}
    for d in described:
        raw = payload[d["offset"] : d["offset"] + d["bytes"]]
        values = np.frombuffer(raw, dtype="<f8" if d["width"] == 8 else "<i4")
        if values.shape != (rows,):
            raise ValueError(f"column {d['name']!r} arrived with {values.size} rows instead of {rows}")
        out[d["name"]] = (d["kind"], values, d["levels"])
    return out


def frame_of(columns, dtypes, blanks):
    """Return a pandas frame as one who has read a file holds it: texts as pandas infers them, in rows 0 to n - 1."""
    data = {}
    for name in columns:
        kind, values, levels = columns[name]
        if name in blanks and kind in ("integer", "float"):
            kind, values = "float", np.where(values == blanks[name], np.nan, values)
        column = _column(kind, values, levels, dtypes.get(name))
        dtype = dtypes.get(name)
        if dtype and dtype != "category":
            column = pd.Series(column)
            column = column.astype(DTYPES.get(dtype, dtype)) if dtype != "str" else column.map(_text).astype("object")
        data[name] = column
    return pd.DataFrame(data)


def _text(value):
    """Return a value as text; a missing one stays missing."""
    return None if pd.isna(value) else str(value)


def _column(kind, values, levels, dtype):
    if kind == "category":
        if dtype == "category":
            return pd.Categorical.from_codes(values, dtype=pd.CategoricalDtype(list(levels)))
        texts = [levels[code] if code >= 0 else None for code in values.tolist()]
        return np.array(texts, dtype=object) if dtype == "object" else pd.Series(texts)
    if kind == "date":
        days = values.astype("datetime64[D]").astype("datetime64[s]").astype("datetime64[ns]")
        days[values == NA_INT] = np.datetime64("NaT")
        return days
    if kind == "boolean":
        if (values == NA_INT).any():
            return np.where(values == NA_INT, np.nan, values.astype(float))
        return values.astype(bool)
    if kind == "integer" and not (values.dtype.kind == "f" and np.isnan(values).any()):
        return values.astype(np.int64)
    made = values.astype(np.float64)
    return pd.Categorical(made) if dtype == "category" else made


def resolve(adapter, function):
    """Return a function or class of the installed package.

    Raises
    ------
    Unsupported
        Where this version lacks it.
    """
    reason = adapter.get("missing", {}).get(function)
    if reason:
        raise Unsupported(f"{adapter.get('package')} {adapter.get('version')} has no {function}: {reason}")
    module, _, attribute = adapter["functions"][function].partition(":")
    found = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


def arguments_for(adapter, function, words):
    """Return the arguments of a function or step in the spelling of this version.

    Raises
    ------
    Unsupported
        Where it lacks one that would change the numbers.
    """
    words = _expanded(adapter, words)
    refuses = adapter.get("refuses", {}).get(function, {})
    lacks = {**adapter.get("lacks", {}).get("*", {}), **adapter.get("lacks", {}).get(function, {})}
    always = {**adapter.get("always", {}).get("*", {}), **adapter.get("always", {}).get(function, {})}
    rename = {**adapter.get("rename", {}).get("*", {}), **adapter.get("rename", {}).get(function, {})}
    values = adapter.get("values", {})
    out = dict(adapter.get("adds", {}).get(function, {}))
    for name, value in words.items():
        known = {**values.get("*", {}).get(name, {}), **values.get(function, {}).get(name, {})}
        if lacks.get(name):
            same = value is None or (name in always and always[name] in (value, _spelled(known, value)))
            if same:
                continue
            raise Unsupported(
                f"{function}() of {adapter.get('package')} {adapter.get('version')} has no {name}: {lacks[name]}"
            )
        if isinstance(value, str) and value in refuses.get(name, {}):
            raise Unsupported(f"{adapter.get('package')} {adapter.get('version')}: {refuses[name][value]}")
        out[rename.get(name, name)] = _spelled(known, value)
    return out


def _spelled(known, value):
    """Return a value in the spelling of this version."""
    return known.get(value, value) if isinstance(value, str) else value


def _expanded(adapter, words):
    """Replace arguments that are mappings today by those that their members were."""
    out = {}
    for name, value in words.items():
        parts = adapter.get("expand", {}).get(name)
        if not parts or not isinstance(value, dict):
            out[name] = value
            continue
        for member, own in value.items():
            if member == "kind" or not parts.get(member):
                continue
            out[parts[member]] = own
    return out


def columns(data, value, rows=None):
    """Return the arrays that ``{"column": ...}`` and ``{"columns": [...]}`` name; any other value as it is.

    ``rows`` are the positions that the model uses, where those are fewer than all.
    """
    if not isinstance(value, dict):
        return value
    if set(value) == {"column"}:
        found = data[value["column"]]
    elif set(value) == {"columns"}:
        found = data[list(value["columns"])]
    else:
        return {k: columns(data, v, rows) for k, v in value.items()}
    return found if rows is None else found.iloc[rows]


@contextlib.contextmanager
def quiet():
    """Keep what a package prints away from the worker's output, which is kept for reasons of a crash."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def attribute(owner, path):
    """Return what a path of attributes leads to; ``None`` where it leads nowhere or fails."""
    if not path:
        return None
    found = owner
    for part in path.split("."):
        try:
            found = found[part] if isinstance(found, dict) else getattr(found, part)
        except Exception:
            return None
    if callable(found):
        try:
            found = found()
        except Exception:
            return None
    return found


def number(value):
    """Return a scalar as a float; ``None`` where it is none."""
    if value is None:
        return None
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return None
    return float(array.reshape(-1)[0]) if array.size == 1 else None


def require_formula(adapter, formula):
    """Refuse a formula that says what this version cannot read.

    Raises
    ------
    Unsupported
    """
    for pattern, reason in adapter.get("refuses_formula", {}).items():
        if re.search(pattern, formula):
            raise Unsupported(f"{adapter.get('package')} {adapter.get('version')}: {reason}")


def dummies(formula):
    """Return the columns that a formula codes by ``i()``."""
    found = (re.split(r"\s*,\s*", inner)[:2] for inner in re.findall(r"\bi\(\s*([^()]*)\)", formula))
    return sorted({name.strip() for names in found for name in names if re.fullmatch(r"\w+", name.strip())})


def spelled(adapter, name, formula=""):
    """Return the name of a coefficient in the spelling that all versions share."""
    text = str(name)
    for column in dummies(formula):
        for pattern, replacement in adapter.get("dummy_terms", ()):
            text = re.sub(pattern.replace("@", column), replacement.replace("@", column), text)
    for pattern, replacement in adapter.get("terms", ()):
        text = re.sub(pattern, replacement, text)
    return text


def warm(adapter):
    """Import a package before its first call, so that what it warns of while it is imported is no call's warning."""
    for path in adapter.get("functions", {}).values():
        with contextlib.suppress(Exception), quiet():
            importlib.import_module(path.partition(":")[0])


def coefficients(names, **given):
    """Return rows of coefficients; a quantity that is ``None`` is left out, one number stands for all."""
    rows = [{"term": str(name)} for name in names]
    for quantity in QUANTITIES:
        values = given.get(quantity)
        if values is None:
            continue
        array = np.asarray(values, dtype=float).reshape(-1)
        if array.size == 1 and len(rows) != 1:
            array = np.repeat(array, len(rows))
        for row, value in zip(rows, array.tolist()):
            row[quantity] = value
    return rows


def extras(pairs, term="model"):
    """Return further numbers as rows, those that are none left out."""
    found = ((quantity, number(value)) for quantity, value in pairs)
    return [{"term": term, "quantity": q, "value": v} for q, v in found if v is not None]


def block(term, labels, **quantities):
    """Return a block of numbers of many like members; ``None`` where no quantity has as many as there are labels."""
    kept = {}
    for name, values in quantities.items():
        if values is None:
            continue
        array = np.asarray(values, dtype=float).reshape(-1)
        if labels is None or array.size == len(labels):
            kept[name] = array.tolist()
    if not kept or len({len(v) for v in kept.values()}) > 1:
        return None
    return {
        "term": term,
        "labels": [str(label) for label in labels or ()],
        "quantities": list(kept),
        "values": list(kept.values()),
    }


def row_labels(index, size):
    """Return numbers of rows from 1 where an index of the rows used is known, else ``None``."""
    try:
        positions = [int(i) + 1 for i in index]
    except (TypeError, ValueError):
        return None
    return positions if len(positions) == size and len(set(positions)) == size else None


def matrix(value):
    """Return a square matrix as lists; empty where it is none."""
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return []
    return array.tolist() if array.ndim == 2 and array.shape[0] == array.shape[1] else []


def steps_into(conditions):
    """Return a caller of later steps: one that fails becomes an error among the conditions, and costs only itself."""

    def step(name, method, *values, **words):
        try:
            return method(*values, **words)
        except MemoryError:
            raise
        except Exception as error:
            cls = type(error).__name__
            conditions.append({"kind": "error", "text": f"{name}: {cls}: {one_line(error)}", "cls": cls})
            return None

    return step


def lost(rows, *used):
    """Return how many rows of the data a model left out, by the first number of its rows that is one."""
    found = next((u for u in used if u is not None and math.isfinite(u)), None)
    return None if found is None else int(rows - found)


def codes(frame):
    """Return columns as numbers, texts as their codes in sorted order: what users of clusters pass."""
    out = {}
    for name in frame.columns:
        column = frame[name]
        numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        out[name] = column if numeric else pd.factorize(column, sort=True)[0]
    return pd.DataFrame(out, index=frame.index)


def positions(index, whole):
    """Return numbers of rows, from 1, of the labels of an answer in the index of the data; ``None`` where unclear."""
    if not whole.is_unique:
        return None
    found = whole.get_indexer(index)
    return None if (found < 0).any() else [int(i) + 1 for i in found]
