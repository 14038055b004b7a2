"""Writes the tables of the documentation from the running program, so that they cannot disagree with it.

Run by ``conf.py`` at every build, or by hand: ``python docs/make_tables.py``. Each function of ``TABLES`` gives the
Markdown of one file of ``docs/_generated``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import make_figures
import numpy as np

import thresher
from thresher.assessment import confidence, wording
from thresher.assessment.formats import dollars, percent, times
from thresher.assessment.uncertainty import Interval
from thresher.catalog import chips, networks, reference_systems
from thresher.countermeasures import leak_probability, time_to_identification
from thresher.countermeasures.actors import actors, load_actor
from thresher.countermeasures.channels import PHASES, channels
from thresher.countermeasures.hiding import routes
from thresher.countermeasures.parameters import leak_rates
from thresher.countermeasures.parameters import quantities as detection_quantities
from thresher.countermeasures.programmes import countermeasures, load_programme, programmes, settings
from thresher.countermeasures.texts import texts
from thresher.evasion.published_tables import ThresholdRow, published_threshold_tables
from thresher.learning.posterior import family_table, load_posterior
from thresher.learning.replica_model import COST_NAMES, REPLICA_NAMES
from thresher.portfolios.scenarios import COLUMNS, scenario_rows, study_scenarios
from thresher.records.schema import records_schema_markdown
from thresher.regime import ClusterClause, RunClause, load_regime, regime_schema_markdown, regimes
from thresher.screening.evidence import all_findings, weights
from thresher.simulation import default
from thresher.simulation.outcomes import outcome_fields
from thresher.simulation.plans import plan_fields
from thresher.sources import Quantity, parameter_files
from thresher.thresholds import wording as design_words
from thresher.thresholds.answers import Design

DOCS = Path(__file__).parent
SMALL, LARGE = 1e-3, 1e6
"""Figures outside are written with an exponent."""
FOUR_DIGITS = 1e3
ROWS_SHOWN = 14
"""Comparisons with more rows than this are folded."""

_SPECIAL = re.compile(r"([\\*\[\]|<$])")


def text(value: object) -> str:
    """A cell: nothing in it is taken for Markdown but code in backticks."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))


def plainly(figure: str) -> str:
    """An exponent without its plus sign: 1e24."""
    return re.sub(r"e\+0*(?=\d)", "e", figure)


def number(value: float | None) -> str:
    """A figure as people write it, blank where unknown."""
    if value is None:
        return ""
    if value and not SMALL <= abs(value) < LARGE:
        return plainly(f"{value:.4g}")
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= FOUR_DIGITS else f"{value:.4g}"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; cells are Markdown already."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def folded(summary: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table behind a line that opens it."""
    return f"<details><summary>{summary}</summary>\n\n{markdown(header, rows)}\n</details>\n"


def plan_table() -> str:
    """Every field a plan may have."""
    rows = []
    for field in plan_fields().values():
        low, high = field.minimum, field.maximum
        limits = ", ".join(field.choices) or (f"{low:g} to {high:g}" if high < float("inf") else "")
        rows.append((
            f"`{field.name}`", f"`[{field.section}]`", field.kind, text(field.unit),
            "required" if field.default is None else f"`{str(field.default).lower()}`", text(limits),
            text(field.description),
        ))  # fmt: skip
    return markdown(("field", "table", "kind", "unit", "default", "may be", "meaning"), rows)


def outcome_table() -> str:
    """Everything the model says of a plan."""
    rows = [
        (f"`{one.name}`", text(one.group), text(one.title), text(one.unit), text(one.how))
        for one in outcome_fields().values()
    ]
    return markdown(("outcome", "group", "what it is", "unit", "how it follows"), rows)


def regime_schema() -> str:
    """The form of a regime file."""
    return re.sub(r"\[([A-Z]\w+)\]", lambda m: f"[{m[1]}](#{m[1].lower()})", regime_schema_markdown())


def regime_table() -> str:
    """The regimes that ship, and the lines they draw."""
    rows = []
    for name in regimes():
        rule = load_regime(name)
        lines = [_line(clause) for clause in rule.clauses if isinstance(clause, ClusterClause | RunClause)]
        rows.append((f"`{name}`", text(rule.title), rule.status, "<br>".join(lines), text(rule.source_address)))
    return markdown(("name", "title", "status", "lines", "source"), rows)


def _line(clause: ClusterClause | RunClause) -> str:
    if isinstance(clause, ClusterClause):
        kinds = f", {' and '.join(clause.counts.memory_kinds)} only" if clause.counts else ""
        line = f"{clause.comparison} {number(clause.threshold)} {clause.unit}{kinds}, over {clause.grouping.over}"
    else:
        bands = (plainly(f"{clause.comparison} {band.above:g} FLOP {band.consequence}") for band in clause.bands)
        line = f"{', '.join(clause.training)}: {'; '.join(bands)}"
    return f"`{clause.id}`: {text(line)}"


def lint_table() -> str:
    """What the linter finds in the regimes that ship."""
    rows = [
        (f"`{name}`", finding.kind, ", ".join(f"`{one}`" for one in finding.clause_ids), text(finding.message))
        for name in regimes()
        for finding in thresher.lint(name)
    ]
    return markdown(("regime", "kind", "clauses", "finding"), rows)


def parameters() -> str:
    """Every parameter: value, range, unit, source and note, file by file."""
    known = {name for rows in parameter_files().values() for name in rows}
    if missing := default.quantities().keys() - known:
        raise LookupError(f"parameters of the preset default that no file was found for: {sorted(missing)}")
    parts = []
    for where, rows in parameter_files().items():
        used = sum(name in default.quantities() for name in rows)
        reader = ", merged into the preset `default`" if used else ""
        reader += ", of detection" if where.startswith("countermeasures") else ""
        parts += [f"## {where}", "", f"{len(rows)} parameters{reader}.", ""]
        sources = {row.source.id: row.source for row in rows.values()}
        parts += [
            f"- `{name}`: {text(source.title)} ({text(source.address)}; {source.how})"
            for name, source in sources.items()
        ]
        parts += ["", markdown(
            ("name", "value", "range", "drawn as", "unit", "source", "observed; note"),
            [
                (
                    f"`{name}`", number(row.value),
                    *(("", "") if row.low == row.high else (f"{number(row.low)} to {number(row.high)}", drawn_as(row))),
                    text(row.unit), f"`{row.source.id}`", "; ".join(text(part) for part in (row.observed, row.note) if part),
                )
                for name, row in rows.items()
            ],
        )]  # fmt: skip
    return "\n".join(parts)


def drawn_as(row: Quantity) -> str:
    """The distribution of a parameter that has a range."""
    return "not drawn" if row.distribution == "fixed" else row.distribution


def judgements() -> str:
    """The parameters of the preset that rest on judgement alone."""
    rows = [
        (f"`{name}`", number(row.value), f"{number(row.low)} to {number(row.high)}", drawn_as(row), text(row.unit),
         text(row.note))
        for name, row in default.quantities().items()
        if row.source.how == "judgement" and row.low < row.high
    ]  # fmt: skip
    return markdown(("parameter", "value", "range", "drawn as", "unit", "why"), rows)


def figures() -> dict[str, str]:
    """The central values that pages quote by name, and some as percentages."""
    values = {name: row.value for name, row in default.quantities().items()}
    shares = (
        "usable_memory_fraction",
        "duty_cap",
        "steady_duty_share",
        "compute_time_spread",
        "link_time_spread",
        "blocking_share",
    )
    return {name: number(value) for name, value in values.items()} | {
        f"{name}_percent": f"{values[name] * 100:.3g}%" for name in shares
    }


def mfu_formula() -> str:
    """The default utilisation, with its numbers."""
    f = figures()
    return _fenced(
        f"MFU = min({f['highest_seen_mfu']}, {f['small_unit_mfu']} x generation factor"
        f" x max(1, chips / {f['saturation_chips']})^-{f['decline_exponent']})"
    )


def learning_formulas() -> str:
    """What distribution costs, with the fitted numbers."""
    f = figures()
    r = f["inner_step_reference"]
    return _fenced(
        "replicas and batch   1 + b + (M - 1) b / H + (cost of drift - 1),   b = local batch / critical batch\n"
        "cost of drift        ((T + x) / T)^(1 / beta),   T the law's token term B / D^beta, x the nats that drift adds:\n"
        f"                     {f['replica_scale']} (N / 1e9)^-({f['replica_size_exponent']})"
        f" (D / 2e10)^-{f['replica_token_exponent']} h(H) (M - 1)^{f['replica_growth']} (the family `additive`, at the centre)\n"
        f"                     h(H) = ln(1 + (H - 1)/{f['inner_step_scale']}) / ln(1 + ({r} - 1)/{f['inner_step_scale']})\n"
        f"critical batch       {f['critical_batch_tokens_at_1e12']} x (tokens / 1e12)^{f['critical_batch_exponent']}\n"
        "two tiers            1 / H and h(H) are means: M - G of the M - 1 further replicas differ within groups, G - 1 between\n"
        "compression          1 + (b0 / bits)^2 - (b0 / bits uncompressed)^2,   bits of a parameter's update,\n"
        f"                     b0 = {f['information_bits_with_feedback']} with error feedback,"
        f" {f['information_bits_without_feedback']} without\n"
        f"late updates         1 + {f['staleness_data_cost']} x delay in rounds\n"
        f"activations          1 + {f['activation_data_cost']} ((r - 1) / ({f['validated_activation_compression']} - 1))^2,"
        "   r = compression between stages\n"
        f"number format        {f['number_format_data_cost_bf16']} (bf16), {f['number_format_data_cost_fp8']} (fp8),"
        f" {f['number_format_data_cost_fp4']} (fp4)\n"
        f"repeated text        D' = U + U R* (1 - exp(-R / R*)),   R* = {f['repetition_half_life']}"
    )


def _fenced(lines: str) -> str:
    return f"```text\n{lines}\n```\n"


def horizon() -> str:
    """The largest value ever measured on each axis."""
    rows = [
        (
            f"`{name}`", text(row.note), f"{'least' if name == 'bits_per_param' else 'most'} {number(row.value)}",
            text(row.observed), text(row.source.address), row.source.how,
        )
        for name, row in parameter_files()["learning/data/horizon.yaml"].items()
    ]  # fmt: skip
    return markdown(("axis", "what", "measured", "where", "source", "how"), rows)


def chip_table() -> str:
    """The chips of the catalog."""
    rows = [
        (
            f"`{one.chip}`", text(one.kind), number(one.fp16_tflops), number(one.fp8_tflops), number(one.fp4_tflops),
            number(one.tpp), number(one.memory_gb), text(one.memory_type), number(one.memory_bandwidth_tb_s),
            number(one.tdp_w), number(one.price_usd), text(one.price_date),
        )
        for one in chips().values()
    ]  # fmt: skip
    header = ("chip", "kind", "FP16", "FP8", "FP4", "TPP", "GB", "memory", "TB/s", "W", "USD", "price of")
    return f"{len(rows)} chips; rates are dense, in TFLOP/s; blank is unknown.\n\n{markdown(header, rows)}"


def chip_sources() -> str:
    """Where the figures of each chip come from, folded."""
    rows = [
        (
            f"`{one.chip}`", text(one.spec_source), text(one.confidence),
            ": ".join(text(part) for part in (one.price_kind, one.price_source) if part), text(one.note),
        )
        for one in chips().values()
    ]  # fmt: skip
    return folded(f"Sources of the {len(rows)} chips", ("chip", "figures from", "confidence", "price", "note"), rows)


def network_table() -> str:
    """The network profiles."""
    rows = [
        (
            f"`{one.network}`", text(one.name), number(one.upload_mbps), number(one.download_mbps),
            number(one.round_trip_ms), number(one.regional_mbps), text(one.bandwidth_source),
            text(f"{one.round_trip_tier} {one.round_trip_statistic}".strip()), text(one.note),
        )
        for one in networks().values()
    ]  # fmt: skip
    header = ("profile", "what", "up (Mbit/s)", "down (Mbit/s)", "round trip (ms)", "regional (Mbit/s)", "bandwidth from",
              "round trip from", "note")  # fmt: skip
    return markdown(header, rows)


def system_table() -> str:
    """The reference systems."""
    rows = [
        (text(one.system), text(one.category), f"{one.count} `{one.chip}`", number(one.memory_gb),
         number(one.h100_equivalents), text(one.note))
        for one in reference_systems()
    ]  # fmt: skip
    return markdown(("system", "category", "chips", "memory (GB)", "H100-equivalents, as published", "note"), rows)


@cache
def _comparisons() -> Sequence[Any]:
    return thresher.validate()


def validation_summary() -> str:
    """One line per comparison of `thresher validate`."""
    rows = [
        (f"`{one.table}`", text(one.what), text(one.unit), str(len(one.rows)), _share(one.median_absolute_relative_error),
         _share(one.baseline_median_absolute_relative_error), f"{one.root_mean_square_error:.3g}")
        for one in _comparisons()
    ]  # fmt: skip
    header = ("table", "quantity", "unit", "rows", "median error", "of the published calculator",
              "root mean square error (unit)")  # fmt: skip
    return markdown(header, rows)


def validation_rows() -> str:
    """Prediction beside measurement, row by row."""
    parts = []
    for one in _comparisons():
        with_baseline = any(row.baseline is not None for row in one.rows)
        header = ["row", "predicted", "measured", "error", *(["published calculator"] if with_baseline else [])]
        rows = [
            [text(row.label), f"{row.predicted:.4g}", f"{row.measured:.4g}", _share(row.relative_error, "+"),
             *([f"{row.baseline:.4g}" if row.baseline is not None else ""] if with_baseline else [])]
            for row in one.rows
        ]  # fmt: skip
        title = f"{one.table}: {text(one.what)} ({text(one.unit)})"
        parts += [f"### {title}", "", text(one.note), ""]
        parts += [folded(f"{len(rows)} rows", header, rows) if len(rows) > ROWS_SHOWN else markdown(header, rows)]
    return "\n".join(parts)


def left_out() -> str:
    """The tables that no model predicts."""
    from thresher.validation import left_out as reasons  # noqa: PLC0415 - beside its only use

    return markdown(("table", "why"), [(f"`{name}`", text(why)) for name, why in reasons().items()])


def weak(area: str) -> str:
    """Where the models of one area are weak, as a list."""
    from thresher.validation.weaknesses import areas  # noqa: PLC0415 - beside its only use

    one = areas()[area]
    items = [re.sub(r"\[(\w+)\]", r"{doc}`\1`", weakness.text) for weakness in one.weaknesses]
    return "".join(f"{f'{place}.' if one.numbered else '-'} {item}\n" for place, item in enumerate(items, start=1))


def _share(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.1%}"


def quickstart_plan() -> dict[str, Any]:
    """The plan that the quickstart shows."""
    page = (DOCS / "quickstart.md").read_text("utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    return tomllib.loads(next(block for block in blocks if "[plan]" in block))


def quickstart_outcome() -> str:
    """What `simulate` says of the quickstart's plan."""
    outcome: Any = thresher.simulate(quickstart_plan())
    wanted = ("utilisation", "step_seconds", "sync_seconds", "inner_steps", "tokens", "days", "flop", "flop_local",
              "flop_quality", "cost_usd", "power_mw", "upload_gb_per_sync", "mean_upload_mbps")  # fmt: skip
    evidence = "\n".join(f"- {text(line)}" for line in outcome["evidence"])
    table = markdown(("outcome", "value"), [(f"`{name}`", number(outcome[name])) for name in wanted])
    return f"{table}\n`evidence`:\n\n{evidence}\n"


def assessment() -> str:
    """The answer for the draft agreement, in short, with what the draws say."""
    rows = []
    for answer in thresher.assess("miri-2025").answers:
        found, plan = answer.uncertainty, answer.plan
        half, most = confidence.half_and_most(found.outcomes["cost_usd"], dollars)
        worst = max(plan.horizon, key=lambda axis: axis.ratio) if plan else None
        rows.append((
            plainly(f"{answer.target_flop_quality:g}"), f"{percent(found.reached)} of draws",
            text(confidence.end(found.outcomes["cost_usd"].q50, dollars)), text(half), text(most),
            text(wording.widest(answer, "Unseen over declared")), text(wording.central_figure(answer)),
            f"{text(worst.axis)}, {number(float(f'{worst.ratio:.2g}'))} times" if worst else "",
        ))  # fmt: skip
    header = ("quality-adjusted FLOP", "within reach", "least cost, median", "half of the draws", "90% of the draws",
              "times the cost in the open, 90%", "at central values alone", "furthest beyond the evidence")  # fmt: skip
    return markdown(header, rows)


COMPARED = {
    "weight": ("weight", ".3f"),
    "stacking_loo": ("stacking, one left out", ".3f"),
    "stacking_largest": ("stacking, largest left out", ".3f"),
    "pseudo_bma_loo": ("pseudo-BMA+, one left out", ".3f"),
    "pseudo_bma_largest": ("pseudo-BMA+, largest left out", ".3f"),
    "elpd_loo": ("log predictive density, one left out", ".1f"),
    "elpd_loo_error": ("standard error of its difference from the best", ".1f"),
    "elpd_largest": ("log predictive density, largest left out", ".1f"),
    "elpd_largest_error": ("standard error of its difference from the best", ".1f"),
    "rmse_largest": ("error at the largest sizes, left out (nats, rms)", ".4f"),
    "rmse_replicas": ("error at 8 replicas, left out (nats, rms)", ".4f"),
    "coverage_loo": ("rows inside their 90% interval, one left out", ".1%"),
    "coverage_largest": ("rows inside their 90% interval, largest left out", ".1%"),
    "max_pareto_k": ("largest Pareto k", ".2f"),
    "max_rhat": ("largest R-hat", ".3f"),
    "min_ess": ("least effective sample size", ".0f"),
    "divergences": ("divergences", ".0f"),
}
"""How the rows of ``replica_families.csv`` are called and written."""


def replica_comparison() -> str:
    """How the families of the replica penalty compare."""
    rows = family_table()
    return markdown(
        ("", *(f"`{row['family']}`" for row in rows)),
        [(title, *(f"{float(row[name]):{form}}" for row in rows)) for name, (title, form) in COMPARED.items()],
    )


def replica_posterior() -> str:
    """The numbers of each family: median and central 90% of the posterior that ships."""
    draws = load_posterior().draws

    def cell(values: Any) -> str:
        low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
        return number(middle) if low == high else f"{middle:.3g} ({low:.3g} to {high:.3g})"

    return markdown(
        ("number", *(f"`{family}`" for family in draws)),
        [(f"`{name}`", *(cell(one[name]) for one in draws.values())) for name in (*REPLICA_NAMES, *COST_NAMES)],
    )


def replica_extrapolation() -> str:
    """What each family adds to the loss beyond what was measured, and the share of compute that is left."""
    replicas = (8.0, *make_figures.MARKED)
    rows = []
    for size in make_figures.SIZES:
        for family in load_posterior().draws:
            found = make_figures.extrapolation(family, size, replicas)
            cells = [
                f"{middle:.2g} ({low:.2g} to {high:.2g}); {share:.2g}"
                for (low, middle, high), share in zip(found.nats.T, found.efficiency[1], strict=True)
            ]
            rows.append((size, f"`{family}`", *map(plainly, cells)))
    return markdown(("size", "family", *(f"{count:.0f} replicas" for count in replicas)), rows)


def published_tables() -> str:
    """The study's two threshold tables, searched anew: nodes, mode and price of the chips for each target."""
    lines: dict[tuple[Any, ...], dict[float, str]] = {}
    for row in published_threshold_tables():
        memory = "none" if row.threshold_memory_gb is None else number(row.threshold_memory_gb)
        key = (
            row.table, number(row.threshold_h100e), memory, f"{row.node_chips} `{row.chip}` ({row.precision})",
            number(round(row.largest_params_b)),
        )  # fmt: skip
        found = "out of reach"
        if row.nodes is not None and row.chips_only_usd is not None:
            found = f"{number(row.nodes)} {row.mode}, {number(round(row.chips_only_usd / 1e6, 1))}"
        lines.setdefault(key, {})[row.target_flop_quality] = found
    targets = sorted({target for found in lines.values() for target in found})
    header = ("table", "H100-equivalents", "memory (GB)", "largest unseen node", "largest model on it (1e9)",
              *(f"{plainly(f'{target:g}')}: nodes, USD million" for target in targets))  # fmt: skip
    return markdown(header, [(*key, *(found[target] for target in targets)) for key, found in lines.items()])


STUDIED_TARGET, STUDIED_CHIP = 1e25, "A100-SXM-80GB"
SWEPT_DRAWS = 48
QUOTED = ((8.0, None), (1.0, None), (16.0, 1280.0), (16.0, 256.0))
"""The lines of the study's tables whose difference is put into words: H100-equivalents and GB."""


@cache
def swept(*chips_used: str) -> Design:
    """The study's lines of both tables, swept with the model `default`."""
    rows = published_threshold_tables()
    compute = sorted({row.threshold_h100e for row in rows})
    memory = sorted({row.threshold_memory_gb for row in rows if row.threshold_memory_gb is not None})
    return thresher.design(
        "miri-2025", vary=["compute", "memory"], values={"compute": compute, "memory": [*memory, None]},
        targets=[STUDIED_TARGET], draws=SWEPT_DRAWS, chips=chips_used or None,
    )  # fmt: skip


def published_beside_default() -> list[tuple[ThresholdRow, Interval, Interval]]:
    """Each row of the study's tables on its first chip, with the cost that `default` finds on that chip and on any."""

    def cost(found: Design, row: ThresholdRow) -> Interval:
        wanted = {"compute": row.threshold_h100e, "memory": row.threshold_memory_gb}
        return next(found.main(cell).cost_usd for cell in found.cells if cell.lines == wanted)

    rows = [row for row in published_threshold_tables() if row.target_flop_quality == STUDIED_TARGET]
    first = [row for row in rows if row.chip == rows[0].chip]
    return [(row, cost(swept(STUDIED_CHIP), row), cost(swept(), row)) for row in first]


def design_default() -> str:
    """The study's tables beside what `default` says of the same lines, and where they disagree."""
    found = published_beside_default()
    start = {row.table: (row, alone, free) for row, alone, free in reversed(found)}
    rows = []
    for row, alone, free in found:
        base, base_alone, base_free = start[row.table]
        rows.append((
            row.table, number(row.threshold_h100e), number(row.threshold_memory_gb) or "none",
            f"{text(dollars(row.chips_only_usd))} ({times(row.chips_only_usd / base.chips_only_usd)})"
            if row.chips_only_usd else "out of reach",
            *(f"{text(confidence.median_and_most(cost, dollars))}, {times(cost.q50 / first.q50)}"
              for cost, first in ((alone, base_alone), (free, base_free))),
        ))  # fmt: skip
    header = ("table", "H100-equivalents", "memory (GB)", "`published`, A100s: chips alone", f"`default`, `{STUDIED_CHIP}` alone",
              "`default`, any chip")  # fmt: skip
    sentences = [
        _disagreement(row, alone, free, start[row.table])
        for row, alone, free in found
        if (row.threshold_h100e, row.threshold_memory_gb) in QUOTED
    ]
    return markdown(header, rows) + "\n" + "".join(f"- {sentence}\n" for sentence in sentences)


def _disagreement(
    row: ThresholdRow, alone: Interval, free: Interval, start: tuple[ThresholdRow, Interval, Interval]
) -> str:
    base, base_alone, base_free = start
    unit, line = ("GB", row.threshold_memory_gb) if row.table == "memory" else ("H100-equivalent", row.threshold_h100e)
    named = f"{number(line)} {unit}" + ("s" if row.table == "compute" and line != 1 else "")
    if not (row.chips_only_usd and base.chips_only_usd):
        return f"At {named} the published calculator finds nothing."

    def change(before: float, after: float) -> str:
        if before == after:
            return f"stays at {text(dollars(after))}"
        return f"goes from {text(dollars(before))} to {text(dollars(after))}, {times(after / before)}"

    return (
        f"At {named}, {plainly(f'{STUDIED_TARGET:g}')} on A100s {change(base.chips_only_usd, row.chips_only_usd)}, in"
        f" `published`. In `default` the median {change(base_alone.q50, alone.q50)}, on the same chips, and"
        f" {change(base_free.q50, free.q50)}, where the adversary may buy others."
    )


def design_frontier() -> str:
    """What the same sweep says of the frontier, the amendment and the steps that lines force."""
    return "".join(
        f"**{title}.**\n\n" + "".join(f"- {text(sentence)}\n" for sentence in sentences) + "\n"
        for title, sentences in design_words.paragraphs(swept())
    )


def detection_settings() -> str:
    """Every setting of a programme, with what it costs."""
    p = detection_quantities()
    rows = [
        (
            f"`{name}`", row.countermeasure.replace("_", " "), text(row.unit), number(row.most), number(row.default),
            number(p[f"cost_{name}"].value), number(p[f"burden_{name}"].value), text(row.description),
        )
        for name, row in settings().items()
    ]  # fmt: skip
    header = (
        "setting",
        "countermeasure",
        "unit",
        "most",
        "unsaid",
        "costs the state, USD a year",
        "costs others",
        "what it is",
    )
    return markdown(header, rows)


def detection_channels() -> str:
    """Every channel, and what there is for it to see in each phase."""
    rows = [
        (f"`{name}`", row["countermeasure"].replace("_", " "), text(row["title"]), *(row[phase] for phase in PHASES))
        for name, row in channels().items()
    ]
    return markdown(("channel", "countermeasure", "looks for", *PHASES), rows)


def detection_texts() -> str:
    """Each countermeasure in words."""
    rows = [
        (f"**{text(one.title)}**", text(one.assumes), text(one.catches), text(one.burdens), text(one.blind))
        for one in texts().values()
    ]
    return markdown(("countermeasure", "assumes", "catches", "burdens", "cannot see"), rows)


def detection_programmes() -> str:
    """The programmes that ship, setting by setting."""
    shipped = [load_programme(name) for name in programmes()]
    rows = [(f"`{name}`", *(number(one.settings[name]) for one in shipped)) for name in settings()]
    about = "\n".join(f"- `{one.name}`: {text(one.title)} ({text(one.source)})" for one in shipped)
    return f"{about}\n\n{markdown(('setting', *(f'`{one.name}`' for one in shipped)), rows)}"


def detection_actors() -> str:
    """The actors that ship: means, routes to chips, and how far each countermeasure reaches them."""
    who = [load_actor(name) for name in actors()]
    rows = [
        ("budget, USD", *(number(one.budget_usd) for one in who)),
        ("people at most", *(number(one.most_people) for one in who)),
        ("chance of being detected that it accepts", *(number(one.risk_tolerance) for one in who)),
        ("compartments", *(number(one.compartments) for one in who)),
        *((text(row["title"]), *(number(one.routes.get(route, 0.0)) for one in who)) for route, row in routes().items()),
        *(
            (f"reach of {name.replace('_', ' ')}", *(number(one.reach[name]) for one in who))
            for name in countermeasures()
            if name in who[0].reach
        ),
    ]  # fmt: skip
    about = "\n".join(f"- `{one.name}`: {text(one.title)}. {text(one.source)}." for one in who)
    return f"{about}\n\n{markdown(('', *(f'`{one.name}`' for one in who)), rows)}"


@cache
def _scenarios() -> Sequence[Any]:
    return study_scenarios("miri-2025")


def detection_scenarios() -> str:
    """The study's scenarios, ours beside its words."""
    return markdown(COLUMNS, [tuple(map(text, row)) for row in scenario_rows(_scenarios())])


def detection_leaks() -> str:
    """The published ways of counting leaks for the people of the study's scenarios, over a year and a half."""
    years, rows = 1.5, []
    for row in [one for one in _scenarios() if one.months == max(one.months for one in _scenarios())]:
        refit, published = (time_to_identification(row.people, curve) for curve in ("refit", "ai-futures"))
        talk = [leak_probability(row.people, years, rate) for rate in leak_rates().values()]
        rows.append((
            f"{row.nodes:,}", f"{row.people:,.0f}", f"{published.mean:.2f}", f"{refit.mean:.2f}",
            *(f"{one.q05:.2f} to {one.q95:.1f}" for one in (published, refit)),
            f"{100 * min(talk):.2g}% to {100 * max(talk):.2g}%",
        ))  # fmt: skip
    header = (
        "nodes", "people", "mean years, AI Futures' curve", "mean years, ours", "5 to 95%, AI Futures'", "5 to 95%, ours",
        "Grimes, if all of them knew, in 1.5 years",
    )  # fmt: skip
    return markdown(header, rows)


def findings() -> str:
    """Everything a screening can find."""
    rows = [
        (
            f"`{one.finding}`", one.step, text(one.title), text(one.unit), ", ".join(f"{edge:g}" for edge in one.edges),
            text(one.next_record),
        )
        for one in all_findings().values()
    ]  # fmt: skip
    return markdown(("finding", "step", "what", "strength in", "levels from", "what to ask for next"), rows)


def evidence_weights() -> str:
    """What each level of each finding adds to the log10 odds."""
    rows = []
    for name, one in all_findings().items():
        levels = [weights()[name, level] for level in range(len(one.edges) + 1)]
        rows.append((
            f"`{name}`", *(f"{level.log10_likelihood_ratio:+.2f}" for level in levels),
            percent(1.0 - levels[0].share_of_hiders), percent(1.0 - levels[0].share_of_others),
            f"{sum(level.owners for level in levels):,}",
        ))  # fmt: skip
    header = (
        "finding",
        "not found",
        "level 1",
        "level 2",
        "level 3",
        "hiders that show it",
        "others",
        "owners behind it",
    )
    return markdown(header, rows)


TABLES: Mapping[str, Callable[[], str]] = {
    "records_schema": records_schema_markdown,
    "findings": findings,
    "evidence_weights": evidence_weights,
    "plan_fields": plan_table,
    "outcomes": outcome_table,
    "regime_schema": regime_schema,
    "regimes": regime_table,
    "lint": lint_table,
    "parameters": parameters,
    "judgements": judgements,
    "mfu_formula": mfu_formula,
    "learning_formulas": learning_formulas,
    "horizon": horizon,
    "chips": chip_table,
    "chip_sources": chip_sources,
    "networks": network_table,
    "systems": system_table,
    "validation_summary": validation_summary,
    "validation_rows": validation_rows,
    "left_out": left_out,
    "weak_model": partial(weak, "model"),
    "weak_calibration": partial(weak, "calibration"),
    "weak_uncertainty": partial(weak, "uncertainty"),
    "weak_countermeasures": partial(weak, "countermeasures"),
    "weak_screening": partial(weak, "screening"),
    "weak_design": partial(weak, "design"),
    "weak_validation": partial(weak, "validation"),
    "replica_comparison": replica_comparison,
    "replica_posterior": replica_posterior,
    "replica_extrapolation": replica_extrapolation,
    "quickstart_outcome": quickstart_outcome,
    "assessment": assessment,
    "published_tables": published_tables,
    "design_default": design_default,
    "design_frontier": design_frontier,
    "detection_settings": detection_settings,
    "detection_channels": detection_channels,
    "detection_texts": detection_texts,
    "detection_programmes": detection_programmes,
    "detection_actors": detection_actors,
    "detection_scenarios": detection_scenarios,
    "detection_leaks": detection_leaks,
}


def write_all(folder: Path) -> None:
    """Write every table; a file whose text has not changed is left alone, so that builds stay incremental."""
    folder.mkdir(exist_ok=True)
    for name, make in TABLES.items():
        path, content = folder / f"{name}.md", make()
        if not path.exists() or path.read_text("utf-8") != content:
            path.write_text(content, "utf-8")


if __name__ == "__main__":
    write_all(DOCS / "_generated")
