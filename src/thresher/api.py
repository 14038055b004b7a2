"""The verbs of the command line, for Python: assess, design, programmes, simulate, classify, lint and validate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thresher.assessment.assess import assess
from thresher.errors import InputError
from thresher.portfolios.programmes import programmes
from thresher.regime import Decision, Finding, lint_regime, load_regime, read_clusters
from thresher.simulation.plans import Value, check_plan, read_plan, simulate_plan
from thresher.sources import read_text
from thresher.thresholds.sweep import design
from thresher.validation import validate

__all__ = ["assess", "classify", "design", "lint", "programmes", "simulate", "validate"]

MODELS = ("default", "published")


def simulate(
    plan: str | Path | Mapping[str, Any], *, model: str = "default"
) -> dict[str, Any] | list[dict[str, float]]:
    """Simulate a plan, or the cases of a golden file.

    Parameters
    ----------
    plan
        A TOML plan's path, the same as a mapping with the tables ``plan`` and ``network``, or (for ``published``) the path of a
        JSON list of cases.
    model
        ``default``, our best model, or ``published``, the study's calculator to the digit.

    Returns
    -------
    dict or list
        The outcome, or for a JSON list one dict of golden keys for each case.

    Raises
    ------
    InputError, InfeasiblePlanError
        What is wrong with the plan, by field.
    """
    if model not in MODELS:
        raise InputError("model", f"one of {', '.join(MODELS)}", model)
    where = "plan" if isinstance(plan, Mapping) else str(plan)
    if model == "published":
        from thresher.simulation.published_cases import case_of_plan, evaluate_cases, parse_cases  # noqa: PLC0415

        if not isinstance(plan, Mapping) and _is_json(Path(plan)):
            return evaluate_cases(parse_cases(read_text(Path(plan)), where), where)
        return evaluate_cases([case_of_plan(_checked_plan(plan), where)], where)[0]
    return simulate_plan(_checked_plan(plan), where)


def classify(clusters: str | Path, *, regime: str | Path) -> list[Decision]:
    """Decide for every cluster of a CSV file whether a regime covers it, by which clause and with what margin."""
    return load_regime(regime).classify(read_clusters(clusters))


def lint(regime: str | Path) -> list[Finding]:
    """Point at clauses of a regime that contradict each other or leave a gap."""
    return lint_regime(load_regime(regime))


def _checked_plan(plan: str | Path | Mapping[str, Any]) -> dict[str, Value]:
    """The plan of a mapping, a JSON file or a TOML file."""
    if isinstance(plan, Mapping):
        return check_plan(plan)
    path = Path(plan)
    if not _is_json(path):
        return read_plan(path)
    try:
        document = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(str(path), f"valid JSON ({error})") from None
    if not isinstance(document, dict):
        raise InputError(str(path), "one plan with the tables plan and network (a list of cases needs model published)")
    return check_plan(document, str(path))


def _is_json(path: Path) -> bool:
    return path.suffix.lower() == ".json"
