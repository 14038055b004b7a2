"""What every command shares: the group that refuses politely, the options, and how things are printed."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from thresher.errors import InputError, ThresherError

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
PIPE_WIDTH = 160
INTERRUPTED = 130
"""The exit status of a command that SIGINT ends, by the custom of shells."""
WHOLE_BELOW = 1e7
"""Whole numbers below this are printed digit by digit."""
EXTRA_OF = dict.fromkeys(
    ("anyascii", "duckdb", "followthemoney", "ibis", "networkx", "pandas", "pyarrow", "rigour", "splink"), "screen"
) | {"pyspark": "spark", "starlette": "lab", "uvicorn": "lab", "multipart": "lab", "python_multipart": "lab"}
"""Which extra brings a module that a command may lack."""
JSON_HELP = "Write the result as JSON to FILE; - for standard output, which then holds the JSON alone."


class Commands(click.Group):
    """A group whose commands turn a ``ThresherError`` into one sentence on standard error and exit status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; nothing a person can mend ends in a traceback."""
        try:
            return super().invoke(ctx)
        except ThresherError as error:
            click.echo(f"thresher: {error}", err=True)
            ctx.exit(2)
        except ModuleNotFoundError as error:
            extra = EXTRA_OF.get((error.name or "").split(".")[0])
            if extra is None:
                raise
            click.echo(f"thresher: this command needs {error.name}: pip install 'thresher[{extra}]'", err=True)
            ctx.exit(2)
        except (KeyboardInterrupt, click.Abort):
            click.echo("thresher: interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(0)
        except OSError as error:
            click.echo(f"thresher: standard output: expected a place that can be written ({error.strerror})", err=True)
            ctx.exit(2)


def examples(*lines: str) -> str:
    """An epilogue of examples that click leaves as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The option every command has."""
    return click.option("--json", "json_file", metavar="FILE", help=JSON_HELP)(function)


def adversary_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What the adversary of a search may use: the options that every search has."""
    options = (
        click.option(
            "--network",
            default="study",
            show_default=True,
            help="Network profile of the catalog (thresher catalog networks).",
        ),
        click.option(
            "--chip",
            "chips",
            multiple=True,
            metavar="ID",
            help="Use only this chip; may be repeated.  [default: all that are for sale]",
        ),
        click.option(
            "--precision",
            "precisions",
            type=click.Choice(["bf16", "fp8", "fp4"]),
            multiple=True,
            help="Use only this number format; may be repeated.",
        ),
        click.option(
            "--mode",
            "modes",
            type=click.Choice(["flat", "hierarchical", "pipeline", "swarm"]),
            multiple=True,
            help="Use only this way of working together; may be repeated.",
        ),
        click.option("--max-days", type=float, help="Longest run considered.  [default: 548, the study's 1.5 years]"),
        click.option("--max-nodes", type=int, help="Most nodes considered.  [default: 100000]"),
    )
    for option in reversed(options):
        function = option(function)
    return function


def detection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What the state does to detect, and who tries."""
    options = (
        click.option(
            "--programme",
            metavar="NAME|FILE",
            help="What the state does to detect: a programme by name (thresher programmes --list) or a file."
            "  [default: what the rule's own text provides]",
        ),
        click.option(
            "--actor",
            default="company",
            show_default=True,
            metavar="NAME|FILE",
            help="Who tries: lab, company, small-state, major-state, or a file.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def engine_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where the steps over a store run."""
    return click.option(
        "--engine",
        type=click.Choice(["duckdb", "spark"]),
        default="duckdb",
        show_default=True,
        help="Where the steps run.",
    )(function)


def as_of_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The day on which records are read, and how far back."""
    function = click.option(
        "--look-back",
        "look_back_days",
        type=int,
        default=365,
        show_default=True,
        metavar="DAYS",
        help="How far back purchases, moves and readings are looked at.",
    )(function)
    return click.option(
        "--as-of",
        metavar="DATE",
        callback=_day,
        help="Read the records as of this day, as 2026-06-30.  [default: the day of the latest record]",
    )(function)


def _day(_ctx: click.Context, _option: click.Parameter, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise InputError("--as-of", "a day, as 2026-06-30", text) from None


def whole_number(_ctx: click.Context, _option: click.Parameter, text: str) -> int | str:
    """A whole number where the text is one; other text goes on as it is, to be refused by name where its bounds are known."""
    try:
        return int(text)
    except ValueError:
        return text


def given(ctx: click.Context, *names: str) -> dict[str, bool]:
    """The options of these parameters that stand on the command line, default or not."""
    option = {one.name: one.opts[-1] for one in ctx.command.params}
    return {option[name]: True for name in names if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}


def progress(message: str) -> None:
    """Say on standard error how far a command is."""
    click.echo(f"thresher: {message}", err=True)


def console() -> Any:
    """A console as wide as the terminal; a pipe or a file gets wide lines, so that nothing is cut."""
    from rich.console import Console

    stated = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, width=None if stated else PIPE_WIDTH)


def emit(json_file: str | None, data: Any) -> bool:
    """Write JSON if it is asked for; whether standard output is spoken for."""
    if json_file is None:
        return False
    from thresher.result import to_json_text, write_text

    text = to_json_text(data)
    if json_file == "-":
        click.echo(text, nl=False)
        return True
    write_text(Path(json_file), text)
    return False


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print rows under their columns; texts fold, and nothing is cut."""
    from rich.table import Column, Table

    table = Table(
        *(Column(name, overflow="fold") for name in columns), title=title, title_justify="left", show_edge=False
    )
    for row in rows:
        table.add_row(*row)
    console().print(table)


def cell(value: Any) -> str:
    """A value as a table shows it: whole numbers digit by digit, others to four figures, nothing where there is none."""
    if value is None:
        return ""
    if isinstance(value, float) and math.isnan(value):
        return "unknown"
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < WHOLE_BELOW else f"{value:,.4g}"
