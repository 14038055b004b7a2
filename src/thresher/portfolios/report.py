"""The report of a portfolio: one HTML file that needs nothing else, to read offline, send and print."""

from __future__ import annotations

from importlib.metadata import version

from thresher.assessment import formats, noticing
from thresher.assessment.page import environment
from thresher.assessment.wording import QUALITY_FLOP
from thresher.countermeasures.parameters import quantities
from thresher.countermeasures.programmes import settings
from thresher.countermeasures.texts import texts
from thresher.portfolios import wording as say
from thresher.portfolios.answers import Portfolio
from thresher.portfolios.charts import charts


def html_report(portfolio: Portfolio) -> str:
    """The portfolio as one self-contained HTML page: no scripts, no fonts, nothing fetched; the same bytes for the same
    answer."""
    return environment("thresher.portfolios").get_template("programmes.html.j2").render(
        d=portfolio,
        regime=portfolio.regime,
        say=say,
        seen=noticing,
        formats=formats,
        main=say.main_answer(portfolio),
        quality_flop=QUALITY_FLOP,
        countermeasures=texts(),
        settings=settings(),
        quantities=list(quantities().values()),
        charts=charts(portfolio),
        version=version("thresher"),
    )  # fmt: skip
