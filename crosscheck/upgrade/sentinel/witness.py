"""What did R, and the closed forms, say to the cases of the sentinel set?

Real answers of a live R and of the oracle, recorded by :func:`record_witnesses` beside the panels. Each line carries
the hash of its question and of its rows, and a seal. An upgrade check needs no R.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from crosscheck import engines
from crosscheck.campaign.case import Ask
from crosscheck.campaign.corpus import Corpus, corpus_line, read_corpus, write_corpus
from crosscheck.campaign.fits import Fitter
from crosscheck.engines.base import Engine
from crosscheck.errors import EngineMissing
from crosscheck.plan import EngineInfo
from crosscheck.results import EstimationResult
from crosscheck.runner import Workers, stamp, utc_now
from crosscheck.upgrade.cases import Case
from crosscheck.upgrade.sentinel.cases import PACKAGES, folder, sentinel_cases
from crosscheck.upgrade.sentinel.grid import SEED

WITNESSES = ("r.fixest", "r.did", "r.plm", "r.lm", "oracle")
"""In the order in which a reader is told of them."""


def recorded_answers(case: Case, where: Path | None = None) -> dict[str, EstimationResult]:
    """Return what witnesses said to a case, by engine id; each answer says its version and that it is recorded.

    Raises
    ------
    ReferenceError_
        Where the file of answers was changed.
    """
    corpus = _corpus(where or folder())
    if corpus is None or case.request is None:
        return {}
    rows = case.witness_frame or case.frame
    found = ((w, corpus.get(w, case.request.hash, rows.select(case.request.columns).key)) for w in WITNESSES)
    return {w: answer for w, answer in found if answer is not None}


@cache
def _corpus(where: Path) -> Corpus | None:
    return read_corpus(where)


def record_witnesses(infos: Mapping[str, EngineInfo], where: Path | None = None) -> tuple[Path, int]:
    """Ask a live R and the oracle about every case that they can express, and write what they say.

    Parameters
    ----------
    infos : mapping of str to EngineInfo
        Of :data:`WITNESSES`, each live.
    where : Path, optional

    Returns
    -------
    Path, int
        The file, and how many answers it holds.

    Raises
    ------
    EngineMissing
        Where one of them is not here.
    """
    for engine, info in infos.items():
        if info.transport != "live":
            raise EngineMissing(f"{engine} cannot be recorded: {info.reason}", hint="crosscheck doctor")
    asks = {(a.engine, a.request.hash, a.frame.key): a for package in PACKAGES for a in _asks(sentinel_cases(package))}
    lines: list[dict[str, Any]] = []
    with Workers() as workers:
        fitter = Fitter(workers=workers, versions={e: info.version for e, info in infos.items()})
        fitter.fetch(asks.values())
        for (engine, request, data), ask in asks.items():
            result = fitter(engine, ask.request, ask.frame)
            if result.status == "ok":
                lines.append(corpus_line(engine, request, data, result))
        fitter.close()
    path = write_corpus(
        where or folder(),
        seeds=(SEED,),
        versions={e: info.version for e, info in infos.items()},
        settings={"packages": list(PACKAGES)},
        recorded_on=stamp(utc_now()),
        lines=lines,
    )
    return path, len(lines)


def _asks(cases: Iterable[Case]) -> Iterable[Ask]:
    for case in cases:
        if case.request is None:
            continue
        rows = (case.witness_frame or case.frame).select(case.request.columns)
        for witness in WITNESSES:
            engine: Engine = engines.get(witness)
            if engine.supports(case.request):
                yield Ask(engine=witness, request=case.request, frame=rows)
