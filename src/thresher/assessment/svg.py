"""One chart as SVG text: colours, type, ids of its own, and a title and description for those who cannot see it."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thresher.assessment import formats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH_INCHES = 7.3
# Okabe and Ito's palette: told apart by colour-blind readers; markers and dashes repeat the distinction in print.
INK, GREY = "#222222", "#767676"
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442",
)  # fmt: skip
GOALS = ((BLUE, "o"), (RED, "s"), (GREEN, "^"), (ORANGE, "D"), (PURPLE, "v"), (INK, "X"))
FONTS = "system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"
SETTINGS: Any = {
    "svg.fonttype": "none", "text.parse_math": False, "font.family": ["DejaVu Sans"], "font.size": 8.5,
    "axes.edgecolor": GREY, "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e3e3e3", "grid.linewidth": 0.7,
    "axes.axisbelow": True, "axes.linewidth": 0.8, "lines.linewidth": 1.9, "legend.frameon": False, "legend.fontsize": 8.5,
    "figure.facecolor": "none", "axes.facecolor": "none",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: a name for its ids, its title, a caption sentence, and SVG text."""

    name: str
    title: str
    caption: str
    svg: str


def draw_chart(name: str, title: str, caption: str, height: float, paint: Callable[[Figure], None]) -> Chart:
    """Draw on a figure of its own and give its SVG, with ids of its own and an accessible title."""
    from matplotlib import rc_context  # noqa: PLC0415 - heavy, and only for the report
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with rc_context({**SETTINGS, "svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return Chart(name, title, caption, _embeddable(buffer.getvalue(), name, title, caption))


def _embeddable(svg: str, name: str, title: str, caption: str) -> str:
    """The SVG element alone: ids prefixed (those unused dropped), system fonts, a title and a description."""
    svg = svg[svg.index("<svg") :].strip()
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg).replace("xlink:href", "href")
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", FONTS, svg)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL).replace("*{stroke", f"#{name} *{{stroke")
    width, height = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)[0]
    about = f"<title>{html.escape(title)}</title><desc>{html.escape(caption)}</desc>"
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{name}" role="img" aria-label="{html.escape(title)}"'
        f' viewBox="0 0 {width} {height}" width="{width}" height="{height}">{about}'
    )
    return opening + re.sub(r"^<svg[^>]*>", "", svg)


def log_ticks(axis: Any, words: Callable[[float], str]) -> None:
    """Ticks at decades, in words."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: PLC0415

    axis.set_major_locator(LogLocator(numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _at: words(value)))
    axis.set_minor_formatter(NullFormatter())


def money_ticks(axis: Any) -> None:
    """A few ticks in dollars."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415

    axis.set_major_locator(MaxNLocator(5))
    axis.set_major_formatter(FuncFormatter(lambda value, _at: formats.round_dollars(value)))
