"""The commands, thin: options in, one call, a table or JSON out; bad input ends with a sentence and status 2."""

from __future__ import annotations

import io
import sys

import click

from thresher.cli.account import account
from thresher.cli.assess import assess
from thresher.cli.calibrate import calibrate
from thresher.cli.catalog import catalog
from thresher.cli.decide import decide
from thresher.cli.design import design
from thresher.cli.evidence import control, corroborate
from thresher.cli.export_records import export
from thresher.cli.import_records import import_records
from thresher.cli.lab import lab
from thresher.cli.programmes import programmes
from thresher.cli.regimes import classify, regime
from thresher.cli.resolve import resolve
from thresher.cli.sample_records import sample_records
from thresher.cli.screen import screen
from thresher.cli.shared import CONTEXT, Commands, examples
from thresher.cli.simulate import simulate
from thresher.cli.validate import validate
from thresher.errors import InputError

__all__ = ["Commands", "main"]


@click.group(
    cls=Commands, context_settings=CONTEXT, epilog=examples("thresher assess miri-2025", "thresher COMMAND --help")
)
@click.version_option(package_name="thresher")
def main() -> None:
    """Could a prohibited AI training run be split into pieces too small for the rule to see?

    Thresher evaluates rules on compute: what they leave possible unseen, what that costs, whom they burden, and how far the
    evidence reaches. It screens records for the owners that hold, across shells and sites, what a rule covers.
    """
    if sys.stdout is None:
        raise InputError("standard output", "one that is open")
    for stream in (sys.stdout, sys.stderr):
        # a terminal that lacks a character gets a question mark, not a traceback
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


for command in (
    *(assess, design, programmes, simulate, classify, regime, catalog, calibrate, validate, lab),
    *(sample_records, import_records, resolve, control, account, corroborate, screen, decide, export),
):
    main.add_command(command)
