"""Where do the reports of a run go?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import crosscheck
from crosscheck.canon import digest, dumps, tree_hash, write_atomic
from crosscheck.report.dropped import dropped_csv
from crosscheck.report.holes import fill, with_holes
from crosscheck.report.html import html
from crosscheck.report.json_ import report_data, report_json
from crosscheck.report.junit import junit
from crosscheck.report.latex import latex
from crosscheck.report.markdown import markdown
from crosscheck.report.model import RunReport
from crosscheck.report.sarif import sarif


class Texts(Protocol):
    """Where texts are kept under a hash of all that they follow from, such as the cache of a run."""

    def get_text(self, key: str) -> str | None:
        """Return a kept text, if there is one."""
        ...

    def put_text(self, key: str, text: str) -> None:
        """Keep a text."""
        ...


def write_all(report: RunReport, out_dir: Path, *, cache: Texts | None = None, content: str = "") -> tuple[Path, ...]:
    """Write ``report.json``, ``.html``, ``.md``, ``.xml``, ``.tex`` and ``.sarif``; return their paths.

    ``dropped.csv`` lists every observation that one side of a comparison left out, where there is any.
    All are rendered before the first is written, and each is replaced whole or not at all.

    Parameters
    ----------
    cache : Texts, optional
        Where texts of an earlier run with the same content are looked for, and these are kept.
    content : str
        Hash of all of the run that decides a word of a report, but for those that :mod:`crosscheck.report.holes` names.

    Raises
    ------
    OSError
        Where the folder cannot be written.
    """
    texts = _kept(cache, content)
    if texts is None:
        texts = _render(report)
        if cache is not None and content:
            cache.put_text(_key(content), json.dumps(texts))
    if "dropped.csv" not in texts:
        (out_dir / "dropped.csv").unlink(missing_ok=True)
    paths = []
    for name, text in texts.items():
        write_atomic(out_dir / name, fill(text, report))
        paths.append(out_dir / name)
    return tuple(paths)


def _render(report: RunReport) -> dict[str, str]:
    """Render all files, with holes where words change though nothing else does."""
    report = with_holes(report)
    texts = {
        "report.json": report_json(report),
        "report.html": html(report),
        "report.md": markdown(report),
        "report.xml": junit(report),
        "report.tex": latex(report),
        "report.sarif": sarif(report),
    }
    listed = dropped_csv(report)
    if listed:
        texts["dropped.csv"] = listed
    return texts


def _kept(cache: Texts | None, content: str) -> dict[str, str] | None:
    text = cache.get_text(_key(content)) if cache is not None and content else None
    try:
        return None if text is None else {str(k): str(v) for k, v in json.loads(text).items()}
    except (ValueError, AttributeError):
        return None


def _key(content: str) -> str:
    return digest({"report": content, "code": rendering_hash(), "jinja2": version("jinja2")})


@lru_cache(maxsize=1)
def rendering_hash() -> str:
    """Return the hash of our code, templates and catalogues, all of which may decide a word of a report."""
    return tree_hash(Path(crosscheck.__file__).parent, ("**/*.py", "**/*.toml", "**/*.j2", "**/*.css", "**/*.json"))


def render_stdout(reports: Sequence[RunReport], format_: str) -> str:
    """Return what ``--format`` prints: one JSON object (an array for several studies), or Markdown.

    Raises
    ------
    ValueError
        For any other format.
    """
    if format_ == "json":
        if len(reports) == 1:
            return report_json(reports[0]).rstrip("\n")
        return dumps([report_data(r) for r in reports], indent=1)
    if format_ == "markdown":
        return "\n\n".join(markdown(r).rstrip("\n") for r in reports)
    raise ValueError(f"no such format: {format_!r}")
