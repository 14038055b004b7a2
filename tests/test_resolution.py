"""Who is who: names across forms and scripts, descriptions to chips, linkage, its reasons, and a reviewer's word."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.catalog import chips
from thresher.errors import InputError
from thresher.screening.engine import engine_of_tables
from thresher.screening.resolution.clusters import Pairs, cluster, judged
from thresher.screening.resolution.descriptions import content_of
from thresher.screening.resolution.explain import explain_pair
from thresher.screening.resolution.names import address_key, name_keys, phone_key
from thresher.screening.resolution.resolve import resolve

SAME = [
    ("Müller Rechenzentrum GmbH", "MUELLER RECHENZENTRUM"),
    ("ООО Вычислитель", "OOO Vychislitel"),
    ("ООО «Вычислитель»", "Общество с ограниченной ответственностью Вычислитель"),
    ("Apex Compute L.L.C.", "APEX COMPUTE LIMITED LIABILITY COMPANY"),
    ("Юлия Юрьева", "Iuliia Iureva"),
    ("北京智算科技有限公司", "Bei Jing Zhi Suan Ke Ji"),
    ("Apex Compute II Limited", "Apex Compute 2 Ltd"),
    ("株式会社さくら", "Sakura"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_names_of_one_have_one_key(one, other):
    assert name_keys(one).key == name_keys(other).key


@pytest.mark.parametrize(("one", "other"), [("Apex Compute 1 Ltd", "Apex Compute 2 Ltd"), ("Alpha AG", "Beta AG")])
def test_sisters_and_strangers_keep_apart(one, other):
    assert name_keys(one).key != name_keys(other).key


def test_legal_forms_are_told_apart_by_kind_and_not_by_country():
    assert name_keys("Foo GmbH").form == name_keys("ООО Foo").form == name_keys("Foo Ltd").form == "llc"
    assert name_keys("Foo Aktiengesellschaft").form != "llc"


@given(st.text(max_size=400))
def test_any_text_has_keys(text):
    keys = name_keys(text)
    assert all(part.isascii() for part in (keys.key, keys.words, keys.numbers))
    assert address_key(text).isascii()
    assert len(phone_key(text)) <= 8


def test_addresses_and_telephones_meet_over_their_spellings():
    assert address_key("Hauptstr. 5, 10115 Berlin") == address_key("Hauptstraße 5\n10115 BERLIN")
    assert address_key("ул. Ленина, д. 5, Москва") == address_key("ul. Lenina 5, Moskva")
    assert phone_key("+49 (0)30 123-456-7") == phone_key("0301234567")
    assert phone_key("+49 30 123456") == phone_key("030 123456")


@pytest.mark.parametrize(
    ("text", "chip", "each"),
    [
        ("HGX H100 8-GPU baseboard", "H100-SXM", 8),
        ("NVIDIA H100 80GB SXM5", "H100-SXM", 1),
        ("NVIDIA H100 PCIe 80GB", "H100-PCIe", 1),
        ("DGX A100 640GB", "A100-SXM-80GB", 8),
        ("DGX A100 320GB", "A100-SXM-40GB", 8),
        ("Supermicro SYS-821GE-TNHR w/ 8x H200", "H200-SXM", 8),
        ("GB200 NVL72 rack, liquid cooled", "GB200", 72),
        ("4x L40S server", "L40S", 4),
        ("2 x NVIDIA H100", "H100-SXM", 2),
        ("CloudMatrix 384", "Ascend-910C", 384),
        ("Ascend 910B Karte", "Ascend-910B", 1),
        ("DGX H100 with 3 years of support", "H100-SXM", 8),
        ("NVIDIA H100 SXM5 80GB incl. 3 years warranty", "H100-SXM", 1),
        ("H100-SXM, warranty 3y", "H100-SXM", 1),
        ("2x HGX H100 8-GPU", "H100-SXM", 16),
        ("DGX H100 x4", "H100-SXM", 32),
        ("Server Supermicro 8U H100x8", "H100-SXM", 8),
    ],
)
def test_invoices_name_chips_in_many_words(text, chip, each):
    assert content_of(text) == (chip, each)


@pytest.mark.parametrize(
    "text",
    [
        "H100 cooling kit",
        "NVLink bridge for 2x A100",
        "support contract H100 server",
        "server rack 42U",
        "ConnectX-7 NIC",
        "",
        None,
    ],
)
def test_accessories_are_no_chips(text):
    assert content_of(text) == (None, None)


def test_every_chip_of_the_catalog_is_known_by_its_id_and_its_name():
    for name, one in chips().items():
        assert content_of(name) == (name, 1)
        assert content_of(one.name) == (name, 1)
        assert content_of(f"{one.maker} {name.replace('-', ' ')}").chip == name


PARTIES = {
    "party": ["P1", "P2", "P3", "P4", "P5", "P6", "P7"],
    "name": [
        "Müller Rechenzentrum GmbH",
        "MUELLER RECHENZENTRUM",
        "ООО Вычислитель",
        "OOO Vychislitel",
        "Apex Compute 1 Ltd",
        "Apex Compute 2 Ltd",
        "Zeta AG",
    ],
    "country": ["DE", "DE", "RU", "RU", "GB", "GB", "DE"],
    "kind": ["company"] * 7,
    "address": [
        "Hauptstr. 5, 10115 Berlin",
        "Hauptstrasse 5 Berlin",
        None,
        None,
        "1 High St London",
        "1 High St London",
        None,
    ],
    "phone": ["+49 30 123456", None, None, None, "555 123456", "555 123456", None],
    "registration": ["HRB 1", None, "123456", None, "77777", "77778", None],
}
PURCHASES = {
    "id": ["a", "b", "c", "d", "e", "f"],
    "buyer_name": [
        "Mueller Rechenzentrum G.m.b.H.",
        "Vychislitel LLC",
        "Apex Compute 2 Limited",
        "Zeta",
        "P7",
        "Unheard Of",
    ],
    "buyer_address": ["Hauptstr 5 Berlin", None, None, None, None, None],
    "buyer_country": ["DE", "RU", "GB", None, None, None],
    "description": ["HGX H100 8-GPU baseboard", "H100 cooling kit", "DGX A100 640GB", "H200", "4x L40S server", "H100"],
    "quantity": [2, 1, 1, None, 3, 1],
    "seller": ["P5", "Apex Compute 1 Ltd", None, "Foo", "Foo", "Foo"],
}


@pytest.fixture(scope="module", params=["duckdb", "spark"])
def resolved(request):
    engine = engine_of_tables(
        {
            "parties": pa.table(PARTIES),
            "purchases": pa.table(PURCHASES),
            "sites": pa.table({"site": ["S1", "S2"], "operator": ["P1", "Vychislitel"]}),
            "custody": pa.table({"serial": ["x"], "event": ["sale"], "to_party": ["P99"]}),
        },
        request.param,
    )
    return engine, resolve(engine)


def _dict(table, key, value):
    found = table.select(key, value).to_pyarrow()
    return dict(zip(found[key].to_pylist(), found[value].to_pylist(), strict=True))


def test_variants_are_one_and_sisters_are_not(resolved):
    engine, _ = resolved
    assert _dict(engine.table("identity"), "party", "entity") == {
        "P1": "P1",
        "P2": "P1",
        "P3": "P3",
        "P4": "P3",
        "P5": "P5",
        "P6": "P6",
        "P7": "P7",
        "P99": "P99",  # known from custody alone
    }


def test_buyers_in_free_text_find_their_party(resolved):
    engine, _ = resolved
    buyers = _dict(engine.table("purchases_resolved"), "id", "entity")
    unheard = buyers.pop("f")
    assert buyers == {"a": "P1", "b": "P3", "c": "P6", "d": "P7", "e": "P7"}
    assert unheard.startswith("buyer:")


def test_what_was_bought_is_counted_in_chips_and_unknown_stays_unknown(resolved):
    engine, _ = resolved
    assert _dict(engine.table("purchases_resolved"), "id", "chips") == {
        "a": 16.0, "b": None, "c": 8.0, "d": None, "e": 12.0, "f": 1.0,
    }  # fmt: skip
    assert _dict(engine.table("purchases_resolved"), "id", "seller_entity")["b"] == "P5"


def test_operators_are_resolved_by_id_and_by_name(resolved):
    engine, _ = resolved
    assert _dict(engine.table("sites_resolved"), "site", "operator_entity") == {"S1": "P1", "S2": "P3"}


def test_a_pair_comes_apart_into_parts_that_add_up(resolved):
    _, found = resolved
    pair = explain_pair(found.mentions, found.frequencies, found.model, "party:P1", "party:P2")
    assert pair.prior_bits + sum(part.bits for part in pair.parts) == pytest.approx(pair.match_weight, abs=1e-6)
    assert pair.probability == pytest.approx(1 / (1 + 2**-pair.match_weight))
    assert {part.words for part in pair.parts} >= {"the same name", "an address with the same words"}
    sisters = explain_pair(found.mentions, found.frequencies, found.model, "party:P5", "party:P6")
    assert next(part for part in sisters.parts if part.comparison == "numbers").bits < 0
    with pytest.raises(InputError, match="mentions as `thresher resolve` lists them"):
        explain_pair(found.mentions, found.frequencies, found.model, "party:P1", "party:nobody")


def _with_judgements(*rows):
    names = ("left_mention", "right_mention", "verdict")
    judgements = {name: pa.array([row[at] for row in rows], pa.string()) for at, name in enumerate(names)}
    engine = engine_of_tables(
        {"parties": pa.table(PARTIES), "purchases": pa.table(PURCHASES), "judgements": pa.table(judgements)}
    )
    resolve(engine)
    return engine


def test_a_reviewers_no_is_respected_and_so_is_a_yes():
    engine = _with_judgements(("party:P2", "party:P1", "no"), ("party:P5", "party:P6", "yes"))
    identity = _dict(engine.table("identity"), "party", "entity")
    assert identity["P1"] != identity["P2"]
    assert identity["P5"] == identity["P6"]
    # the buyer fits both as well now: it joins the better of them or neither, and never makes them one
    assert _dict(engine.table("purchases_resolved"), "id", "entity")["a"] != identity["P6"]


def test_a_no_holds_through_third_parties():
    table = {
        "party": ["A", "B", "C"],
        "name": ["Vychislitel OOO", "ООО Вычислитель", "Vychislitel"],
        "country": ["RU"] * 3,
        "kind": ["company"] * 3,
    }
    judgements = {"left_mention": ["party:A"], "right_mention": ["party:B"], "verdict": ["no"]}
    engine = engine_of_tables({"parties": pa.table(table), "judgements": pa.table(judgements)})
    resolve(engine)
    identity = _dict(engine.table("identity"), "party", "entity")
    assert identity["A"] != identity["B"]
    assert identity["C"] in (identity["A"], identity["B"])


def test_no_records_resolve_to_nothing():
    engine = engine_of_tables({})
    assert resolve(engine).entities.count().execute() == 0


def _clustered(party_of, ties, verdicts):
    """Entities of mentions from ties (left, right, probability, weight) and a reviewer's verdicts."""
    left, right, probability, weight = (np.array(column) for column in zip(*ties, strict=True))
    pairs, apart = judged(Pairs(left, right, probability, weight), verdicts)
    choice = {
        "party_match_probability": 0.99,
        "match_probability": 0.9,
        "text_match_probability": 0.7,
        "lead_bits": 1.0,
    }
    return cluster(pairs, np.array(party_of), apart, **choice).entity.tolist()


def test_a_no_holds_against_every_description_of_a_party():
    # mentions 0 and 1 describe one party; 2 is a text that fits both, and the reviewer says no to the first
    entity = _clustered([0, 0, -1], [(0, 2, 0.9, 5.0), (1, 2, 0.9, 5.0)], [(0, 2, False)])
    assert entity[0] == entity[1] != entity[2]


def test_a_no_between_texts_keeps_them_out_of_one_party():
    entity = _clustered([0, -1, -1], [(0, 1, 0.9, 5.0), (0, 2, 0.9, 5.0)], [(1, 2, False)])
    assert entity[1] != entity[2]


def test_a_yes_between_texts_brings_both_to_the_party_of_one():
    entity = _clustered([0, -1, -1], [(0, 1, 0.9, 5.0)], [(1, 2, True)])
    assert entity[0] == entity[1] == entity[2]
