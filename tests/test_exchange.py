"""FollowTheMoney, BODS and EPCIS, in and out: nothing is lost on the way, and what is broken costs itself alone."""

import json
import re
import tracemalloc
from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from click.testing import CliRunner
from followthemoney import model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from thresher.cli import main
from thresher.cli.export_records import export
from thresher.errors import InputError
from thresher.records.exchange import (
    FORMATS,
    Problem,
    Row,
    bods,
    epcis,
    export_records,
    ftm,
    is_exchange_file,
    items,
    read_exchange,
    rows,
    tables_in,
)
from thresher.records.exchange.files import export_tables, write_pieces
from thresher.records.importing import import_records
from thresher.records.schema import tables
from thresher.records.store import attach_evidence

HERE = Path(__file__).parent / "data" / "exchange"
FTM, SHARES, NOMINATION = HERE / "group.ftm.json", HERE / "shares.bods.json", HERE / "nomination.bods.json"
CHIPS, OPEN_EPCIS = HERE / "chips.epcis.jsonld", HERE / "openepcis.epcis.json"
EXAMPLES = (FTM, SHARES, NOMINATION, CHIPS, OPEN_EPCIS)
MAKERS = {
    "ftm": {"parties": (ftm.party_entity, ftm.entity_rows), "ownership": (ftm.ownership_entity, ftm.entity_rows)},
    "bods": {
        "parties": (bods.party_statement, bods.statement_rows),
        "ownership": (bods.ownership_statement, bods.statement_rows),
    },
    "epcis": {"custody": (epcis.custody_event, epcis.event_rows)},
}


def split(path):
    """What a file gives: its rows as (table, cells) and its problems."""
    found = list(read_exchange(path))
    return [(one.table, one.cells) for one in found if isinstance(one, Row)], [
        one for one in found if isinstance(one, Problem)
    ]


def columns(path, table):
    """The cells of a file's rows that are columns of the table."""
    return [rows.columns_of(table, cells) for name, cells in split(path)[0] if name == table]


def written(folder, name, text):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def exported(kind, given):
    """The text of rows (table, cells) in a format."""
    of = {table: [cells for name, cells in given if name == table] for table in ("parties", "ownership", "custody")}
    if kind == "epcis":
        return "".join(epcis.export_epcis(of["custody"], "2025-01-01T00:00:00Z"))
    return "".join({"ftm": ftm.export_ftm, "bods": bods.export_bods}[kind](of["parties"], of["ownership"]))


def bods_errors(statements):
    schemas = json.loads((HERE / "bods-0.4.schema.json").read_text())
    registry = Registry().with_resources((one["$id"], Resource.from_contents(one)) for one in schemas)
    checker = Draft202012Validator(schemas[0], registry=registry, format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message}" for error in checker.iter_errors(statements)]


def epcis_errors(document):
    schema = json.loads((HERE / "epcis-2.0.schema.json").read_text())
    # the checker knows no time and no URI without more libraries
    checker = FormatChecker(())
    forms = {
        "date-time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
        "uri": r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+",
    }
    for name, form in forms.items():
        checker.checks(name)(lambda text, form=form: not isinstance(text, str) or bool(re.fullmatch(form, text)))
    found = Draft7Validator(schema, format_checker=checker).iter_errors(document)
    return [f"{error.json_path}: {error.message}" for error in found]


# -- what the examples say -------------------------------------------------------------------------------------------------


def test_followthemoney_entities_are_parties_and_ownership():
    assert columns(FTM, "parties") == [
        {
            "party": "muc-rz",
            "name": "Müller Rechenzentrum GmbH",
            "kind": "company",
            "country": "DE",
            "address": "Hauptstr. 5, 10115, Berlin",
            "registration": "HRB 12345",
            "phone": "+4930123456",
            "email": "office@example.org",
            "incorporated_on": "2024-06-01",
        },
        {"party": "p-1", "name": "Anna Berg", "kind": "person", "country": "SE"},
        {"party": "trust-1", "name": "Berg Family Trust", "kind": "trust", "country": "GB"},
        {"party": "min-1", "name": "Ministry of Science", "kind": "agency", "country": "DE"},
        {"party": "unknown-1", "name": "Vychislitel", "kind": "unknown"},
    ]
    links = [
        (one["owner"], one["interest"], one.get("share"), one.get("from"), one.get("to"), one.get("on_behalf_of"))
        for one in columns(FTM, "ownership")
    ]
    assert links == [
        ("p-1", "shareholding", "0.499", "2023-01-01", None, None),
        ("trust-1", "shareholding", "0.25", "2023-01-01", "2024-02-29", None),
        ("unknown-1", "nominee", "0.1", None, None, "min-1"),
        ("unknown-1", "nominee", None, None, None, None),
        ("p-1", "officer", None, None, None, None),
        ("min-1", "control", None, None, None, None),
    ]
    reasons = [one.reason for one in split(FTM)[1]]
    assert len(reasons) == 2 and "Family" in reasons[0] and "UnknownLink" in reasons[1]


def test_bods_statements_are_parties_and_ownership():
    assert columns(SHARES, "parties")[0] == {
        "party": "acme",
        "name": "Acme Compute Ltd",
        "kind": "company",
        "country": "GB",
        "address": "Aston House, London, N3 1LF",
        "registration": "07444723",
        "incorporated_on": "2023-05-02",
    }
    kinds = [(one["party"], one.get("name"), one["kind"]) for one in columns(SHARES, "parties")[1:]]
    assert kinds == [
        ("ana", "Ana Berg", "person"),
        ("trust", "Berg Trust", "trust"),
        ("ministry", "Ministry", "agency"),
        ("r-unknown-interestedParty", None, "unknown"),
    ]
    links = [
        (one["owner"], one["owned"], one["interest"], one.get("share"), one.get("from"), one.get("to"))
        for one in columns(SHARES, "ownership")
    ]
    assert links == [
        ("ana", "acme", "shareholding", "0.6", "2023-06-01", None),  # shares and votes are one holding, the larger
        ("ana", "acme", "officer", None, "2023-07-01", None),
        ("trust", "acme", "shareholding", "0.25", None, None),  # the lower end of the range
        ("r-unknown-interestedParty", "acme", "shareholding", None, None, None),
        ("ministry", "acme", "control", None, None, "2024-12-31"),  # the record was closed that day
        ("trust", "sub", "nominee", "0.05", None, None),
    ]
    assert [re.search(r"no beneficial owner|indirect holdings", one.reason)[0] for one in split(SHARES)[1]] == [
        "no beneficial owner",
        "indirect holdings",
    ]


def test_the_official_example_of_a_nomination_names_whom_the_nominee_is_for():
    links = [
        (one["owner"], one["owned"], one["interest"], one.get("on_behalf_of"))
        for one in columns(NOMINATION, "ownership")
    ]
    assert links == [
        ("101AB1984F", "103AB1984D", "control", None),
        ("102AB1984E", "103AB1984D", "nominee", "101AB1984F"),
        ("103AB1984D", "104AB1984C", "officer", None),
        ("101AB1984F", "104AB1984C", "control", None),
    ]
    assert not split(NOMINATION)[1]


def test_epcis_events_are_custody():
    found = [
        (one["serial"], one["event"], one["at"], one.get("from_party"), one.get("to_party"), one.get("site"))
        for one in columns(CHIPS, "custody")
    ]
    assert found == [
        ("SN1", "commission", "2025-01-31T10:00:00", None, None, "FAB"),
        ("SN2", "commission", "2025-01-31T10:00:00", None, None, "FAB"),
        ("SN3", "commission", "2025-01-31T10:00:00", None, None, "FAB"),
        ("SN1", "sale", "2025-02-01T00:30:00.500000", "P-1", "P-3", None),  # in UTC; who possesses; on its way
        ("SN2", "sale", "2025-02-01T00:30:00.500000", "P-1", "P-3", None),
        ("SN1", "transfer", "2025-02-05T12:00:00", None, "P-3", "HALL 1"),
        ("SN2", "transfer", "2025-02-05T12:00:00", None, "P-3", "HALL 1"),
        ("SN1", "install", "2025-02-06T12:00:00", None, None, "HALL 1"),
        ("SN1", "remove", "2025-03-06T12:00:00", None, None, None),
        ("urn:nvidia:serial:77", "sale", "2025-03-07T12:00:00", None, None, None),
        ("SN/3", "repair", "2025-03-08T12:00:00", None, None, None),
        ("SN2", "decommission", "2025-03-09T12:00:00", None, None, None),
        ("SN2", "destroy", "2025-03-10T12:00:00", None, None, None),
        ("SN4", "transfer", "2025-03-13T12:00:00", None, None, None),
    ]
    assert columns(CHIPS, "custody")[5]["notified_on"] == "2025-02-01"
    problems = [(one.line, one.column) for one in split(CHIPS)[1]]
    assert problems == [(11, "errorDeclaration"), (12, "errorDeclaration"), (14, "epcList"), (13, "")]


def test_published_epcis_examples_are_read():
    found = [(one["serial"], one["event"], one["at"], one.get("site")) for one in columns(OPEN_EPCIS, "custody")]
    assert found == [
        ("2017", "transfer", "2005-04-04T02:33:31.116000", None),
        ("2018", "transfer", "2005-04-04T02:33:31.116000", None),
        ("2018", "transfer", "2005-04-05T02:33:31.116000", "urn:epc:id:sgln:0012345.11111.0"),
        ("12345", "remove", "2019-11-04T13:00:00", "urn:epc:id:sgln:4012345.00002.0"),
        ("12346", "remove", "2019-11-04T13:00:00", "urn:epc:id:sgln:4012345.00002.0"),
    ]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_table_by_table_a_file_gives_the_same(path):
    parts = [one for table in tables_in(path) for one in read_exchange(path, table)]
    assert Counter(map(str, parts)) == Counter(map(str, read_exchange(path)))
    assert {one.table for one in parts if isinstance(one, Row)} == set(tables_in(path))


@pytest.mark.parametrize(
    ("epc", "serial"),
    [
        ("urn:epc:id:sgtin:0614141.107346.2017", "2017"),
        ("urn:epc:id:sgtin:0614141.107346.20%2F17.A", "20/17.A"),
        ("urn:epc:id:giai:4000001.12345", "12345"),
        ("urn:epc:id:grai:9506000.13435.RACK1", "RACK1"),
        ("urn:epc:id:sscc:9506000.1343520000", "urn:epc:id:sscc:9506000.1343520000"),
        ("https://id.gs1.org/01/09506000134352/21/SN%20123?17=250101", "SN 123"),
        ("https://example.com/some/path/01/09506000134352/10/LOT/21/7", "7"),
        ("https://id.gs1.org/8004/4000001111", "4000001111"),
        ("https://id.gs1.org/01/09506000134352", None),
        ("https://example.com/chip/77", "https://example.com/chip/77"),
        ("urn:epc:class:lgtin:4012345.011111.4444", None),
        ("urn:epc:idpat:sgtin:4012345.066666.*", None),
        ("urn:thresher:serial:SN%2F1", "SN/1"),
        ("urn:epc:id:sgtin:", None),
        ("urn:epc:id", None),
        ("http://[", None),
        ("", None),
    ],
)
def test_the_serial_in_an_epc(epc, serial):
    assert epcis.serial_of(epc) == serial


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2024", "2024-01-01", "2024-12-31"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2024-02-03", "2024-02-03", "2024-02-03"),
        ("2024-02-03T10:00:00", "2024-02-03", "2024-02-03"),
        ("2024-13", "2024-13-01", "2024-13"),
        ("soon", "soon", "soon"),
        (None, None, None),
    ],
)
def test_partial_dates_are_read_at_their_ends(text, first, last):
    assert (rows.first_day(text), rows.last_day(text)) == (first, last)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("49.9%", "0.499"),
        ("49,9 %", "0.499"),
        ("100", "1"),
        ("0", "0"),
        ("more than 25% but not more than 50%", "0.25"),
        ("-5", "-5"),
        ("all", None),
        (None, None),
    ],
)
def test_percentages_are_shares(text, share):
    assert rows.share_of_percent(text) == share


@pytest.mark.parametrize(
    "name", ["entities.json", "x.ftm.json", "X.FTM.JSONL", "a.bods.json", "a.epcis.json", "a.jsonld"]
)
def test_names_of_exchange_files(name):
    assert is_exchange_file(Path("folder") / name)


def test_other_names_are_not_read(tmp_path):
    assert not is_exchange_file(tmp_path / "parties.json")
    with pytest.raises(InputError, match="a name that ends in"):
        read_exchange(tmp_path / "parties.csv")
    with pytest.raises(InputError, match="a file that can be read"):
        list(read_exchange(tmp_path / "missing.ftm.json"))


def test_every_word_of_the_vocabulary_is_a_choice_of_the_schema():
    choices = {(one.table, one.name): set(one.choices) for found in tables().values() for one in found}
    kinds = set(rows.vocabulary("ftm_kinds").values()) | set(rows.vocabulary("bods_kinds").values())
    interests = {one["interest"] for one in rows.vocabulary("ftm_links").values()}
    interests |= set(rows.vocabulary("bods_interests").values())
    assert kinds <= choices["parties", "kind"] and interests <= choices["ownership", "interest"]
    assert (
        set(rows.vocabulary("epcis_events").values())
        == choices["custody", "event"]
        == set(rows.vocabulary("epcis_steps"))
    )
    assert set(ftm.SCHEMATA) == set(bods.ENTITY_TYPES) | {"person"} == choices["parties", "kind"]
    assert set(bods.INTEREST_TYPES) == choices["ownership", "interest"]
    schemas = (HERE / "bods-0.4.schema.json").read_text()
    listed = re.search(r'"enum":(\["shareholding".*?\])', schemas)[1]
    assert set(json.loads(listed)) == set(rows.vocabulary("bods_interests"))


# -- there and back --------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).map(str.strip).filter(bool)
DAY = st.dates(date(1900, 1, 1), date(2199, 12, 31)).map(date.isoformat)
TIME = st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31)).map(datetime.isoformat)
SHARE = st.floats(0, 1).map(lambda share: rows.as_number(Decimal(repr(share))))
OF_TYPE = {"date": DAY, "timestamp": TIME, "share": SHARE}
LIKELY = {
    "country": st.sampled_from(["DE", "GB", "US", "UK", "XX", "Germany"]),
    "phone": st.sampled_from(["+49 30 123456", "030 123456", "+4930123456", "none"]),
    "email": st.sampled_from(["office@example.org", "Office@EXAMPLE.org", "none"]),
}


def cells_of_table(table):
    """Rows of a table as text, with any of the cells that may be blank left out."""

    def cell(one):
        if one.choices:
            return st.sampled_from(one.choices)
        return LIKELY[one.name] | TEXT if one.name in LIKELY else OF_TYPE.get(one.type, TEXT)

    needed = {one.name: cell(one) for one in tables()[table] if one.needed}
    return st.fixed_dictionaries(needed, optional={one.name: cell(one) for one in tables()[table] if not one.needed})


@pytest.mark.parametrize(("kind", "table"), [(kind, table) for kind, made in MAKERS.items() for table in made])
def test_any_row_survives_the_way_out_and_back(kind, table):
    make, read = MAKERS[kind][table]

    @settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(cells_of_table(table))
    def there_and_back(cells):
        item = json.loads(json.dumps(make(cells)))
        (found,) = [back for name, back in read(item) if name == table]
        assert found == cells

    there_and_back()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_comes_back_as_it_went_out(path, tmp_path):
    kind = path.name.split(".")[1]
    first, _ = split(path)
    text = exported(kind, first)
    second, problems = split(written(tmp_path, path.name, text))
    assert not problems

    def comparable(found):
        return Counter((table, rows.dumps(cells)) for table, cells in found)

    assert comparable(second) == comparable(first)
    assert exported(kind, second) == text


@pytest.mark.parametrize("kind", ["ftm", "bods"])
@pytest.mark.parametrize("path", [FTM, SHARES, NOMINATION], ids=lambda path: path.name)
def test_parties_and_ownership_go_from_one_format_to_the_other(path, kind, tmp_path):
    first, _ = split(path)
    second, problems = split(written(tmp_path, f"x.{kind}.json", exported(kind, first)))
    assert not problems
    before, after = (
        Counter((table, rows.dumps(rows.columns_of(table, cells))) for table, cells in one) for one in (first, second)
    )
    assert after == before


# -- right by the formats' own rules ---------------------------------------------------------------------------------------


def every_example():
    """The rows of all examples, and rows that no example has."""
    return [row for path in EXAMPLES for row in split(path)[0]] + [
        ("parties", {"party": "P 7/ü", "name": "Odd id", "phone": "none", "email": "none", "country": "Germany"}),
        ("parties", {"party": "P-8", "kind": "company", "country": "XX", "incorporated_on": "2024-06-01"}),
        ("ownership", {"owner": "P 7/ü", "owned": "P-8", "interest": "control", "share": "0.125"}),
        ("ownership", {"owner": "P 7/ü", "owned": "P-8", "interest": "nominee", "on_behalf_of": "P-9"}),
        *(
            (
                "custody",
                {"serial": "S 1/2", "event": event, "at": "2025-01-01T00:00:00", "from_party": "P 7/ü", "site": "A B"},
            )
            for event in rows.vocabulary("epcis_steps")
        ),
    ]


def test_exported_entities_are_right_by_followthemoney():
    for line in exported("ftm", every_example()).splitlines():
        entity = json.loads(line)
        proxy = model.get_proxy(entity)
        assert proxy.schema.validate({"properties": entity["properties"]}) is None
        assert model.get_proxy(entity, cleaned=False).to_dict()["properties"] == entity["properties"]
        assert not set(entity["properties"]) - set(proxy.schema.properties)
        for name in proxy.schema.required:
            assert proxy.schema.is_a("LegalEntity") or proxy.has(name), (entity, name)
        assert len(list(proxy.edgepairs())) == (0 if proxy.schema.is_a("LegalEntity") else 1)


def test_exported_statements_are_right_by_the_schema_of_bods():
    statements = json.loads(exported("bods", every_example()))
    assert bods_errors(statements) == []
    assert len({one["statementId"] for one in statements}) == len(statements) > 20
    assert bods_errors([statements[0] | {"recordType": "relationship"}])  # the check does check
    assert json.loads(exported("bods", [])) == []


def test_exported_events_are_right_by_the_schema_of_epcis():
    document = json.loads(exported("epcis", every_example()))
    assert epcis_errors(document) == []
    events = document["epcisBody"]["eventList"]
    assert len({one["eventID"] for one in events}) == len(events) > 20
    broken = document | {"epcisBody": {"eventList": [events[0] | {"bizStep": "smuggling"}]}}
    assert epcis_errors(broken)
    assert epcis_errors(json.loads(exported("epcis", []))) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_right_by_their_formats(path):
    if path.name.endswith(".bods.json"):
        assert bods_errors(json.loads(path.read_text())) == []
    elif path in (CHIPS, OPEN_EPCIS):
        # the schema wants GS1's words in their short form, which EPCIS itself does not
        document = json.loads(path.read_text())
        events = [epcis._in_short_words(one) for one in document["epcisBody"]["eventList"]]
        assert epcis_errors(document | {"epcisBody": {"eventList": events}}) == []
    else:
        for line in path.read_text().splitlines():
            entity = model.get_proxy(json.loads(line), cleaned=False)
            assert entity.schema.validate(entity.to_dict()) is None


def test_ids_are_the_same_every_time_and_no_two_rows_share_one():
    text = exported("ftm", every_example())
    assert exported("ftm", every_example()) == text
    ids = [json.loads(line)["id"] for line in text.splitlines()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[0-9a-zA-Z]([0-9a-zA-Z.-]*[0-9a-zA-Z])?", one) for one in ids)


def test_a_note_is_an_entity_about_a_party():
    note = ftm.note_entity("P 7", "Lead 1", "Over the line together.")
    proxy = model.get_proxy(note, cleaned=False)
    assert proxy.schema.validate(note) is None
    assert proxy.get("entity") == [ftm.entity_id("P 7")] == [ftm.party_entity({"party": "P 7"})["id"]]


# -- what is broken --------------------------------------------------------------------------------------------------------

GOOD = '{"id": "good", "schema": "Company", "properties": {"name": ["Good Ltd"]}}'
BROKEN = {
    "cut": '{"id": "a", "schema": "Company", "properties": {"name": ["Cu',
    "cut before a value": '{"id": "a", "schema":',
    "no object": '["a", 5, null]',
    "a number": "12",
    "no JSON": "id;schema;name",
    "a quote too many": '{"id": "a"", "schema": "Company", "properties": {"name": ["x"]}}',
    "bytes": b'{"id": "a", "schema": "Company", "properties": {"name": ["M\xfcller"]}}',
    "infinity": '{"id": "a", "schema": "Company", "properties": {"name": [Infinity]}}',
    "a long number": '{"id": "a", "schema": "Company", "properties": {"name": [' + "9" * 5000 + "]}}",
    "deep": '{"id": "a", "x": ' + "[" * 100_000,
    "deep and whole": '{"id": "a", "x": ' + "[" * 5000 + "]" * 5000 + "}",
    "half a character": '{"id": "a", "schema": "Company", "properties": {"name": ["\\ud800"]}, "x": "\\ud800"}',
    "no id": '{"schema": "Company", "properties": {"name": ["x"]}}',
    "no schema": '{"id": "a", "properties": {}}',
    "no such schema": '{"id": "a", "schema": "Spaceship", "properties": {}}',
    "no properties": '{"id": "a", "schema": "Company", "properties": ["x"]}',
    "no ends": '{"id": "a", "schema": "Ownership", "properties": {"owner": ["x"]}}',
    "owns itself": '{"id": "a", "schema": "Ownership", "properties": {"owner": ["a"], "asset": ["b"]}}',
}


@pytest.mark.parametrize("between", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_line_costs_itself_alone(between, tmp_path):
    between = between if isinstance(between, bytes) else between.encode()
    after = GOOD.replace("good", "after")
    path = written(tmp_path, "x.ftm.json", GOOD.encode() + b"\n" + between + b"\n" + after.encode() + b"\n")
    found, problems = split(path)
    assert [cells["party"] for _, cells in found if cells.get("name") == "Good Ltd"] == ["good", "after"]
    assert problems
    assert all(one.line == 2 and one.reason.startswith("expected ") for one in problems)


@pytest.mark.parametrize(
    "name", ["no object", "a number", "cut", "a quote too many", "bytes", "deep", "deep and whole"]
)
def test_a_broken_item_of_a_list_costs_itself_alone(name, tmp_path):
    between = BROKEN[name] if isinstance(BROKEN[name], bytes) else BROKEN[name].encode()
    after = GOOD.replace("good", "after").encode()
    path = written(tmp_path, "entities.json", b"[" + GOOD.encode() + b", " + between + b" ,\n" + after + b"]")
    found, problems = split(path)
    assert [cells["party"] for _, cells in found] == ["good", "after"]
    assert problems


@pytest.mark.parametrize("path", [FTM, SHARES, NOMINATION, CHIPS], ids=lambda path: path.name)
def test_a_file_cut_within_a_line_keeps_the_lines_before(path, tmp_path):
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines):
        whole, _ = split(written(tmp_path, path.name, b"".join(lines[:number])))
        for cut in {1, len(line) // 3, len(line) - 5} - set(range(-5, 1)):
            found, problems = split(written(tmp_path, path.name, b"".join(lines[:number]) + line[:cut]))
            assert found == whole
            assert any(one.line == number + 1 for one in problems) or cut == 1 or line.startswith((b"]", b'{"@'))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_encodings_of_json_are_told_apart(path, encoding, tmp_path):
    there = written(tmp_path, path.name, path.read_text("utf-8").encode(encoding))
    assert split(there) == split(path)


@pytest.mark.parametrize("name", ["x.ftm.json", "x.bods.json", "x.epcis.json"])
@settings(
    max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(data=st.data())
def test_no_bytes_crash_a_reader(name, tmp_path, data):
    example = {"x.ftm.json": FTM, "x.bods.json": SHARES, "x.epcis.json": CHIPS}[name].read_bytes()
    noise = data.draw(
        st.binary(max_size=60)
        | st.sampled_from(
            [b"[[[[" * 500, b'{"a":' * 2000, b'"', b"\x00", b"}", b"]", b"\\ud800", b"1e999", b"null", b"{}"]
        )
    )
    at = data.draw(st.integers(0, len(example)))
    upto = data.draw(st.sampled_from([at, at + 1, at + 40, len(example)]))
    for one in read_exchange(written(tmp_path, name, example[:at] + noise + example[upto:])):
        texts = one.cells.values() if isinstance(one, Row) else (one.column, one.reason, one.raw)
        for text in texts:
            assert text is None or text.encode() is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("path", [FTM, SHARES, CHIPS], ids=lambda path: path.name)
@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(data=st.data())
def test_no_value_in_the_wrong_place_crashes_a_reader(path, tmp_path, data):
    found = [one.value for one in items.json_items(path, lambda _: True, "eventList" if path == CHIPS else None)]
    item = json.loads(json.dumps(data.draw(st.sampled_from(found))))
    inner = item
    while True:
        key = data.draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else list(range(len(inner)))))
        if not isinstance(inner[key], dict | list) or not inner[key] or data.draw(st.booleans()):
            break
        inner = inner[key]
    inner[key] = data.draw(JSON)
    kind = path.name.split(".")[1]
    there = written(tmp_path, f"x.{kind}.json", json.dumps(item) + "\n" + json.dumps(found[0]))
    given_back, problems = split(there)
    assert given_back or problems
    assert exported(kind, given_back)


def test_lines_are_those_of_the_file(tmp_path):
    pretty = json.dumps([json.loads(GOOD), json.loads(GOOD)], indent=1)
    found = list(read_exchange(written(tmp_path, "x.ftm.json", "\n\n" + pretty)))
    assert [one.line for one in found] == [4, 4 + pretty.splitlines()[2:].index(" {") + 1]


def test_memory_does_not_grow_with_the_file(tmp_path):
    event = json.loads(exported("epcis", [("custody", {"serial": "S", "event": "sale", "at": "2025-01-01T00:00:00"})]))
    one = json.dumps(event["epcisBody"]["eventList"][0] | {"note:x": "y" * 5000})
    path = written(tmp_path, "x.epcis.json", '{"epcisBody": {"eventList": [' + ",".join([one] * 6000) + "]}}")
    assert path.stat().st_size > 30e6
    tracemalloc.start()
    assert sum(isinstance(row, Row) for row in read_exchange(path)) == 6000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12e6


def test_an_item_that_is_too_long_is_a_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(items, "LONGEST", 10_000)
    monkeypatch.setattr(items, "CHUNK", 1000)
    long = GOOD.replace("Good Ltd", "x" * 50_000)
    found, problems = split(written(tmp_path, "x.ftm.json", "\n".join([GOOD, long, GOOD])))
    assert len(found) == 2 and "at most 10,000 characters" in problems[0].reason


@pytest.mark.parametrize("size", [1, 7, 64])
def test_where_the_reader_pauses_does_not_matter(size, monkeypatch):
    whole = [list(read_exchange(path)) for path in EXAMPLES]
    monkeypatch.setattr(items, "CHUNK", size)
    assert [list(read_exchange(path)) for path in EXAMPLES] == whole


def test_what_an_item_says_beyond_the_columns_is_kept_unless_it_is_too_long(tmp_path):
    entity = json.loads(GOOD)
    entity["properties"]["notes"] = ["n" * 1000]
    path = written(tmp_path, "x.ftm.json", json.dumps(entity))
    assert "nnn" in split(path)[0][0][1]["ftm"]
    entity["properties"]["notes"] = ["n" * 70_000]
    assert "ftm" not in split(written(tmp_path, "x.ftm.json", json.dumps(entity)))[0][0][1]


# -- files -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["duckdb", "spark"])
def engine(request):
    from thresher.screening.engine import engine_of_tables

    given = {
        "parties": [
            {"party": "P-2", "name": "Zwei", "kind": "person"},
            {"party": "P-1", "name": "Eins", "country": "DE"},
        ],
        "ownership": [{"owner": "P-2", "owned": "P-1", "share": 0.499, "interest": "shareholding"}],
        "custody": [{"serial": "S-1", "event": "sale", "to_party": "P-1", "extra": '{"epc": "urn:x:1"}'}],
    }
    made = {table: pa.Table.from_pylist(found) for table, found in given.items()}
    day, time = pa.scalar(20_000, pa.date32()), pa.scalar(10**15, pa.timestamp("us"))
    made["ownership"] = made["ownership"].append_column("from", pa.array([day]))
    made["custody"] = made["custody"].append_column("at", pa.array([time])).append_column("loaded_at", pa.array([time]))
    return engine_of_tables(made, request.param)


def test_evidence_is_exported_the_same_from_every_engine(engine):
    entities = [json.loads(line) for line in "".join(export_tables(engine.table, "ftm")).splitlines()]
    assert [one["id"] for one in entities[:2]] == ["P-2", "P-1"]
    assert entities[2]["properties"] == {
        "owner": ["P-2"],
        "asset": ["P-1"],
        "percentage": ["49.9%"],
        "startDate": ["2024-10-04"],
    }
    statements = json.loads("".join(export_tables(engine.table, "bods")))
    assert bods_errors(statements) == []
    assert statements[2]["recordDetails"]["interests"][0]["share"] == {"exact": 49.9}
    document = json.loads("".join(export_tables(engine.table, "epcis")))
    assert document["creationDate"] == "2001-09-09T01:46:40Z"
    assert document["epcisBody"]["eventList"][0]["epcList"] == ["urn:x:1"]
    assert document["epcisBody"]["eventList"][0]["eventTime"] == "2001-09-09T01:46:40Z"
    with pytest.raises(InputError, match="one of ftm, bods, epcis"):
        export_tables(engine.table, "csv")


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    def breaks():
        yield "first"
        raise InputError("here", "nothing")

    path = written(tmp_path, "x.json", "before")
    with pytest.raises(InputError):
        write_pieces(path, breaks())
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
    write_pieces(tmp_path / "new" / "x.json", ["a", "b"])
    assert (tmp_path / "new" / "x.json").read_text() == "ab"
    with pytest.raises(InputError, match="can be written"):
        write_pieces(path / "x.json", ["a"])


def stored(store):
    """Every row of evidence as the store has it, without where it came from."""
    with duckdb.connect() as connection:
        attach_evidence(connection, store)
        found = {}
        for table in ("parties", "ownership", "custody"):
            names = ", ".join(f'"{one.name}"' for one in tables()[table])
            found[table] = connection.execute(f"SELECT {names}, extra FROM {table} ORDER BY ALL").fetchall()
            assert connection.execute(f"SELECT count(*) = count(DISTINCT row_id) FROM {table}").fetchone() == (True,)
        return found


def test_from_files_to_the_store_and_out_and_back(tmp_path):
    folder = tmp_path / "records"
    folder.mkdir()
    for path in (FTM, CHIPS, OPEN_EPCIS):
        written(folder, path.name, path.read_bytes())
    written(folder, "custody.csv", "serial,event,at,to_party,note\nSN7,transfer,2025-01-31T10:00:00,P 9,seen\n")
    written(folder, "parties.csv", "party,name,phone\nP 9,=HYPERLINK(1),none\nP-8,,\n")
    written(folder, "ownership.csv", "owner,owned,interest,share\nP 9,P-8,control,0.3\n")
    report = import_records(folder, tmp_path / "one.duckdb")
    assert {(one.file, one.table): one.loaded for one in report.files} == {
        ("chips.epcis.jsonld", "custody"): 14,
        ("custody.csv", "custody"): 1,
        ("group.ftm.json", "parties"): 5,
        ("group.ftm.json", "ownership"): 6,
        ("openepcis.epcis.json", "custody"): 5,
        ("ownership.csv", "ownership"): 1,
        ("parties.csv", "parties"): 2,
    }
    assert not report.complete and len(report.problems) == 10
    assert all(
        one.already_there == one.rows - one.quarantined for one in import_records(folder, tmp_path / "one.duckdb").files
    )
    first = stored(tmp_path / "one.duckdb")
    out = tmp_path / "out"
    result = CliRunner().invoke(
        main, ["export", str(out), "--store", str(tmp_path / "one.duckdb"), "--format", "ftm", "--format", "epcis"]
    )
    assert result.exit_code == 0 and sorted(one.name for one in out.iterdir()) == [
        "entities.ftm.json",
        "events.epcis.jsonld",
    ]
    before = {one.name: one.read_bytes() for one in out.iterdir()}
    export_records(tmp_path / "one.duckdb", out, ["ftm", "epcis"])
    assert {one.name: one.read_bytes() for one in out.iterdir()} == before
    assert import_records(out, tmp_path / "two.duckdb").complete
    second = stored(tmp_path / "two.duckdb")
    note = [row[-1] for row in first["custody"] if row[0] == "SN7"]
    assert note == ['{"note": "seen"}']
    # a column that no table has is not a format's to carry
    first["custody"] = [(*row[:-1], None) if row[0] == "SN7" else row for row in first["custody"]]
    assert second == first
    # and what was exported is there already
    assert {one.loaded for one in import_records(out, tmp_path / "one.duckdb").files} == {0, 1}


def test_a_wrong_cell_of_an_exchange_file_is_set_aside_with_its_place(tmp_path):
    wrong = GOOD.replace("good", "wrong").replace('"name"', '"incorporationDate": ["soon"], "name"')
    event = epcis.custody_event({"serial": "S", "event": "sale", "at": "2025-01-01T00:00:00"})
    folder = tmp_path / "records"
    folder.mkdir()
    written(folder, "x.ftm.json", "\n".join([GOOD, wrong, BROKEN["cut"], GOOD.replace("good", "after")]))
    written(folder, "x.epcis.json", json.dumps([event, event | {"eventTime": "0000-01-01T00:00:00Z"}]))
    report = import_records(folder, tmp_path / "store.duckdb")
    assert [(one.file, one.line, one.column) for one in report.problems] == [
        ("x.epcis.json", 1, "at"),
        ("x.ftm.json", 2, "incorporated_on"),
        ("x.ftm.json", 3, ""),
    ]
    assert [row[0] for row in stored(tmp_path / "store.duckdb")["parties"]] == ["after", "good"]


def test_the_command_refuses_what_is_no_store(tmp_path):
    with pytest.raises(InputError, match="store"):
        export_records(tmp_path / "none.duckdb", tmp_path / "out")
    with pytest.raises(InputError, match="one of ftm, bods, epcis"):
        export_records(tmp_path / "none.duckdb", tmp_path / "out", ["csv"])
    assert list(FORMATS) == list(export.params[2].type.choices)
    result = CliRunner().invoke(export, [str(tmp_path / "out")])
    assert result.exit_code == 2 and "--store" in result.output
