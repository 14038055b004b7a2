"""What drives an answer: Sobol indices by group, a tornado by parameter, and the nearest world in which the verdict flips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thresher.assessment.uncertainty import GoalUncertainty
from thresher.distributions import quantile
from thresher.evasion.evaluation import Goal, evaluate
from thresher.evasion.pattern import Plans
from thresher.evasion.space import in_worlds, settings
from thresher.learning.posterior import Posterior, load_posterior
from thresher.learning.replica_families import FAMILIES
from thresher.simulation.draws import (
    EDGE,
    FAMILY,
    LAW_ROW,
    MISFIT,
    ROW,
    Worlds,
    dimensions,
    groups,
    smoothed,
    worlds_at,
)
from thresher.simulation.parameters import quantities

LOW, HIGH = 0.05, 0.95
WAYPOINTS = 30
BISECTIONS = 5
PER_DECADE_SHORT = 4.0
"""Decades of cost added for each decade of capability that a plan falls short by: beyond reach, worse is still dearer."""


@dataclass(frozen=True, slots=True)
class Index:
    """How much of the variance of log cost a group explains: alone (first order), and with all its interactions (total)."""

    group: str
    title: str
    first: float
    first_error: float
    total: float
    total_error: float


@dataclass(frozen=True, slots=True)
class Bar:
    """What the least cost becomes, in dollars, when one parameter moves to its 5% and its 95% quantile, all else central."""

    name: str
    low_value: str
    high_value: str
    cost_at_low_usd: float
    cost_at_high_usd: float


@dataclass(frozen=True, slots=True)
class Shift:
    """One parameter at the point where a verdict flips: its value there, the quantile that is, and its median."""

    name: str
    value: float | None
    quantile: float
    median: float | None


@dataclass(frozen=True, slots=True)
class Flip:
    """The nearest world in which a verdict flips, under one form of the penalty.

    ``distance`` is in standard deviations of a standard normal for each parameter (Hasofer and Lind 1974), None where no world
    within ten was found to flip; ``holds`` is the verdict at the medians.
    """

    family: str
    holds: bool
    distance: float | None
    shifts: tuple[Shift, ...]


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What drives one answer."""

    indices: tuple[Index, ...]
    tornado: tuple[Bar, ...]
    central_cost_usd: float
    flips: tuple[Flip, ...]


Response = Callable[[np.ndarray], np.ndarray]
"""From points of the unit cube, shape (worlds, dimensions), to the logarithm (base 10) of the least cost in dollars."""


def response(uncertainty: GoalUncertainty, goal: Goal, posterior: Posterior) -> Response:
    """The least cost in any world, from a pool of plans that are best somewhere, each with the nodes that the world asks for.

    Smooth and quick beside the search: plans are not re-planned but chosen from, and their nodes are taken as divisible. Where
    none reaches the goal the cost goes on rising with the shortfall.
    """
    pool = [_pooled(plans) for plans in uncertainty.found if len(plans)]

    def least(unit: np.ndarray) -> np.ndarray:
        order = np.argsort(unit[:, dimensions().index(FAMILY)], kind="stable")  # one form to a block goes faster
        worlds = worlds_at(unit[order], posterior)
        costs = [_log_cost(plans, goal, worlds) for plans in pool]
        cheapest = np.empty(len(unit))
        cheapest[order] = np.min(np.concatenate(costs, axis=1), axis=1)
        return np.asarray(np.minimum(cheapest, settings()["sensitivity"]["most_log10_usd"]))

    return least


def _pooled(plans: Plans) -> Plans:
    ranked = np.argsort(plans.score, kind="stable")
    spread = np.linspace(0, len(plans) - 1, min(len(plans), settings()["sensitivity"]["pool"])).astype(int)
    return plans.take(ranked[np.unique(spread)])


def _log_cost(plans: Plans, goal: Goal, worlds: Worlds) -> np.ndarray:
    """Log cost of every plan in every world, shape (worlds, plans), at the nodes that about meet the goal there."""
    everything = np.arange(len(plans.setting.hardware))
    setting = in_worlds(plans.setting, everything, worlds.parameters)
    world, plan = np.repeat(np.arange(len(worlds)), len(plans)), np.tile(np.arange(len(plans)), len(worlds))
    choices = {name: values[plan] for name, values in plans.choices.items()} | {"draw": world}
    best = np.full(len(world), np.inf)
    for _ in range(settings()["sensitivity"]["node_turns"]):
        values = evaluate(setting, choices, worlds.parameters)
        best = np.minimum(best, _soft_cost(goal, values))
        nodes = choices["nodes"] * goal.nodes_factor(values)
        choices = choices | {"nodes": np.clip(nodes, np.maximum(values["stages"], 1.0), setting.node_limit)}
    return best.reshape(len(worlds), len(plans))


def _soft_cost(goal: Goal, values: Mapping[str, np.ndarray]) -> np.ndarray:
    cost = goal.cost(values)
    target = goal.target_flop_quality or 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        short = np.maximum(np.log10(target) - np.log10(values["flop_quality"]), 0.0)
        return np.asarray(np.where(values["flop_quality"] > 0, np.log10(cost) + PER_DECADE_SHORT * short, np.inf))


def analyse(
    uncertainty: GoalUncertainty, goal: Goal, *, seed: int, posterior: Posterior | None = None
) -> Sensitivity | None:
    """What drives the least cost of a target; None where no draw reaches it, where draws are few, or for a budget."""
    few = len(uncertainty.by_draw["family"]) < settings()["sensitivity"]["least_draws"]
    if goal.target_flop_quality is None or uncertainty.reached == 0.0 or few:
        return None
    drawn = posterior or load_posterior()
    least, steady = response(uncertainty, goal, drawn), response(uncertainty, goal, smoothed(drawn))
    central = 10.0 ** float(steady(np.full((1, len(dimensions())), np.nan))[0])
    forms = _family_points(drawn)
    return Sensitivity(sobol_indices(least, seed), tornado(steady, forms), central, tuple(flips(steady, forms)))


def sobol_indices(least: Response, seed: int) -> tuple[Index, ...]:
    """Sobol indices of the groups (Saltelli et al. 2010), largest total first; errors are 95% confidence half-widths."""
    from SALib.analyze import sobol as analysis  # noqa: PLC0415 - heavy, and only here
    from SALib.sample import sobol as sampling  # noqa: PLC0415

    owner = {member: group.name for group in groups() for member in group.members}
    problem = {
        "num_vars": len(dimensions()),
        "names": list(dimensions()),
        "groups": [owner[name] for name in dimensions()],
        "bounds": [[1e-6, 1.0 - 1e-6]] * len(dimensions()),
    }
    points = sampling.sample(problem, settings()["sensitivity"]["base_samples"], calc_second_order=False, seed=seed)
    found = analysis.analyze(problem, least(points), calc_second_order=False, seed=seed + 1)  # to SALib 0 is no seed
    titles = {group.name: group.title for group in groups()}
    names = [group.name for group in groups()]
    rows = zip(names, found["S1"], found["S1_conf"], found["ST"], found["ST_conf"], strict=True)
    return tuple(
        sorted((Index(name, titles[name], *map(float, figures)) for name, *figures in rows), key=lambda row: -row.total)
    )


def tornado(least: Response, forms: Mapping[str, np.ndarray]) -> tuple[Bar, ...]:
    """One parameter at a time at its 5% and 95% quantiles, all others central; the widest swing first.

    The form of the penalty has no quantiles: its bar spans the cheapest and the dearest form, each at its median severity.
    """
    names = dimensions()
    unit = np.full((2 * len(names), len(names)), np.nan)
    for place in range(len(names)):
        unit[2 * place, place], unit[2 * place + 1, place] = LOW, HIGH
    everything = np.concatenate([unit, np.stack(list(forms.values()))])
    cost = 10.0 ** least(everything)
    bars = []
    for place, name in enumerate(names):
        if name == FAMILY:
            by_form = sorted(zip(cost[2 * len(names) :], forms, strict=True))
            (low, low_name), (high, high_name) = by_form[0], by_form[-1]
            bars.append(Bar(name, low_name, high_name, float(low), float(high)))
        else:
            costs = float(cost[2 * place]), float(cost[2 * place + 1])
            bars.append(Bar(name, _shown(name, LOW), _shown(name, HIGH), *costs))
    return tuple(sorted(bars, key=lambda bar: -abs(np.log(bar.cost_at_high_usd / bar.cost_at_low_usd))))


def _family_points(posterior: Posterior) -> dict[str, np.ndarray]:
    """A point of the cube for every form of the penalty: it at its median severity, all else central."""
    weights = posterior.weights
    names = [name for name in FAMILIES if name in weights]
    edges = np.concatenate([[0.0], np.cumsum([weights[name] for name in names])])
    points = {}
    for name, low, high in zip(names, edges[:-1] / edges[-1], edges[1:] / edges[-1], strict=True):
        point = np.full(len(dimensions()), np.nan)
        point[dimensions().index(FAMILY)] = 0.5 * (low + high)
        point[dimensions().index(ROW)] = 0.5
        points[name] = point
    return points


def _shown(name: str, share: float) -> str:
    """A parameter's value at a quantile, or the quantile where it stands for a row of many."""
    value = _value(name, share)
    return f"{share:.0%} severe" if value is None else f"{value:.3g}"


def _value(name: str, share: float) -> float | None:
    """The value of a parameter at a quantile; None for rows of the posterior and of the loss law."""
    if name in (FAMILY, ROW, MISFIT, LAW_ROW):
        return None
    return float(quantile(quantities()[name], np.asarray([share]))[0])


def flips(least: Response, forms: Mapping[str, np.ndarray]) -> list[Flip]:
    """For each form of the penalty, the nearest world in which the target costs what the verdict's budget is.

    Every other parameter is a standard normal z with quantile Phi(z), the medians at the origin. The point of least norm on the
    surface cost = budget is found by the iteration of Hasofer and Lind (1974) and Rackwitz and Fiessler (1978), with gradients
    by differences; it is a first-order answer on a landscape with corners, checked by evaluating it.
    """
    s, excess = settings()["sensitivity"], _excess(least, list(forms.values()))
    free, width = len(_free()), s["difference"]
    z = [np.zeros(free) for _ in forms]
    moved = [np.eye(free) for _ in forms]  # the directions looked along: all at first, then those that matter
    start = [float(values[0]) for values in excess([one[None] for one in z])]
    found: list[list[tuple[float, np.ndarray]]] = [[] for _ in forms]
    for _ in range(s["flip_turns"]):
        around = excess(
            [np.concatenate([x + width * m, x - width * m, x[None]]) for x, m in zip(z, moved, strict=True)]
        )
        for form, values in enumerate(around):
            count = len(moved[form])
            along = (values[:count] - values[count:-1]) / (2.0 * width)
            slope = along @ moved[form]
            if np.any(slope):
                step = (slope @ z[form] - values[-1]) / (slope @ slope) * slope
                z[form] = step * min(1.0, s["farthest"] / max(float(np.linalg.norm(step)), EDGE))
            moved[form] = moved[form][np.argsort(-np.abs(along), kind="stable")[: s["directions"]]]
        paths = [np.linspace(0.0, 1.5, WAYPOINTS + 1)[1:, None] * x for x in z]
        for form, values in enumerate(excess(paths)):
            flipped = np.flatnonzero((values <= 0) != (start[form] <= 0))
            found[form] += [(float(np.linalg.norm(paths[form][at])), paths[form][at]) for at in flipped[:1]]
    nearest = [min(crossings, key=lambda one: one[0])[1] if crossings else None for crossings in found]
    points = _brought_back(excess, nearest, start)
    return [_flip(name, *pair) for name, pair in zip(forms, zip(start, points, strict=True), strict=True)]


def _brought_back(
    excess: Callable[[Sequence[np.ndarray]], list[np.ndarray]],
    points: Sequence[np.ndarray | None],
    start: Sequence[float],
) -> list[np.ndarray | None]:
    """Points beyond a flip, brought back along their way from the waypoint before, by bisection, as far as it still flips."""
    near = [None if point is None else point * (1.0 - 1.0 / WAYPOINTS) for point in points]
    far = list(points)
    for _ in range(BISECTIONS):
        middle = [
            np.zeros(len(_free())) if p is None or n is None else 0.5 * (n + p) for n, p in zip(near, far, strict=True)
        ]
        for form, values in enumerate(excess([one[None] for one in middle])):
            if far[form] is not None and (values[0] <= 0) != (start[form] <= 0):
                far[form] = middle[form]
            elif far[form] is not None:
                near[form] = middle[form]
    return far


def _free() -> np.ndarray:
    """The dimensions that a flip may move: all but the form of the penalty."""
    return np.flatnonzero(np.asarray(dimensions()) != FAMILY)


def _excess(least: Response, forms: Sequence[np.ndarray]) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """Log cost over the verdict's budget at points z of every form, all worked out together."""
    from scipy.special import ndtr  # noqa: PLC0415

    line, free = float(np.log10(settings()["verdict_budget"])), _free()

    def excess(points: Sequence[np.ndarray]) -> list[np.ndarray]:
        unit = np.concatenate([np.tile(at, (len(z), 1)) for at, z in zip(forms, points, strict=True)])
        unit[:, free] = np.clip(ndtr(np.concatenate(points)), EDGE, 1.0 - EDGE)
        return np.split(least(unit) - line, np.cumsum([len(z) for z in points])[:-1])

    return excess


def _flip(family: str, start: float, z: np.ndarray | None) -> Flip:
    """The flip found, and what it takes: the parameters that move the most."""
    from scipy.special import ndtr  # noqa: PLC0415

    if z is None:
        return Flip(family, start <= 0, None, ())
    distance = float(np.linalg.norm(z))
    names, quantiles = np.asarray(dimensions())[_free()], ndtr(z)
    largest = np.argsort(-np.abs(z), kind="stable")[: settings()["sensitivity"]["shifts"]]
    shifts = (
        Shift(str(names[i]), _value(names[i], float(quantiles[i])), float(quantiles[i]), _value(names[i], 0.5))
        for i in largest
    )
    return Flip(family, start <= 0, distance, tuple(shifts))
