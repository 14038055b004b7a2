"""The report of an assessment: one HTML file that needs nothing else, to read offline, send and print."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from thresher.assessment import confidence, formats, noticing
from thresher.assessment import wording as say
from thresher.assessment.assess import Assessment
from thresher.assessment.charts import charts
from thresher.assessment.charts_of_detection import NAMES as CHARTS_OF_DETECTION
from thresher.assessment.charts_of_draws import NAMES as CHARTS_OF_DRAWS
from thresher.assessment.page import environment
from thresher.catalog import chip
from thresher.countermeasures.texts import texts
from thresher.evasion.space import settings
from thresher.simulation import default
from thresher.sources import Quantity

LARGEST_MODELS_SHOWN = 8


def html_report(assessment: Assessment) -> str:
    """The assessment as one self-contained HTML page: no scripts, no fonts, nothing fetched.

    The same assessment gives the same text, byte for byte.
    """
    main = say.main_answer(assessment)
    drawn = [item for item in assessment.answers if item.uncertainty is not None]
    watched = [item for item in drawn if item.detection is not None]
    return environment().get_template("report.html.j2").render(
        a=assessment,
        regime=assessment.regime,
        say=say,
        sure=confidence,
        formats=formats,
        drawn=drawn,
        driven=[item for item in drawn if item.sensitivity is not None],
        verdict_budget=settings()["verdict_budget"],
        confidences=() if assessment.quick else settings()["commitment"]["confidences"],
        charts=charts(assessment),
        apart=(*CHARTS_OF_DRAWS, *CHARTS_OF_DETECTION),
        seen=noticing,
        countermeasures=texts(),
        watched=watched,
        looks=next((item for item in watched if item is main), watched[0] if watched else None),
        table=_table(assessment),
        main=main,
        chips=[chip(name) for name in _chips_of_plans(assessment)],
        largest=list(assessment.largest_node_params.items())[:LARGEST_MODELS_SHOWN],
        quantities=_quantities(assessment),
        version=version("thresher"),
    )  # fmt: skip


def _table(assessment: Assessment) -> list[tuple[str, list[tuple[str, str]]]]:
    """The table by target: each attribute with one value a goal, and below it what the draws say."""
    labels = [name for name, _ in say.rows(assessment.answers[0])] if assessment.answers else []
    columns = [dict(say.rows(answer)) for answer in assessment.answers]
    return [
        (
            name,
            [
                (column[name], say.below(answer, name))
                for answer, column in zip(assessment.answers, columns, strict=True)
            ],
        )
        for name in labels
    ]


def _chips_of_plans(assessment: Assessment) -> Iterable[str]:
    plans = [plan for item in assessment.answers for plan in (item.plan, item.declared, *item.by_mode.values()) if plan]
    return sorted({plan.chip for plan in plans})


def _quantities(assessment: Assessment) -> list[tuple[Quantity, Any]]:
    """Every parameter with the value this assessment used."""
    used = assessment.arena.parameters
    return [(row, used.get(name, row.value)) for name, row in default.quantities().items()]
