"""How does a package's own test suite use a study, or a finding, as a test?

Loaded by pytest wherever crosscheck is installed (entry point ``pytest11``); it costs nothing until it is used.

>>> def test_my_estimator(crosscheck_study):
...     crosscheck_study("studies/mine", engines=["mypackage", "r.fixest"])

>>> @pytest.mark.crosscheck_study("studies/mine", fail_on="cosmetic")
... def test_my_estimator(crosscheck_report):
...     assert crosscheck_report.count("convention") == 0
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from crosscheck.plan import Transport
    from crosscheck.report import RunReport
    from crosscheck.report.model import Finding
    from crosscheck.runner import Workers
    from crosscheck.verdict import Severity

SHOWN = 10
MARK = "crosscheck_study"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    config.addinivalue_line(
        "markers", f"{MARK}(path, *, tables, engines, fail_on, transport, timeout): the study of crosscheck_report"
    )


@pytest.fixture(scope="session")
def _crosscheck_workers() -> Iterator[Workers]:
    """Keep the worker processes of all studies of a session."""
    from crosscheck.runner import Workers

    with Workers() as workers:
        yield workers


@pytest.fixture
def crosscheck_study(
    request: pytest.FixtureRequest, _crosscheck_workers: Workers, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., RunReport]:
    """Run a study, and fail with its discrepancy report where ``crosscheck run`` would leave with another code than 0.

    The path is relative to the folder of the test file. Reports are written below pytest's temporary folder.
    """

    def check(
        path: str | Path,
        *,
        tables: Sequence[str] = (),
        engines: Sequence[str] = (),
        fail_on: Severity = "printed",
        transport: Transport = "auto",
        timeout: float = 120.0,
    ) -> RunReport:
        from crosscheck.errors import CrosscheckError

        folder = tmp_path_factory.mktemp("crosscheck")
        try:
            report = _run(
                request.path.parent / path, folder, _crosscheck_workers, tables, engines, fail_on, transport, timeout
            )
        except CrosscheckError as error:
            pytest.fail(f"crosscheck: {error}", pytrace=False)
        if report.exit_code:
            pytest.fail(failure_text(report, folder), pytrace=False)
        return report

    return check


@pytest.fixture
def crosscheck_report(request: pytest.FixtureRequest, crosscheck_study: Callable[..., RunReport]) -> RunReport:
    """Return the report of the study that the mark ``crosscheck_study`` names; fails as that fixture does."""
    mark = request.node.get_closest_marker(MARK)
    if mark is None:
        raise pytest.UsageError(f"crosscheck_report needs the study's path: @pytest.mark.{MARK}('studies/mine')")
    return crosscheck_study(*mark.args, **mark.kwargs)


@pytest.fixture
def crosscheck_finding(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Replay a finding's scripts, and fail where what it records no longer shows.

    A script whose language or package is not here is skipped; the test is, where none is left. A test that shall fail
    while the difference is there, and pass once it is mended, gives the finding's folder to ``crosscheck_study``.
    """

    def check(path: str | Path, *, timeout: float = 120.0) -> None:
        from crosscheck.errors import CrosscheckError
        from crosscheck.findings.model import PYTHON_SCRIPT, R_SCRIPT
        from crosscheck.findings.replay import replay
        from crosscheck.findings.store import read_finding

        folder = request.path.parent / path
        try:
            finding = read_finding(folder)
            replays = [replay(folder, finding, script, timeout=timeout) for script in (PYTHON_SCRIPT, R_SCRIPT)]
        except CrosscheckError as error:
            pytest.fail(f"crosscheck: {error}", pytrace=False)
        lost = [text for r in replays for text in (r.error, *r.gone) if text]
        if lost:
            pytest.fail("\n".join([f"crosscheck: finding {finding.finding} no longer shows", *lost]), pytrace=False)
        if all(r.skipped for r in replays):
            pytest.skip("; ".join(r.skipped for r in replays))

    return check


def _run(
    path: Path,
    folder: Path,
    workers: Workers,
    tables: Sequence[str],
    engines: Sequence[str],
    fail_on: Severity,
    transport: Transport,
    timeout: float,
) -> RunReport:
    from crosscheck.plan import Reachability, make_plan
    from crosscheck.report import fold, write_all
    from crosscheck.runner import RunOptions, run_study
    from crosscheck.session import need_tasks
    from crosscheck.store import Cache, cache_dir, references_root
    from crosscheck.study import load_study

    study = load_study(path)
    cache = Cache(cache_dir())
    plan = make_plan(
        study,
        Reachability(transport),
        cache,
        only=tables,
        engines_wanted=engines,
        references_root=references_root(study.folder, study.id),
    )
    need_tasks([plan], engines)
    options = RunOptions(transport=transport, fail_on=fail_on, timeout=timeout, command="pytest")
    report = fold(run_study(plan, folder, workers, cache, options))
    write_all(report, folder)
    return report


def failure_text(report: RunReport, folder: Path) -> str:
    """Return the discrepancy report of a failed test: sentence, findings with causes, exit code, where the rest is."""
    from crosscheck.report.words import EXIT_MEANINGS, visible

    grave = [f for f in report.findings if f.severity != "none" or f.verdict != "unsupported"]
    lines = [f"crosscheck: study {report.study}: {report.summary}"]
    for finding in grave[:SHOWN]:
        lines += ["", f"{finding.id} {finding.verdict} ({finding.severity}): {finding.title}", *_example(finding)]
    if len(grave) > SHOWN:
        lines += ["", f"and {len(grave) - SHOWN} more in the report"]
    lines += ["", f"exit {report.exit_code}: {EXIT_MEANINGS[report.exit_code]}", f"report: {folder / 'report.html'}"]
    return visible("\n".join(lines))


def _example(finding: Finding) -> list[str]:
    c: Any = finding.example
    lines = []
    if not c.whole:
        reference = c.printed if c.printed is not None else c.reference_value
        what = f"{c.quantity} of {c.term}" if c.term else c.quantity
        lines.append(f"  {c.table}/{c.column} {what}: {c.reference} {reference}, {c.candidate} {c.candidate_value}")
    for e in c.explanations[:1]:
        lines += [f"  cause: {e.title}", *([f"  formula: {e.formula}"] if e.formula else [])]
        lines += [f"  remedy{f' in {side}' if side else ''}: {code}" for side, code in e.remedy]
    return lines
