"""Where the model is weak: what the comparisons show by themselves, and what is stated in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from thresher.assessment.formats import percent, times
from thresher.assessment.page import cite
from thresher.catalog import table_source
from thresher.lab import numbers
from thresher.lab.about.asked import HOW_WORDS
from thresher.lab.about.compared import Line, address_of_comparison, line_of
from thresher.lab.charts import Chart
from thresher.lab.pages import address
from thresher.learning.posterior import family_table
from thresher.validation import Comparison, left_out
from thresher.validation.standing import key_of, short_name
from thresher.validation.weaknesses import areas

TWICE = 2.0
"""A row off by this factor is counted as one that is far off."""
_NAME = re.compile(r"`(.+?)`")
_MARKS = re.compile(r"\*\*(.+?)\*\*|\*(.+?)\*|\[(\w+)\]")


@dataclass(frozen=True, slots=True)
class Worst:
    """A comparison's line, how many of its rows are off by a factor of two, and the one furthest off."""

    line: Line
    far: int
    label: str
    factor: str


@dataclass(frozen=True, slots=True)
class Family:
    """A form of the replica penalty, its weight, and how it predicts rows left out of its fit."""

    name: str
    weight: float
    error_at_8_replicas: float
    error_at_the_largest: float
    inside: float


@dataclass(frozen=True, slots=True)
class Stated:
    """One weakness in words, and the numbers and comparisons that it is about: names with their addresses."""

    text: Markup
    parameters: tuple[tuple[str, str], ...]
    comparisons: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """The weaknesses of one part of the program."""

    id: str
    title: str
    numbered: bool
    items: tuple[Stated, ...]


def worst_first(comparisons: Iterable[Comparison], place: Iterable[tuple[str, object]] = ()) -> list[Worst]:
    """The comparisons by their median error, the largest first."""
    found = [_worst(one, place) for one in comparisons]
    return sorted(found, key=lambda one: -one.line.ours.explanation.value)


def not_predicted() -> list[tuple[str, Markup]]:
    """The measured tables that no model predicts: title, and why."""
    return [(f"{table_source(name)['title']} ({name})", noted(why)) for name, why in left_out().items()]


def families() -> list[Family]:
    """How the forms of the replica penalty predict what their fits have not seen."""
    columns = ("weight", "rmse_replicas", "rmse_largest", "coverage_largest")
    return [Family(row["family"], *(float(row[name]) for name in columns)) for row in family_table()]


def known_chart() -> Chart:
    """How the numbers of each file are known: read, computed, second-hand, or our judgement."""
    counts = numbers.counts_by_how()
    totals: Counter[str] = Counter()
    for (file, _), count in counts.items():
        totals[file] += count
    rows = [
        {
            "name": file.replace("/data/", "/").removesuffix(".yaml"), "file": file,
            "about": numbers.ROOMS[file.partition("/")[0]],
            "how": how, "order": order, "numbers": counts[file, how], "share": counts[file, how] / total,
            "href": address(numbers.PATH, {"file": file, "how": how}),
        }
        for file, total in totals.most_common()
        for order, how in enumerate(HOW_WORDS)
        if (file, how) in counts
    ]  # fmt: skip
    judged = sum(count for (_, how), count in counts.items() if how == "judgement")
    caption = (
        f"{judged} of {totals.total()} numbers are our own judgement; those of records/samples describe made-up records, not"
        " the world. A bar leads to its numbers."
    )
    return Chart("model-known", "How the numbers are known", caption, rows, "model-known")


def stated(comparisons: Iterable[Comparison], place: Iterable[tuple[str, object]] = ()) -> list[Part]:
    """What is stated in words, part by part, with ways to the numbers and comparisons that it is about."""
    lines = {key_of(one): (short_name(one), address_of_comparison(one, place)) for one in comparisons}
    return [
        Part(
            f"weak-{area.page}", area.title, area.numbered,
            tuple(
                Stated(
                    marked(one.text, areas()), tuple((name, numbers.address_of(name)) for name in one.parameters),
                    tuple(lines[key] for key in one.comparisons),
                )
                for one in area.weaknesses
            ),
        )
        for area in areas().values()
    ]  # fmt: skip


def marked(text: str, known: Iterable[str]) -> Markup:
    """A text of ``weaknesses.yaml`` as HTML: emphasis, names, and links to the parts that this page has; all else is escaped."""
    pages = set(known)

    def html(found: re.Match[str]) -> str:
        strong, emphasis, page = found.groups()
        if page:
            return f'<a href="#weak-{page}">{page}</a>' if page in pages else f"<code>docs/{page}.md</code>"
        return f"<strong>{strong}</strong>" if strong else f"<em>{emphasis}</em>"

    # within **…** a name may stand, so names are marked first
    once = _NAME.sub(r"<code>\1</code>", str(escape(text)))
    return Markup(_MARKS.sub(html, once))


def noted(text: str) -> Markup:
    """A note as HTML: sources as links, names in backticks as code; all else is escaped."""
    return Markup(_NAME.sub(r"<code>\1</code>", str(cite(text))))


def _worst(one: Comparison, place: Iterable[tuple[str, object]]) -> Worst:
    factors: Sequence[tuple[float, float, str]] = [
        (max(ratio, 1.0 / ratio), ratio, row.label)
        for row in one.rows
        if row.measured and (ratio := row.predicted / row.measured) > 0
    ]
    factor, ratio, label = max(factors)
    much = times(factor) if factor >= TWICE else percent(abs(ratio - 1.0))
    words = f"{much} too {'high' if ratio > 1.0 else 'low'}"
    return Worst(line_of(one, place, "worst"), sum(one[0] >= TWICE for one in factors), label, words)
