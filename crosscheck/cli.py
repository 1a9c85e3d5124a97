"""What does each command do with what the user typed?

Commands are thin: they read arguments, call a function that does the work, print its result to stdout and its progress
to stderr, and leave with the exit code of ``docs/exit_codes.md``. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import io
import math
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crosscheck import __version__
from crosscheck.errors import CrosscheckError, UsageError

if TYPE_CHECKING:
    from crosscheck.plan import Transport
    from crosscheck.verdict import Severity

FORMATS = click.Choice(["text", "json", "markdown"])
FAIL_ON = click.Choice(["none", "cosmetic", "printed", "decision", "structural"])
TRANSPORTS = click.Choice(["auto", "live", "recorded"])


class _Seconds(click.FloatRange):
    """A time limit: a number of seconds that a clock can count."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return seconds


SECONDS = _Seconds(min=0.1, max=86400)


class _Group(click.Group):
    """A group that lists its commands in the order of their use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="crosscheck")
def cli() -> None:
    """Would another implementation, the printed table, and the known truth give the same numbers - and if not, why?"""


def _study_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("studies", nargs=-1, required=True, metavar="STUDY...")(command)


def _format_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--format", "format_", type=FORMATS, default="text", show_default=True, help="What stdout gets."
    )(command)


@cli.command()
@_study_argument
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the reports.  [default: reports/<study>]")
@click.option("--table", "tables", multiple=True, help="Only this table (may be given again).")
@click.option("--engine", "engines_", multiple=True, help="Only this engine (may be given again).")
@click.option("--transport", type=TRANSPORTS, default="auto", show_default=True, help="How R is reached.")
@click.option("--fail-on", type=FAIL_ON, default="printed", show_default=True, help="Least severity that gives exit 1.")
@click.option("--require", multiple=True, metavar="ENGINE", help="Leave with 3 where this engine is missing.")
@click.option("--timeout", type=SECONDS, default=120.0, show_default=True, help="Seconds for one fit.")
@click.option("--no-cache", is_flag=True, help="Fit everything again.")
@_format_option
def run(
    studies: tuple[str, ...],
    out: Path | None,
    tables: tuple[str, ...],
    engines_: tuple[str, ...],
    transport: Transport,
    fail_on: Severity,
    require: tuple[str, ...],
    timeout: float,
    no_cache: bool,
    format_: str,
) -> int:
    """Fit every column with every engine, compare all numbers, write the reports."""
    from crosscheck.session import RunRequest, run_studies

    return run_studies(
        RunRequest(
            studies=tuple(Path(s) for s in studies),
            out=out,
            tables=tables,
            engines=engines_,
            transport=transport,
            fail_on=fail_on,
            require=require,
            timeout=timeout,
            use_cache=not no_cache,
            format=format_,
            command=_command_line(),
        )
    )


@cli.command()
@_study_argument
@click.option("--engine", "engines_", multiple=True, help="Only this R engine (may be given again).")
@click.option("--table", "tables", multiple=True, help="Only this table (may be given again).")
@click.option("--timeout", type=SECONDS, default=120.0, show_default=True, help="Seconds for one fit.")
def record(studies: tuple[str, ...], engines_: tuple[str, ...], tables: tuple[str, ...], timeout: float) -> int:
    """Write references of R's results from a live R, for machines without R."""
    from crosscheck.session import record_studies

    return record_studies(tuple(Path(s) for s in studies), engines_, tables, timeout)


@cli.command()
@click.argument("run_files", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the reports.  [default: beside the run file]")
@click.option("--allow-incomplete", is_flag=True, help="Render an interrupted run, marked as such (still exit 2).")
@_format_option
def report(run_files: tuple[Path, ...], out: Path | None, allow_incomplete: bool, format_: str) -> int:
    """Render run files again (RUN is a run.ndjson or its folder); estimates nothing."""
    from crosscheck.session import rerender

    return rerender(run_files, out, allow_incomplete, format_)


@cli.command()
@_format_option
def doctor(format_: str) -> int:
    """Show R, rpy2 and every engine: version, live or recorded, and the remedy for what is missing."""
    from crosscheck.doctor import diagnose, render

    click.echo(render(diagnose(), format_), nl=False)
    return 0


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="Data file to copy in; its columns are declared for you.")
@click.option("--unit", help="Column that names the unit.")
@click.option("--time", help="Column that names the period.")
@click.option("--formula", help="First regression, in fixest's syntax.")
@click.option("--audit", "for_audit", is_flag=True, help="A study of printed numbers only, for crosscheck audit.")
def init(
    folder: Path, data: Path | None, unit: str | None, time: str | None, formula: str | None, for_audit: bool
) -> int:
    """Make a study's folder: study.toml, published.csv, and a place for the data."""
    if for_audit:
        given = {"--data": data, "--unit": unit, "--time": time, "--formula": formula}
        if named := [option for option, value in given.items() if value is not None]:
            raise click.UsageError(f"{named[0]} is of no use with --audit, which makes a study without data.")
        from crosscheck.audit.cli import scaffold_audit

        click.echo(scaffold_audit(folder), nl=False)
        return 0
    from crosscheck.scaffold import scaffold

    click.echo(scaffold(folder, data=data, unit=unit, time=time, formula=formula))
    return 0


@cli.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder of audit.html, audit.md, audit.json.")
@click.option("--fail-on", type=FAIL_ON, default="printed", show_default=True, help="Least severity that gives exit 1.")
@_format_option
def audit(study: Path, out: Path | None, fail_on: str, format_: str) -> int:
    """Say what a paper's printed numbers prove about themselves; needs no data."""
    from crosscheck.audit.cli import run_audit

    return run_audit(study, out, format_, fail_on)


@cli.command()
@click.argument("words", nargs=-1, metavar="[STUDY...]")
@click.option("--package", help="Whose versions: a Python package such as pyfixest, or an R package such as fixest.")
@click.option("--from", "old", multiple=True, metavar="VERSION", help="The old side; several by repeating or commas.")
@click.option(
    "--to", "new", multiple=True, metavar="VERSION", help="The new side: a version, latest, installed, a path."
)
@click.option(
    "--requirements", nargs=2, type=click.Path(path_type=Path), metavar="BEFORE AFTER", help="Two requirements.txt."
)
@click.option("--with", "pins", multiple=True, metavar="PIN", help="A dependency of both sides, such as numpy==1.26.4.")
@click.option("--with-from", "old_pins", multiple=True, metavar="PIN", help="A dependency of the old side alone.")
@click.option("--with-to", "new_pins", multiple=True, metavar="PIN", help="A dependency of the new side alone.")
@click.option(
    "--r-library", "libraries", nargs=2, type=click.Path(path_type=Path), metavar="OLD NEW", help="Two libraries of R."
)
@click.option("--recorded", type=click.Path(path_type=Path), help="References of an earlier version of an R package.")
@click.option(
    "--sentinel/--no-sentinel", default=None, help="The sentinel set, besides studies.  [default: where it is]"
)
@click.option(
    "--defaults",
    "open_defaults",
    is_flag=True,
    help="Ask studies as a script does that leaves out what the old version did by itself.",
)
@click.option("--all-between", is_flag=True, help="Every release between the two, and which changed what.")
@click.option("--bisect", is_flag=True, help="Find the release that changed a number, with few environments.")
@click.option("--freeze", type=click.Path(path_type=Path), metavar="FILE", help="Store the numbers of studies.")
@click.option("--against", type=click.Path(path_type=Path), metavar="FILE", help="Compare with what was stored.")
@click.option("--witness", "witnesses", multiple=True, metavar="ENGINE", help="Who else is asked (may be given again).")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the reports.  [default: reports/upgrade-...]")
@click.option("--table", "tables", multiple=True, help="Only this table (may be given again).")
@click.option("--transport", type=TRANSPORTS, default="auto", show_default=True, help="How R is reached.")
@click.option("--fail-on", type=FAIL_ON, default="printed", show_default=True, help="Least severity that gives exit 1.")
@click.option("--timeout", type=SECONDS, default=120.0, show_default=True, help="Seconds for one fit.")
@click.option("--no-cache", is_flag=True, help="Fit everything again.")
@click.option(
    "--format",
    "format_",
    type=click.Choice([*FORMATS.choices, "changelog", "referee"]),
    default="text",
    show_default=True,
    help="What stdout gets.",
)
def upgrade(
    no_cache: bool, format_: str, requirements: tuple[Path, ...], libraries: tuple[Path, ...], **given: Any
) -> int:
    r"""Say which numbers move when a package is upgraded, and toward whom.

    \b
    crosscheck upgrade STUDY --package pyfixest --from 0.50.1 --to 0.60.0
    crosscheck upgrade pyfixest 0.50.1 0.60.0 STUDY
    crosscheck upgrade --freeze paper.json STUDY
    crosscheck upgrade --against paper.json

    A version is a number, `latest`, `installed`, a wheel, or the folder of a source tree. Each is installed once, into
    an environment of its own. Without STUDY the sentinel set runs alone.
    """
    from crosscheck.upgrade.command import UpgradeRequest, run_upgrade

    return run_upgrade(
        UpgradeRequest(
            requirements=requirements or (),
            libraries=libraries or (),
            use_cache=not no_cache,
            format=format_,
            command=_command_line(),
            **given,
        )
    )


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the new study.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="First start of the search.")
@click.option("--attempts", type=click.IntRange(1, 1000), default=12, show_default=True, help="Starts that are tried.")
@click.option("--force", is_flag=True, help="Replace the files of an earlier reconstruction.")
@_format_option
def reconstruct(folder: Path, out: Path, seed: int, attempts: int, force: bool, format_: str) -> int:
    """Simulate a panel that gives a paper's printed numbers, from published.csv and audit.toml in FOLDER."""
    from crosscheck.reconstructing.command import run_reconstruct

    return run_reconstruct(folder, out, seed=seed, attempts=attempts, force=force, format_=format_)


@cli.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.argument("table")
@click.argument("column")
@click.argument("term", required=False)
@click.option("--printed", is_flag=True, help="Rank the conventions that give the printed standard errors instead.")
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, help="Rows of the ranking (--printed).")
@click.option("--transport", type=TRANSPORTS, default="auto", show_default=True, help="How R is reached.")
@click.option("--timeout", type=SECONDS, default=120.0, show_default=True, help="Seconds for one fit.")
@click.option(
    "--format",
    "format_",
    type=click.Choice([*FORMATS.choices, "latex"]),
    default="text",
    show_default=True,
    help="What stdout gets; latex: a footnote for each cause.",
)
def explain(
    study: Path,
    table: str,
    column: str,
    term: str | None,
    printed: bool,
    limit: int,
    transport: Transport,
    timeout: float,
    format_: str,
) -> int:
    """Say why the numbers of a column (or of one term of it) differ, with formula, replay and remedy."""
    from crosscheck.explaining import explain_cells, explain_published

    if printed:
        if term is not None:
            raise click.UsageError("--printed ranks a whole column: leave out the term.")
        return explain_published(study, table, column, format_, limit)
    return explain_cells(study, table, column, term, transport, timeout, format_)


@cli.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.argument("table", required=False)
@click.argument("column", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the finding.  [default: findings/<its name>]")
@click.option("--transport", type=TRANSPORTS, default="auto", show_default=True, help="How R is reached.")
@click.option("--timeout", type=SECONDS, default=120.0, show_default=True, help="Seconds for one fit.")
@click.option("--max-calls", type=click.IntRange(1, 100_000), default=1500, show_default=True, help="Panels to try.")
@click.option("--max-seconds", type=SECONDS, default=300.0, show_default=True, help="Seconds for shrinking.")
@_format_option
def shrink(
    study: Path,
    table: str | None,
    column: str | None,
    out: Path | None,
    transport: Transport,
    timeout: float,
    max_calls: int,
    max_seconds: float,
    format_: str,
) -> int:
    """Reduce a study's worst difference (or that of one column) to a few rows that can be shown to others."""
    from crosscheck.shrinking import ShrinkRequest, shrink_study

    return shrink_study(
        ShrinkRequest(
            study=study,
            table=table,
            column=column,
            out=out,
            transport=transport,
            timeout=timeout,
            max_calls=max_calls,
            max_seconds=max_seconds,
            format=format_,
        )
    )


@cli.command()
@click.option("--budget", metavar="BUDGET", help="Time (90s, 10m, 2h) or panels (500p).  [default: the profile's]")
@click.option(
    "--engines",
    "engines_",
    multiple=True,
    metavar="ID,...",
    help="Only these; +ID: these too; ID=MODULE:ATTRIBUTE or ID=FILE.py:ATTRIBUTE: your own.",
)
@click.option("--properties", multiple=True, metavar="ID,...", help="Only these properties, or kinds of them.")
@click.option("--seed", type=int, help="Where the panels' seeds begin.  [default: 0]")
@click.option("--profile", default="ci", show_default=True, metavar="ci|nightly", help="How wide is drawn.")
@click.option("--resume", is_flag=True, help="Go on with the campaign in the folder.")
@click.option("--executor", metavar="WHERE", help="local:N processes, or dask://HOST:PORT.  [default: here]")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("reports/campaign"), show_default=True, help="Folder."
)
@click.option("--shrink", type=click.IntRange(0, 10_000), help="Findings made small.  [default: the profile's]")
@click.option("--record", "record_", is_flag=True, help="Record what a live R says, for machines without R.")
@click.option("--corpus", type=click.Path(path_type=Path), help="Folder of what R said.")
@_format_option
def campaign(
    budget: str | None,
    engines_: tuple[str, ...],
    properties: tuple[str, ...],
    seed: int | None,
    profile: str,
    resume: bool,
    executor: str | None,
    out: Path,
    record_: bool,
    corpus: Path | None,
    shrink: int | None,
    format_: str,
) -> int:
    """Draw panels of known effect, send them through every engine, and shrink what nobody can explain."""
    from crosscheck.campaign.command import CampaignRequest, campaign_command

    return campaign_command(
        CampaignRequest(
            budget=budget,
            engines=engines_,
            properties=properties,
            seed=seed,
            profile=profile,
            resume=resume,
            executor=executor,
            out=out,
            record=record_,
            corpus=corpus,
            shrink=shrink,
            format=format_,
            command=_command_line(),
        )
    )


@cli.command()
@click.argument("name", type=click.Choice(["report", "upgrade", "frozen", "study", "request", "result", "finding"]))
def schema(name: str) -> int:
    """Print the JSON Schema of a file or message."""
    from crosscheck.schemas import schema_text

    click.echo(schema_text(name))
    return 0


def _command_line() -> str:
    """Return the command as it would be typed."""
    return shlex.join(["crosscheck", *click.get_current_context().find_root().obj])


def _say(error: CrosscheckError) -> None:
    click.echo(f"crosscheck: {error}", err=True)


def _usage(error: click.ClickException) -> CrosscheckError:
    """Turn what click found wrong into one message of crosscheck's form."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context is not None else "crosscheck"
    what = error.format_message().strip().removesuffix(".")
    return UsageError(what[:1].lower() + what[1:], hint=f"{command} --help")


def _system(error: OSError) -> CrosscheckError:
    reason = error.strerror or str(error) or type(error).__name__
    return UsageError(
        f"a file cannot be read or written: {reason.lower()}",
        where=str(error.filename or ""),
        hint="check the path, its permissions and the space on the disk, and run again",
    )


def main(argv: list[str] | None = None) -> None:
    """Run the command line and leave with the exit code that the contract gives."""
    typed = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and (stream.encoding or "").lower().replace("-", "") != "utf8":
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")
    try:
        code = cli.main(args=typed, prog_name="crosscheck", standalone_mode=False, obj=typed)
    except CrosscheckError as error:
        _say(error)
        code = error.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo(
            "crosscheck: interrupted; a run file is incomplete, no other report was touched, and what was fitted or "
            "built is kept; run again",
            err=True,
        )
        code = 2
    except click.ClickException as error:
        if not typed:
            error.show(file=sys.stderr)
        else:
            _say(_usage(error))
        code = 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 2
    except OSError as error:
        if os.environ.get("CROSSCHECK_DEBUG"):
            raise
        _say(_system(error))
        code = 2
    except Exception as error:
        if os.environ.get("CROSSCHECK_DEBUG"):
            raise
        click.echo(
            f"crosscheck: internal error: {type(error).__name__}: {error}\n"
            "  do:      run again with CROSSCHECK_DEBUG=1 and report the traceback",
            err=True,
        )
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
