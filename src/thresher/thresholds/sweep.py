"""`design`: sweep the lines of a rule; what each imposes on evasion, whom it burdens, and which are efficient."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from thresher.assessment.assess import Burden, burden_of_reference_systems
from thresher.assessment.uncertainty import interval
from thresher.catalog import chip, network
from thresher.errors import InputError
from thresher.evasion.best_response import known_chips
from thresher.evasion.space import DISTRIBUTED_MODES, NUMBER_FORMATS, declared_hardware
from thresher.evasion.space import settings as search_settings
from thresher.execution import Store, run_tasks, signature_of
from thresher.learning.posterior import load_posterior
from thresher.regime import ClusterRow, Regime, load_regime, read_clusters
from thresher.simulation import default
from thresher.simulation.draws import check_draws, drawn
from thresher.thresholds.answers import CellAnswer, Design, target_costs
from thresher.thresholds.cells import FIGURES, Task, work_out
from thresher.thresholds.frontier import efficient, rivals
from thresher.thresholds.lines import Axis, Cell, amended, axes, cells, is_stricter, label, settings, strictest_first


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep that is checked and ready to run: its cells, the rule of each, and the tasks by name."""

    regime: Regime
    axes: tuple[Axis, ...]
    cells: tuple[Cell, ...]
    rules: tuple[Regime, ...]
    tasks: Mapping[str, Task]
    anchors: Mapping[str, Cell]
    targets: tuple[float, ...]
    own: tuple[ClusterRow, ...] | None
    inputs: Mapping[str, Any]

    @property
    def signature(self) -> str:
        """What its numbers depend on: every task in full, the parameters and the settings of the search."""
        return signature_of(
            {
                "tasks": {name: repr(task) for name, task in self.tasks.items()},
                "parameters": default.parameters(),
                "settings": [settings(), search_settings()],
                "data": _data_files(),
            }
        )


def _data_files() -> dict[str, str]:
    """A hash of every data file of the package: prices, ranges and draws are among what the numbers depend on."""
    root = Path(str(files("thresher")))
    found = sorted(path for path in root.glob("*/data/*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def design(
    regime: str | Path | Regime,
    *,
    vary: Sequence[str] = ("compute", "memory"),
    values: Mapping[str, Sequence[float | None]] | None = None,
    targets: Sequence[float] | None = None,
    draws: int | None = None,
    seed: int = 0,
    posterior: str | Path | None = None,
    network_profile: str = "study",
    chips: Sequence[str] | None = None,
    precisions: Sequence[str] = NUMBER_FORMATS,
    modes: Sequence[str] = DISTRIBUTED_MODES,
    longest_days: float | None = None,
    node_limit: float | None = None,
    clusters: str | Path | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    keep: str | Path | None = None,
    progress: Callable[[str], None] = lambda _message: None,
) -> Design:
    """Sweep the thresholds of a regime.

    Parameters
    ----------
    regime
        A shipped regime's name, a regime file, or a loaded regime; its other clauses stay as they are.
    vary, values
        Axes of ``thresholds/data/design.yaml``, and the lines to try on them (None: no line); the usual ones by default.
    targets
        Quality-adjusted FLOP that the adversary wants; the middle one orders the frontier.
    draws, seed, posterior
        As in `assess`, 200 draws by default.
    network_profile, chips, precisions, modes, longest_days, node_limit
        As in `assess`.
    clusters
        A table of the user's own clusters (as `classify` reads it), counted as a burden of their own.
    workers, scheduler
        Local processes, or the address of a Dask scheduler; the same numbers whichever way.
    keep
        A folder that keeps what is done: an interrupted sweep goes on from there.

    Raises
    ------
    InputError
        A name, line or number that makes no sense; says what would be right.
    """
    sweep = prepare_sweep(
        regime, vary=vary, values=values, targets=targets, draws=draws, seed=seed, posterior=posterior,
        network_profile=network_profile, chips=chips, precisions=precisions, modes=modes, longest_days=longest_days,
        node_limit=node_limit, clusters=clusters,
    )  # fmt: skip
    kept = None if keep is None else Store(Path(keep), sweep.signature)
    return run_sweep(sweep, workers=workers, scheduler=scheduler, kept=kept, progress=progress)


def prepare_sweep(
    regime: str | Path | Regime,
    *,
    vary: Sequence[str] = ("compute", "memory"),
    values: Mapping[str, Sequence[float | None]] | None = None,
    targets: Sequence[float] | None = None,
    draws: int | None = None,
    seed: int = 0,
    posterior: str | Path | None = None,
    network_profile: str = "study",
    chips: Sequence[str] | None = None,
    precisions: Sequence[str] = NUMBER_FORMATS,
    modes: Sequence[str] = DISTRIBUTED_MODES,
    longest_days: float | None = None,
    node_limit: float | None = None,
    clusters: str | Path | None = None,
) -> Sweep:
    """Check everything about a sweep and make its tasks; the arguments are those of `design`."""
    rule = regime if isinstance(regime, Regime) else load_regime(regime)
    varied = axes(vary, values)
    wanted = _targets(targets)
    count = settings()["draws"] if draws is None else draws
    check_draws(count, seed)
    days, most_nodes = _limits(longest_days, node_limit)
    candidates = known_chips([chip(name).chip for name in chips] if chips else None)
    if not declared_hardware(candidates, precisions):
        raise InputError("number format", "one that a chip of the search has", ", ".join(precisions))
    which = drawn(count, seed, None if posterior is None else load_posterior(Path(posterior)))
    links = network(network_profile)
    grid = cells(varied)
    anchors = _anchors(rule, varied)
    everything = strictest_first([*grid, *(cell for cell in anchors.values() if cell not in grid)])
    rules = [amended(rule, cell) for cell in everything]
    tasks = {
        label(cell): Task(
            amended_rule, links, wanted, which, days, most_nodes, tuple(item.chip for item in candidates),
            tuple(precisions), tuple(modes),
        )
        for cell, amended_rule in zip(everything, rules, strict=True)
    }  # fmt: skip
    inputs = {
        "draws": count, "seed": seed, "posterior": None if posterior is None else str(posterior), "network": network_profile,
        "chips": [item.chip for item in candidates], "precisions": list(precisions), "modes": list(modes),
        "longest_days": days, "node_limit": most_nodes, "clusters": None if clusters is None else str(clusters),
    }  # fmt: skip
    own = None if clusters is None else tuple(read_clusters(Path(clusters)))
    return Sweep(rule, varied, tuple(everything), tuple(rules), tasks, anchors, wanted, own, inputs)


def run_sweep(
    sweep: Sweep,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    kept: Store | None = None,
    progress: Callable[[str], None] = lambda _message: None,
) -> Design:
    """Work out every cell, wherever it may be, and weigh them against one another."""
    done = run_tasks(work_out, sweep.tasks, workers=workers, scheduler=scheduler, kept=kept, progress=progress)
    return weigh(sweep, done)


def weigh(sweep: Sweep, done: Mapping[str, Mapping[str, np.ndarray]]) -> Design:
    """Weigh cells that are all worked out, by the names of their tasks, against one another."""
    arrays = with_stricter_plans(sweep.axes, sweep.cells, [done[label(cell)] for cell in sweep.cells])
    burdens = [burden_of_reference_systems(rule) for rule in sweep.rules]
    covered = [
        None if sweep.own is None else sum(bool(one.covered) for one in rule.classify(sweep.own))
        for rule in sweep.rules
    ]
    wanted = sweep.targets
    main = wanted[(len(wanted) - 1) // 2]
    cost = np.asarray([interval(found["cost_usd"][wanted.index(main)]).q50 for found in arrays])
    weight = np.asarray([_count(b) + (c or 0) for b, c in zip(burdens, covered, strict=True)], dtype=float)
    best = efficient(cost, weight, settings()["tolerance"])
    beaten = [None if one is None else sweep.cells[one] for one in rivals(cost, weight, settings()["tolerance"])]
    on_grid = set(map(label, cells(sweep.axes)))
    answers = [
        CellAnswer(
            cell, target_costs(found, arrays, wanted), float(found["largest_params"]), _count(burden),
            tuple(item.system for item in burden if item.covered), own, bool(good), rival, label(cell) in on_grid,
        )
        for cell, found, burden, own, good, rival in zip(sweep.cells, arrays, burdens, covered, best, beaten, strict=True)
    ]  # fmt: skip
    named = {name: answers[sweep.cells.index(cell)] for name, cell in sweep.anchors.items()}
    return Design(
        sweep.regime, sweep.axes, tuple(answers), wanted, main, sweep.inputs, len(burdens[0]),
        None if sweep.own is None else len({row.cluster for row in sweep.own}), named.get("amendment"), named["as_written"],
    )  # fmt: skip


def _targets(targets: Sequence[float] | None) -> tuple[float, ...]:
    wanted = tuple(sorted(set(targets or settings()["targets"])))
    least, most = search_settings()["target_bounds"]
    for target in wanted:
        if not least <= target <= most:
            raise InputError("--target", f"a number from {least:g} to {most:g}", target)
    return wanted


def _limits(longest_days: float | None, node_limit: float | None) -> tuple[float, float]:
    s = search_settings()
    days = s["longest_days"] if longest_days is None else longest_days
    if not 1.0 <= days <= s["longest_days_allowed"]:
        raise InputError("--max-days", f"a number from 1 to {s['longest_days_allowed']:g}", days)
    nodes = float(s["most_nodes"] if node_limit is None else node_limit)
    if nodes < 1:
        raise InputError("--max-nodes", "a whole number of at least 1", node_limit)
    return float(days), nodes


def _anchors(rule: Regime, varied: Sequence[Axis]) -> dict[str, Cell]:
    """The rule as written and the study's amendment, as cells of the axes varied, where these can say them."""
    names = [axis.name for axis in varied]
    written = {axis.name: line_as_written(rule, axis) for axis in varied}
    anchors: dict[str, Cell] = {"as_written": written}
    if "memory" in names:
        anchors["amendment"] = written | {"memory": float(settings()["amendment_memory_gb"])}
    return anchors


def line_as_written(rule: Regime, axis: Axis) -> float | None:
    """Where a rule itself draws the line of an axis; None where it draws none."""
    if axis.metric == "bandwidth":
        return rule.interconnect_limit_gbit_s
    lines = [
        clause.threshold
        for clause in rule.cluster_clauses
        if clause.metric == axis.metric and (clause.grouping.over == "owner") == (axis.over == "owner")
    ]
    return min(lines, default=None)


def with_stricter_plans(
    varied: Sequence[Axis], everything: Sequence[Cell], found: Sequence[Mapping[str, np.ndarray]]
) -> list[Mapping[str, np.ndarray]]:
    """Every cell with the cheapest plan of any stricter one too, draw by draw: what they allow, it allows.

    The searches of two cells may each miss what the other finds; with this a looser cell is never dearer, in any draw. A fleet
    that several owners may share is taken over only from a cell with the same lines per owner, which say how many owners.
    """
    by_owner = [axis.name for axis in varied if axis.over == "owner"]
    taken: list[Mapping[str, np.ndarray]] = []
    for own, cell in enumerate(everything):
        # its own plan first, so that it stays where nothing is cheaper
        stricter = [own, *(at for at, other in enumerate(everything) if at != own and is_stricter(other, cell))]
        cost = np.min([found[at]["cost_usd"] for at in stricter], axis=0)
        alike = [at for at in stricter if all(everything[at][name] == cell[name] for name in by_owner)]
        best = np.argmin(np.stack([found[at]["spread_usd"] for at in alike]), axis=0)[None]
        figures = {
            name: np.take_along_axis(np.stack([found[at][name] for at in alike]), best, axis=0)[0] for name in FIGURES
        }
        largest = np.asarray(max(float(found[at]["largest_params"]) for at in stricter))
        taken.append(figures | {"cost_usd": cost, "largest_params": largest})
    return taken


def _count(burden: Sequence[Burden]) -> int:
    return sum(bool(item.covered) for item in burden)
