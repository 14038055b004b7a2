"""The command ``calibrate``: fit what replicas cost in learning, or predict losses from the posterior that ships."""

from __future__ import annotations

from pathlib import Path

import click

from thresher.cli.shared import cell, emit, examples, json_option, print_table, progress
from thresher.errors import InputError, ThresherError

LEAST = 4
"""Fewest draws and warm-up steps."""
LARGEST_SEED = 2**32 - 1


@click.command(
    epilog=examples(
        "thresher calibrate --predict rows.csv --json -",
        "thresher calibrate --output posterior.csv --table families.csv",
    )
)
@click.option("--predict", "rows_file", type=click.Path(path_type=Path), metavar="ROWS",
              help="Fit nothing: predict the loss of each row of a CSV with the columns of diloco_quality.")  # fmt: skip
@click.option("--family", help="Predict by this family alone.  [default: all, by weight]")
@click.option("--posterior", "posterior_file", type=click.Path(path_type=Path), metavar="FILE",
              help="Predict from this posterior.  [default: the one that ships]")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the sampling.")
@click.option("--draws", type=int, default=1000, show_default=True, help="Draws kept of each family.")
@click.option("--warmup", type=int, default=500, show_default=True, help="Steps in which each chain finds its stride.")
@click.option("--chains", type=int, default=4, show_default=True, help="Chains of each family.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the posterior's draws (CSV).")
@click.option("--table", type=click.Path(path_type=Path), metavar="FILE", help="Write how the families compare (CSV).")
@json_option
def calibrate(
    rows_file: Path | None, family: str | None, posterior_file: Path | None, seed: int, draws: int, warmup: int,
    chains: int, output: Path | None, table: Path | None, json_file: str | None,
) -> None:  # fmt: skip
    """Fit what many replicas cost in learning, four forms side by side; or predict losses from the fit that ships.

    A fit takes some ten minutes and needs the extra: pip install 'thresher[calibrate]'. Its defaults give the posterior
    that ships. --predict needs no extra; it gives median, q05 and q95 of the loss as the row's source would print it.
    """
    if rows_file is not None:
        for option, value in (("--output", output), ("--table", table)):
            if value:
                raise InputError(option, "no such option with --predict, which fits nothing")
        _predict(rows_file, family, posterior_file, json_file)
        return
    for option, chosen in (("--family", family), ("--posterior", posterior_file)):
        if chosen:
            raise InputError(option, "--predict beside it: a fit is of all families, and from their priors")
    if seed > LARGEST_SEED:
        raise InputError("--seed", f"a whole number of at most {LARGEST_SEED}", seed)
    for option, number, least in (("--seed", seed, 0), ("--draws", draws, LEAST), ("--warmup", warmup, LEAST),
                                  ("--chains", chains, 2)):  # fmt: skip
        if number < least:
            raise InputError(option, f"a whole number of at least {least}", number)
    _fit(seed, draws, warmup, chains, output, table, json_file)


def _predict(rows_file: Path, family: str | None, posterior_file: Path | None, json_file: str | None) -> None:
    from thresher.learning.loss_rows import read_rows
    from thresher.learning.posterior import load_posterior
    from thresher.learning.predictions import predictions

    records, rows = read_rows(rows_file)
    posterior = load_posterior(posterior_file)
    if family is not None and family not in posterior.draws:
        raise InputError("--family", f"one of {', '.join(posterior.draws)}", family)
    found = predictions(rows, posterior, family)
    if not emit(json_file, found):
        shown = ("source", "method", "params", "replicas", "inner_steps", "tokens")
        print_table(
            (*shown, "median", "5%", "95%"),
            [
                (*(record[name] for name in shown), *(f"{one[name]:.4f}" for name in ("median", "q05", "q95")))
                for record, one in zip(records, found, strict=True)
            ],
            title="Predicted loss, nats per token, as the row's source would print it",
        )


def _fit(
    seed: int, draws: int, warmup: int, chains: int, output: Path | None, table: Path | None, json_file: str | None
) -> None:
    try:
        from thresher.calibration.calibrate import calibrate as run
        from thresher.calibration.files import posterior_text, table_text
        from thresher.calibration.fit import Settings
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("thresher"):
            raise
        raise ThresherError(f"a fit needs {error.name}: pip install 'thresher[calibrate]'") from None
    from thresher.result import write_text

    found = run(Settings(seed=seed, draws=draws, warmup=warmup, chains=chains), progress)
    for path, text in ((output, posterior_text(found.fits)), (table, table_text(found.table))):
        if path is not None:
            write_text(path, text)
    if not emit(json_file, found.as_result().as_json()):
        columns = list(found.table[0])
        rows = [[str(name), *(cell(row[name]) for row in found.table)] for name in columns[1:]]
        print_table(["", *(str(row["family"]) for row in found.table)], rows, title="How the families compare")
