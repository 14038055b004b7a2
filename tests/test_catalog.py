"""The catalog: ids, figures, sources, profiles computed from measured round trips, and refusals that suggest a name."""

from __future__ import annotations

import math
import statistics
from datetime import date
from importlib.resources import files

import numpy as np
import pytest
import yaml

from thresher import catalog
from thresher.errors import InputError

ISSUE_IDS = [
    "A100-SXM-80GB", "A100-SXM-40GB", "A800", "H100-SXM", "H100-PCIe", "H100-NVL", "H800", "H20", "H200-SXM",
    "GH200", "B100", "B200", "GB200", "B300", "GB300", "V100-SXM-32GB", "T4", "L40", "L40S", "RTX-3090",
    "RTX-4090", "RTX-5090", "RTX-A6000", "RTX-6000-Ada", "RTX-PRO-6000", "MI210", "MI250X", "MI300A",
    "MI300X", "MI308X", "MI325X", "MI350X", "MI355X", "Gaudi2", "Gaudi3", "TPU-v3", "TPU-v4", "TPU-v5e",
    "TPU-v5p", "TPU-v6e", "TPU-v7", "Trainium1", "Trainium2", "Trainium3", "Ascend-910B", "Ascend-910C",
    "Cambricon-590",
]  # fmt: skip

GENERATIONS = {
    "volta", "turing", "ampere", "ada", "hopper", "blackwell", "rubin", "cdna2", "cdna3", "cdna4", "gaudi", "tpu",
    "trainium", "ascend", "cambricon",
}  # fmt: skip


def test_every_chip_id_of_the_issue_is_there():
    assert set(ISSUE_IDS) <= catalog.chips().keys()
    assert len(catalog.chips()) >= 40


@pytest.mark.parametrize("one", catalog.chips().values(), ids=lambda one: one.chip)
def test_a_chip_is_well_formed_and_cites_its_figures(one):
    assert one.memory_kind in {"HBM", "GDDR", "LPDDR", ""}
    assert one.kind in {"datacentre", "export variant", "workstation", "consumer", "announced"}
    assert one.generation in GENERATIONS
    assert one.spec_source
    assert one.confidence in {"high", "medium", "low"}
    if one.price_usd is None:
        assert not (one.price_date or one.price_kind or one.price_source)
    else:
        assert one.price_usd > 0 and one.price_date and one.price_kind and one.price_source
    if one.release_date:
        assert date.fromisoformat((one.release_date + "-01-01")[:10])
    for figure in (one.fp16_tflops, one.fp8_tflops, one.tpp, one.memory_gb, one.tdp_w, one.memory_bandwidth_tb_s):
        assert figure is None or figure > 0


@pytest.mark.parametrize("one", catalog.chips().values(), ids=lambda one: one.chip)
def test_tpp_is_the_largest_rate_times_bits(one):
    rates = [(one.fp16_tflops, 16), (one.fp8_tflops, 8), (one.fp4_tflops, 4), (one.int8_tops, 8)]
    known = [rate * bits for rate, bits in rates if rate is not None]
    if one.tpp is None:
        assert not known
    else:
        assert one.tpp == pytest.approx(max(known), abs=0.5)


def test_published_figures():
    assert catalog.chip("A100-SXM-80GB").tpp == 4992
    assert catalog.chip("H100-SXM").fp16_tflops == pytest.approx(989.4)
    assert catalog.chip("H100-SXM").rate_tflops("fp8") == 1979
    assert catalog.chip("A100-SXM-80GB").rate_tflops("fp8") is None
    assert catalog.chip("B200").rate_tflops("fp4") == 9000
    assert catalog.chip("L40S").memory_kind == "GDDR"
    assert catalog.chip("Ascend-910B").fp16_tflops == 320 and catalog.chip("Ascend-910B").tpp == 5120
    assert catalog.chip("RTX-A6000").fp16_tflops == pytest.approx(149.7 * 1800 / 1740, rel=1e-3)


def test_ids_in_any_case_and_suggestions():
    assert catalog.chip("h100-sxm") is catalog.chip("H100-SXM")
    with pytest.raises(InputError, match=r"H100-SXM.*got 'H100-SMX'"):
        catalog.chip("H100-SMX")
    with pytest.raises(InputError, match="known network"):
        catalog.network("moon")
    with pytest.raises(InputError, match=r"bf16.*got 'fp12'"):
        catalog.chip("T4").rate_tflops("fp12")
    with pytest.raises(InputError, match="known chip"):
        catalog.chip([])


def test_filters():
    found = catalog.filter_chips(maker="nvidia", memory_kind="hbm", at_least={"memory_gb": 100})
    assert {"H200-SXM", "B200"} <= {one.chip for one in found}
    assert all(one.memory_gb >= 100 and one.memory_kind == "HBM" for one in found)
    assert [one.chip for one in catalog.filter_chips(generation="volta")] == ["V100-SXM-32GB"]
    released = catalog.filter_chips(released_from="2022-09", released_to="2022", maker="NVIDIA")
    assert {"H100-SXM", "RTX-4090"} <= {one.chip for one in released}
    assert all(one.release_date.startswith("2022") for one in released)
    assert all(one.price_usd <= 2000 for one in catalog.filter_chips(at_most={"price_usd": 2000}))
    with pytest.raises(InputError, match="memory_gb"):
        catalog.filter_chips(at_least={"memory": 80})
    with pytest.raises(InputError, match="NVIDIA"):
        catalog.filter_chips(maker="NVIDA")


def test_round_trips_of_the_profiles_follow_from_the_measurements():
    statistic = {"median": statistics.median, "maximum": max}
    computed = [one for one in catalog.networks().values() if one.round_trip_tier]
    assert len(computed) >= 5
    for one in computed:
        assert one.round_trip_ms == statistic[one.round_trip_statistic](catalog.round_trips(one.round_trip_tier))
        assert one.regional_round_trip_ms in (None, statistics.median(catalog.round_trips("same_region")))
    assert sum(len(catalog.round_trips(tier)) for tier in
               ("same_region", "continental", "cross_continental", "global_worst_case")) == 191  # fmt: skip
    with pytest.raises(InputError, match="continental"):
        catalog.round_trips("continent")


def test_profiles_go_from_near_to_far():
    order = ["colocated", "same-region", "continental", "cross-continental", "global-worst-case"]
    trips = [catalog.network(name).round_trip_ms for name in order]
    uploads = [catalog.network(name).upload_mbps for name in order]
    assert trips == sorted(trips) and uploads == sorted(uploads, reverse=True)
    study = catalog.network("study")
    assert (study.upload_mbps, study.download_mbps, study.round_trip_ms) == (100, 100, 100)
    assert all(one.bandwidth_source and one.round_trip_source for one in catalog.networks().values())


@pytest.mark.parametrize("system", catalog.reference_systems(), ids=lambda system: system.system)
def test_reference_systems_reproduce_the_published_equivalents_or_say_why_not(system):
    chip = catalog.chip(system.chip)
    assert chip.memory_gb * system.count == system.memory_gb
    ours = chip.fp16_tflops * system.count / 990
    assert (abs(ours - system.h100_equivalents) <= 0.02) == (system.note == "")
    if system.note:
        assert f"hence {ours:.2f}" in system.note


def test_reference_systems_are_seventeen():
    assert len(catalog.reference_systems()) == 17


def test_measured_tables_are_typed():
    assert set(catalog.table_names()) == {
        "bandwidth_for_utilisation", "diloco_ablations", "diloco_quality", "fault_storms", "inner_step_sweeps",
        "measured_iteration_times", "measured_utilisation", "measured_wan_rounds", "overlap_quality",
        "published_mfu", "real_runs",
    }  # fmt: skip
    rows = catalog.table("measured_utilisation")
    assert len(rows) == 10
    assert rows[0]["utilisation_measured"] == pytest.approx(0.00536)
    assert rows[4]["bandwidth_mbps"] is None
    columns = catalog.table_columns("measured_utilisation")
    assert columns["bandwidth_mbps"].dtype == np.float64 and math.isnan(columns["bandwidth_mbps"][4])
    assert columns["algorithm"].tolist() == ["diloco"] * 10
    assert len(catalog.table("measured_iteration_times")) == 54
    with pytest.raises(InputError, match="measured_wan_rounds"):
        catalog.table("measured_wan")


@pytest.mark.parametrize("name", catalog.table_names())
def test_no_row_of_a_table_has_a_cell_too_many(name):
    rows = catalog.table(name)
    assert all(None not in row and len(row) == len(rows[0]) for row in rows)


@pytest.mark.parametrize(
    "path", [p for p in files("thresher.catalog").joinpath("data").iterdir() if p.name.endswith(".csv")],
    ids=lambda path: path.name,
)  # fmt: skip
def test_every_table_has_its_source_beside_it(path):
    sidecar = files("thresher.catalog").joinpath("data", path.name.replace(".csv", ".source.yaml"))
    document = yaml.safe_load(sidecar.read_text("utf-8"))
    assert {"title", "producer", "citation", "licence", "accessed", "note"} == document.keys()
    assert all(document.values())
    assert not path.read_text("utf-8").startswith("#")
