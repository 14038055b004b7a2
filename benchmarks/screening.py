"""How well a screening finds planted evaders: ten sample jurisdictions of known truth, as tables of docs/screening.md.

Seeds 11 to 20: some of 1 to 10 were looked at while the steps were built, and the weights were fitted on those from 1001 on.

Run from the root of the repository: ``python benchmarks/screening.py [SEEDS]``.
"""

from __future__ import annotations

import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from screened import Screened, screened
from thresher.screening.evidence import cllr

FIRST_SEED = 11
TOP = (5, 10, 20)
BINS = (0.0, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 1.0)


def found_in(world: Screened, top: int) -> int:
    """The evaders who have a lead among the first ``top``."""
    return len(set(world.evader[:top].tolist()) - {-1})


def main() -> None:
    """Screen the jurisdictions and print the tables."""
    seeds = range(FIRST_SEED, FIRST_SEED + int(sys.argv[1] if len(sys.argv) > 1 else 10))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        worlds = list(pool.map(screened, seeds))
    hides = np.concatenate([one.hides for one in worlds])
    print(
        "\n| seed | evaders in first 20 | look-alikes in first 5 | owners considered | seconds |\n|---|---|---|---|---|"
    )
    for one in worlds:
        print(
            f"| {one.seed} | {found_in(one, 20)} of {one.evaders} | {int(one.near_miss[:5].sum())} | {len(one.hides)} | "
            f"{one.seconds:.0f} |"
        )
    print("\n| leads | evaders found | leads that are an evader's | leads that are a look-alike's |\n|---|---|---|---|")
    for top in TOP:
        total = sum(one.evaders for one in worlds)
        print(
            f"| first {top} | {sum(found_in(one, top) for one in worlds) / total:.0%} | "
            f"{np.mean([one.hides[:top].mean() for one in worlds]):.0%} | "
            f"{np.mean([one.near_miss[:top].mean() for one in worlds]):.0%} |"
        )
    ratios = np.concatenate([one.log10_likelihood_ratio for one in worlds])
    # the prior that these jurisdictions have: probabilities can only be held against outcomes under the right one
    share = hides.mean()
    probability = 1.0 / (1.0 + 10.0 ** -(ratios + np.log10(share / (1.0 - share))))
    print(
        f"\nCllr {cllr(ratios, hides):.3f} bits; Brier score {np.mean((probability - hides) ** 2):.4f} "
        f"(always saying {share:.1%}: {share * (1 - share):.4f})\n"
    )
    print("| stated probability | owners | mean stated | hide |\n|---|---|---|---|")
    for low, high in pairwise(BINS):
        inside = (probability >= low) & (probability < high if high < 1.0 else probability <= high)
        if inside.any():
            print(
                f"| {low:.0%} to {high:.0%} | {inside.sum()} | {probability[inside].mean():.1%} | {hides[inside].mean():.1%} |"
            )
    print("\n| step | mean | worst |\n|---|---|---|")
    for name in worlds[0].recall:
        values = [one.recall[name] for one in worlds]
        worst = max(values) if "wrong" in name else min(values)
        print(f"| {name} | {statistics.mean(values):.1%} | {worst:.1%} |")
    print("\n| planted | evaders with it | shown by their leads |\n|---|---|---|")
    for kind in worlds[0].signs:
        shown, planted = np.array([one.signs[kind] for one in worlds]).sum(axis=0)
        print(f"| {kind.replace('_', ' ')} | {planted} | {shown} |")
    print("\nEvaders that no lead among the first 20 is about:")
    for one in worlds:
        missing = sorted(set(range(one.evaders)) - set(one.evader[:20].tolist()))
        where = [
            int(np.flatnonzero(one.evader == lost)[0]) + 1 if (one.evader == lost).any() else None for lost in missing
        ]
        if missing:
            print(f"seed {one.seed}: " + ", ".join(f"number {a} at {b}" for a, b in zip(missing, where, strict=True)))


if __name__ == "__main__":
    main()
