"""The report of a sweep: one HTML file that needs nothing else, to read offline, send and print."""

from __future__ import annotations

from importlib.metadata import version

from thresher.assessment import formats
from thresher.assessment.page import environment
from thresher.assessment.wording import QUALITY_FLOP
from thresher.catalog import reference_systems
from thresher.simulation.draws import groups
from thresher.thresholds import wording as say
from thresher.thresholds.answers import Design
from thresher.thresholds.charts import charts


def html_report(design: Design) -> str:
    """The sweep as one self-contained HTML page: no scripts, no fonts, nothing fetched.

    The same sweep gives the same text, byte for byte.
    """
    return environment("thresher.thresholds").get_template("design.html.j2").render(
        d=design,
        regime=design.regime,
        say=say,
        formats=formats,
        quality_flop=QUALITY_FLOP,
        charts=charts(design),
        systems=reference_systems(),
        groups=groups(),
        version=version("thresher"),
    )  # fmt: skip
