"""Probabilistic record linkage (Fellegi and Sunter 1969) by Splink: which mentions are one, how surely, and why."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import splink.comparison_level_library as levels
from splink import Linker, SettingsCreator, block_on
from splink.backends.duckdb import DuckDBAPI
from splink.comparison_library import CustomComparison

from thresher.screening.engine import Engine
from thresher.screening.resolution.mentions import parties_in
from thresher.sources import load_quantities, read_table

BLOCKS = (
    "block_name",
    "block_sound",
    "block_initial",
    "block_front",
    "block_back",
    "block_front_anywhere",
    "block_back_anywhere",
    "block_word",
    "block_place",
    "block_registration",
    "block_phone",
    "block_email",
    "block_name_place",
    "block_name_country",
)
_NEAR_LONG, _NEAR_SHORT = 16, 10
"""A name of this many letters may differ by two, or by one, and still be near."""
_BEGINS = 8
LEAST_U = {"name": 0.0, "address": 2e-3, "phone": 4e-3, "email": 4e-3}
"""Comparisons whose agreement is rated by how frequent the value is, and the least chance that it is rated at.

Two companies of one owner share an office and a telephone more often than chance would have it, so a rare one stays short
of proof that they are one company.
"""
_EITHER_END = "least(length(name_l), length(name_r))"


class Level(NamedTuple):
    """One outcome of a comparison: ``m`` and ``u`` are its chances among pairs that are one and among random pairs."""

    comparison: str
    level: str
    m: float
    u: float
    words: str


@cache
def starting_levels() -> tuple[Level, ...]:
    """The levels of every comparison with their chances before training."""
    return tuple(
        Level(row["comparison"], row["level"], float(row["m"]), float(row["u"]), row["words"])
        for row in read_table("thresher.screening", "linkage_levels.csv")
    )


_CONDITIONS = {
    "words": "words_l = words_r",
    "sound": f"sound_l = sound_r and {_EITHER_END} >= {_NEAR_SHORT}",
    "near": f"(levenshtein(name_l, name_r) <= 1 and {_EITHER_END} >= {_NEAR_SHORT}) "
    f"or (levenshtein(name_l, name_r) <= 2 and {_EITHER_END} >= {_NEAR_LONG})",
    "begins": f"{_EITHER_END} >= {_BEGINS} and substr(name_l, 1, {_EITHER_END}) = substr(name_r, 1, {_EITHER_END})",
    "initial": "initial_l = initial_r",
}
"""Names that differ, and yet may be one: never where their numbers differ, as in those of sister companies."""
_WORDS_SHARED = 3
_REACH = 3.0


def _level(level: Level) -> Any:
    column = level.comparison
    match level.level:
        case "exact":
            made: Any = levels.ExactMatchLevel(column, term_frequency_adjustments=column in LEAST_U)
            if column in LEAST_U:
                made = made.configure(tf_minimum_u_value=LEAST_U[column])
        case "else":
            made = levels.ElseLevel()
        case "overlap":
            made = levels.And(
                levels.ArrayIntersectLevel("address_words", min_intersection=_WORDS_SHARED),
                levels.CustomLevel("house_l = house_r"),
            )
        case "subset":
            made = levels.And(levels.ArraySubsetLevel("word_list"), levels.CustomLevel("numbers_l = numbers_r"))
        case _:
            made = levels.CustomLevel(f"numbers_l = numbers_r and ({_CONDITIONS[level.level]})")
    return made.configure(m_probability=level.m, u_probability=level.u, label_for_charts=level.level)


def settings(trained: tuple[Level, ...], probability_two_random_records_match: float) -> SettingsCreator:
    """A Splink model with these chances, for any of its engines."""
    by_comparison: dict[str, list[Level]] = {}
    for one in trained:
        by_comparison.setdefault(one.comparison, []).append(one)
    comparisons: list[Any] = [
        CustomComparison(
            output_column_name=name,
            comparison_levels=[levels.NullLevel(name), *map(_level, ranked)],
        )
        for name, ranked in by_comparison.items()
    ]
    return SettingsCreator(
        link_type="dedupe_only",
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=[block_on(key) for key in BLOCKS],
        probability_two_random_records_match=probability_two_random_records_match,
        retain_matching_columns=False,
        retain_intermediate_calculation_columns=True,
        em_convergence=0.001,
        max_iterations=15,
    )


class Model(NamedTuple):
    """A linkage model: the levels with their chances, the chance that two random mentions are one, whether it was trained."""

    levels: tuple[Level, ...]
    prior: float
    trained: bool


def train(mentions: pa.Table, frequencies: Mapping[str, pa.Table], *, seed: int) -> Model:
    """Train a model by expectation maximisation on a sample of the mentions.

    The chances among random pairs come from random pairs, those among pairs that are one from two rounds of expectation
    maximisation, each over the pairs that share something else. What a sample cannot teach keeps its starting value.

    Parameters
    ----------
    mentions, frequencies
        From `thresher.screening.resolution.mentions`.
    seed
        Of the sample and of the random pairs; the same records and seed give the same model.
    """
    choice = load_quantities("thresher.screening", "linkage.yaml").values_only()
    start = starting_levels()
    prior = 1.0 / max(parties_in(mentions), 20)
    if len(mentions) < choice["train_on_at_least"]:
        return Model(start, prior, False)
    api = DuckDBAPI(":memory:")
    api._con.execute("SET enable_progress_bar = false")
    api._con.execute("SET threads = 1")  # sums in one order: the same model every time
    sample = _sample(mentions, int(choice["train_on_at_most"]), seed)
    linker = linker_of(api, api.register(sample), settings(start, prior), frequencies)
    linker.training.estimate_u_using_random_sampling(
        max_pairs=choice["random_pairs"], seed=seed, min_count_per_level=None, num_chunks=1
    )
    for blocks in (("name",), ("address",), ("registration",)):
        try:
            linker.training.estimate_parameters_using_expectation_maximisation(
                block_on(*blocks), fix_u_probabilities=True, record_sample_proportion=1.0
            )
        except Exception as error:
            logging.getLogger(__name__).info("no training over %s: %s", blocks, error)
    learned = linker.misc.save_model_to_json()
    api._con.close()
    return Model(_sensible(start, learned), prior, True)


def _sample(mentions: pa.Table, most: int, seed: int) -> pa.Table:
    """At most so many mentions; those that share a key stay together as far as the key's hash decides."""
    if len(mentions) <= most:
        return mentions
    rng = np.random.default_rng(seed)
    coded = mentions["block_word"].combine_chunks().dictionary_encode()
    codes = np.nan_to_num(coded.indices.to_numpy(zero_copy_only=False), nan=-1).astype(np.int64)
    chosen = rng.random(len(coded.dictionary) + 1) < most / len(mentions)
    return mentions.filter(pa.array(chosen[codes]))


def _sensible(start: tuple[Level, ...], learned: Mapping[str, Any]) -> tuple[Level, ...]:
    """The learned chances within reach of the starting ones, so that records with few true pairs teach no nonsense.

    The odds of m move by at most `_REACH`; where an agreement would speak against a match, the starting m stands. The m of
    each comparison add up to one.
    """
    found = {
        (comparison["output_column_name"], level["label_for_charts"]): level
        for comparison in learned["comparisons"]
        for level in comparison["comparison_levels"]
    }
    bounded = []
    for one in start:
        level = found.get((one.comparison, one.level), {})
        m, u = (float(level.get(f"{which}_probability") or value) for which, value in (("m", one.m), ("u", one.u)))
        m = min(max(m, one.m / _REACH, 1 - (1 - one.m) * _REACH), one.m * _REACH, 1 - (1 - one.m) / _REACH)
        bounded.append(one._replace(m=one.m if (m > u) != (one.m > one.u) else m, u=min(max(u, 1e-7), 0.99999)))
    total: dict[str, float] = {}
    for one in bounded:
        total[one.comparison] = total.get(one.comparison, 0.0) + one.m
    return tuple(one._replace(m=one.m / total[one.comparison]) for one in bounded)


def _api(engine: Engine) -> Any:
    if engine.name == "duckdb":
        return DuckDBAPI(engine.backend.con)
    from splink.backends.spark import SparkAPI  # noqa: PLC0415

    return SparkAPI(  # type: ignore[no-untyped-call]
        spark_session=engine.backend._session, break_lineage_method="persist", register_udfs_automatically=False
    )


def linker_of(api: Any, mentions: Any, model: SettingsCreator, frequencies: Mapping[str, pa.Table]) -> Linker:
    """A linker that rates values by how frequent they are among the parties; silent."""
    linker = Linker(mentions, model, log_level=logging.CRITICAL)
    for column, table in frequencies.items():
        linker.table_management.register_term_frequency_lookup(api.register(table), column)
    return linker


def link(
    engine: Engine, mentions: str, frequencies: Mapping[str, pa.Table], model: Model, *, least_probability: float
) -> pa.Table:
    """Compare the mentions that share a candidate key.

    Returns
    -------
    ``left, right, probability, match_weight`` (bits), and ``mw_*``: what each comparison adds to the weight, those of
    rare values included; pairs below ``least_probability`` are left out.
    """
    api = _api(engine)
    linker = linker_of(api, api.register(mentions), settings(model.levels, model.prior), frequencies)
    predicted = linker.inference.predict(threshold_match_probability=least_probability)
    found = engine.backend.table(predicted.physical_name)
    weights = {name: found[name] for name in found.columns if name.startswith("mw_")}
    return found.select(
        left="unique_id_l", right="unique_id_r", probability="match_probability", match_weight="match_weight", **weights
    ).to_pyarrow()
