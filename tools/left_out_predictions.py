"""Predicts rows of the comparisons by refits that leave them out, and writes them for the charts of the lab.

Run from the root of the repository with scipy installed: ``python tools/left_out_predictions.py``. Writes
``src/thresher/validation/data/left_out_predictions.csv``.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from fit_site import left_out_seconds
from fit_utilisation import left_out_mfu
from thresher.training.site import measured_iterations
from thresher.training.utilisation import utilisation_parameters
from thresher.validation import validate

FILE = Path(__file__).resolve().parents[1] / "src/thresher/validation/data/left_out_predictions.csv"
HEADER = ("comparison", "row", "left_out", "predicted")
Row = tuple[str, str, str, float]


def site_rows() -> list[Row]:
    """Iterations inside one site: model sizes left out, then tensor degrees."""
    labels = [row.label for row in validate(["measured_iteration_times"])[0].rows]
    inputs, measured = measured_iterations()
    return [
        ("measured_iteration_times.iteration_seconds", label, what, float(seconds))
        for column, what in (("params", "this model size"), ("tensor", "this tensor degree"))
        for label, seconds in zip(labels, left_out_seconds(inputs, measured, column), strict=True)
    ]


def mfu_rows() -> list[Row]:
    """Utilisation of the catalog's one-site runs, which are the first of those fitted: each run left out."""
    labels = [row.label for row in validate(["published_mfu"])[0].rows]
    highest = utilisation_parameters()["highest_seen_mfu"]
    predicted = left_out_mfu()
    return [
        ("published_mfu.mfu", label, "this run", min(highest, predicted[place]))
        for place, label in enumerate(labels)
        if place in predicted
    ]


def text() -> str:
    """The file's text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows((*words, f"{predicted:.5g}") for *words, predicted in (*site_rows(), *mfu_rows()))
    return out.getvalue()


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
