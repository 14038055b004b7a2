"""The pairs of mentions that nobody decided, neither the records nor a reviewer, the most doubtful first."""

from __future__ import annotations

from typing import Any

import ibis

from thresher.screening.engine import Engine

_SHOWN = ("name", "address", "country")


def doubtful_pairs(engine: Engine, most: int | None = None) -> list[dict[str, Any]]:
    """The pairs for a person to decide, the most doubtful first; what `resolve` keeps is asked.

    Parameters
    ----------
    engine
        With the tables that `thresher.screening.resolution.resolve.resolve` keeps.
    most
        How many to give; all where it is None.

    Returns
    -------
    list
        ``left, right, probability``, and of either side ``name``, ``address`` and ``country``.
    """
    pairs = engine.table("pairs")
    pairs = pairs.filter(pairs.verdict.isnull()).select("left", "right", "probability")
    entities = engine.table("entities").select("mention", "entity", *_SHOWN)
    for side in ("left", "right"):
        names = {f"{side}_{name}": name for name in ("mention", "entity", *_SHOWN)}
        mentions = entities.rename(names)
        pairs = pairs.inner_join(mentions, [pairs[side] == mentions[f"{side}_mention"]])
    apart = pairs.filter(pairs.left_entity != pairs.right_entity)
    ordered = apart.order_by([(apart.probability - 0.5).abs(), "left", "right"])
    columns = (f"{side}_{name}" for name in _SHOWN for side in ("left", "right"))
    found: ibis.Table = ordered.select("left", "right", "probability", *columns)
    rows: list[dict[str, Any]] = (found if most is None else found.limit(most)).to_pyarrow().to_pylist()
    return rows
