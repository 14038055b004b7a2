"""`thresher import`: right rows loaded once, wrong ones set aside with their place and reason, and the store that holds them."""

import gzip
import json
from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from thresher.cli import main
from thresher.errors import InputError
from thresher.records.importing import import_records
from thresher.records.schema import PROVENANCE, tables
from thresher.records.store import add_judgement, attach_evidence, create_store, export_evidence, remove_judgement

CUSTODY = "serial,event,at,from_party,to_party,site\n"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "records"
    made.mkdir()
    return made


@pytest.fixture
def store(tmp_path):
    return tmp_path / "evidence.duckdb"


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def ask(store, query):
    with duckdb.connect() as connection:
        attach_evidence(connection, store)
        return connection.execute(query).fetchall()


def column(store, query):
    return [row[0] for row in ask(store, query)]


def load(folder, store, name, content):
    put(folder, name, content)
    return import_records(folder, store)


def test_a_row_comes_with_where_it_was_read(folder, store):
    load(
        folder,
        store,
        "custody.csv",
        "# from the register\n\n" + CUSTODY + "SN1,sale,2025-01-31T10:00:00,P1,P2,S1\n\n SN2 ,SALE,2025-02-01,P1,,\n",
    )
    rows = ask(
        store,
        """SELECT serial, event, "at", to_party, notified_on,
            source_file, source_line, extra, row_id, length(row_hash) FROM custody""",
    )
    assert rows == [
        ("SN1", "sale", datetime(2025, 1, 31, 10), "P2", None, "custody.csv", 4, None, 4, 32),
        ("SN2", "sale", datetime(2025, 2, 1), None, None, "custody.csv", 6, None, 6, 32),
    ]


def test_columns_stand_in_any_order_and_case_and_further_ones_are_kept(folder, store):
    header = "Note,AT, To Party ,event,serial,from-party,hull no.\n"
    load(
        folder, store, "custody.csv", header + '"say ""no""",2025-01-31,P2,sale,SN1,P1,\n,2025-02-01,P2,sale,SN1,P1,7\n'
    )
    rows = ask(store, "SELECT serial, from_party, to_party, extra FROM custody ORDER BY source_line")
    assert [row[:3] for row in rows] == [("SN1", "P1", "P2")] * 2
    assert [json.loads(row[3]) for row in rows] == [{"Note": 'say "no"'}, {"hull no.": "7"}]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_delimiter_is_told_from_the_header(folder, store, delimiter):
    lines = ["party,name,kind,address", "P1,Müller GmbH,company,Hauptstr. 5"]
    load(folder, store, "parties.csv", "\n".join(lines).replace(",", delimiter))
    assert ask(store, "SELECT party, name, address FROM parties") == [("P1", "Müller GmbH", "Hauptstr. 5")]


@pytest.mark.parametrize(
    "write",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.removesuffix("\n").encode(),
    ],
    ids=["mark", "utf-16", "crlf", "cr", "no last line end"],
)
def test_text_files_as_other_programs_write_them(folder, store, write):
    report = load(folder, store, "parties.csv", write('party,name\nP1,"Müller, Ltd"\nP2,ООО Вычислитель\n'))
    assert report.complete
    rows = ask(store, "SELECT party, name, source_line FROM parties ORDER BY party")
    assert rows == [("P1", "Müller, Ltd", 2), ("P2", "ООО Вычислитель", 3)]


def test_parts_of_a_table(folder, store):
    header = "serial,chip\n"
    put(folder, "chips.csv", header + "SN1,A\n")
    put(folder, "Chips-2025.CSV", header + "SN2,A\n")
    put(folder, "chips.part1.csv.gz", gzip.compress((header + "SN3,A\n").encode()))
    put(folder, "chips/anything.tsv", "serial\tchip\nSN4\tA\n")
    put(folder, "chips/_SUCCESS", "")
    pa.parquet.write_table(pa.table({"serial": ["SN5"], "chip": ["A"]}), folder / "chips_b.parquet")
    report = import_records(folder, store)
    assert report.complete and not report.ignored
    assert column(store, "SELECT serial FROM chips ORDER BY serial") == ["SN1", "SN2", "SN3", "SN4", "SN5"]
    assert column(store, "SELECT count(DISTINCT row_id) FROM chips") == [5]
    assert "chips/anything.tsv" in column(store, "SELECT source_file FROM chips")


def test_files_of_no_table_are_named_with_the_nearest(folder, store):
    for name in ("README.md", "custdy.csv", "parties.xlsx", "truth.csv"):
        put(folder, name, "a\n")
    report = load(folder, store, "sites.csv", "site\nS1\n")
    assert {one.name: one.meant for one in report.ignored} == {
        "README.md": "",
        "custdy.csv": "custody",
        "parties.xlsx": "parties",
        "truth.csv": "",
    }
    assert not report.complete


def test_a_misspelt_needed_column_refuses_its_file_alone(folder, store):
    put(folder, "custody.csv", "seriall,event,at\nSN1,sale,2025-01-01\n")
    report = load(folder, store, "sites.csv", "site,operatr\nS1,P1\n")
    refused = next(one for one in report.files if one.table == "custody")
    assert refused.problem == "expected a column `serial`, got `seriall`"
    assert [(one.file, one.line, one.column) for one in report.problems] == [("custody.csv", 1, "serial")]
    loaded = next(one for one in report.files if one.table == "sites")
    assert loaded.loaded == 1 and "`operatr`" in loaded.remarks[0] and "`operator`" in loaded.remarks[0]
    assert ask(store, "SELECT extra FROM sites") == [('{"operatr": "P1"}',)]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("serial,chip,Serial", "the column `serial` once"),
        ("", "a header and rows"),
        (",".join(["serial", *map(str, range(2000))]), "at most 1,000 columns"),
        ("s" * 2_000_000, "a header of at most"),
        ("a,b,c", "a column `serial` among: a, b, c"),
    ],
)
def test_headers_that_cannot_be_used(folder, store, header, expected):
    put(folder, "chips.csv", header)
    with pytest.raises(InputError, match=expected):
        import_records(folder, store)
    assert not store.exists()


WRONG_CELLS = [
    ("custody", "event", "bought", "one of commission, sale"),
    ("custody", "event", "", "got a blank"),
    ("custody", "at", "0000-01-01", "a time from 1900 to 2199"),
    ("custody", "at", "31.01.2025", "got '31.01.2025'"),
    ("custody", "at", "2025-02-30T10:00:00", "a time from"),
    ("custody", "at", "2025-01-31T25:00:00", "a time from"),
    ("custody", "at", "2200-01-01", "a time from"),
    ("custody", "at", "infinity", "a time from"),
    ("custody", "at", "01/02/2025", "a time from"),
    ("custody", "serial", "x" * 4097, "text of at most 4,096 characters, without control characters, got 4,097"),
    ("custody", "serial", "a\x00b", "got 'a\ufffdb'"),
    ("custody", "serial", "a\x1b[31m", "without control characters"),
    ("ownership", "share", "1.1", "a share from 0 to 1"),
    ("ownership", "share", "25%", "a share from 0 to 1"),
    ("ownership", "share", "0,5", "a share from 0 to 1"),
    ("sites", "latitude", "90.1", "degrees from -90 to 90"),
    ("sites", "power_kw_contracted", "-1", "a number of at least 0"),
    ("sites", "power_kw_contracted", "NaN", "a number of at least 0"),
    ("sites", "power_kw_contracted", "inf", "a number of at least 0"),
    ("sites", "power_kw_contracted", "1e999", "a number of at least 0"),
    ("sites", "power_kw_contracted", "1_000", "a number of at least 0"),
    ("purchases", "amount", "1,000.00", "a number, got '1,000.00'"),
    ("purchases", "quantity", "1.5", "a whole number from 0"),
    ("purchases", "quantity", "-1", "a whole number from 0"),
    ("purchases", "quantity", "0x10", "a whole number from 0"),
    ("purchases", "date", "1899-12-31", "a day from 1900"),
    ("power", "month", "2025-13", "a month from 1900"),
    ("pings", "serial", "", "a serial or a site"),
]


@pytest.mark.parametrize(("table", "name", "cell", "reason"), WRONG_CELLS)
def test_a_wrong_cell_sets_its_row_aside(folder, store, table, name, cell, reason):
    columns = tables()[table]
    right = {one.name: one.example for one in columns if not (table == "pings" and one.name == "site")}
    wrong = right | {name: cell}
    quoted = [",".join(f'"{value}"' for value in row.values()) for row in (right, wrong)]
    report = load(folder, store, f"{table}.csv", "\n".join([",".join(right), *quoted, ""]))
    assert [(one.line, one.column) for one in report.problems] == [(3, name)]
    assert reason in report.problems[0].reason
    file = report.files[0]
    assert (file.rows, file.loaded, file.quarantined) == (2, 1, 1)


RIGHT_CELLS = [
    ("custody", "at", "2025-01-31T10:00:00Z", datetime(2025, 1, 31, 10)),
    ("custody", "at", "2025-01-31 10:00", datetime(2025, 1, 31, 10)),
    ("custody", "at", "2025-01-31T00:30:00+02:00", datetime(2025, 1, 30, 22, 30)),
    ("custody", "at", "2025-01-31T10:00:00.25-0530", datetime(2025, 1, 31, 15, 30, 0, 250000)),
    ("custody", "at", "1900-01-01", datetime(1900, 1, 1)),
    ("custody", "at", "2199-12-31T23:59:59", datetime(2199, 12, 31, 23, 59, 59)),
    ("custody", "event", " Transfer ", "transfer"),
    ("custody", "site", "=HYPERLINK(1)", "=HYPERLINK(1)"),
    ("custody", "site", "@SUM(A1)", "@SUM(A1)"),
    ("custody", "site", "'; DROP TABLE custody; --", "'; DROP TABLE custody; --"),
    ("custody", "site", "x" * 4096, "x" * 4096),
    ("custody", "site", "\u00a0S1\u3000", "S1"),
    ("custody", "site", "Mu\u0308ller", "Müller"),
    ("custody", "notified_on", "2025-01-31T00:00:00", date(2025, 1, 31)),
    ("ownership", "share", "1", 1.0),
    ("ownership", "share", "-0", 0.0),
    ("sites", "latitude", "-90", -90.0),
    ("sites", "power_kw_contracted", "+1.5e3", 1500.0),
    ("purchases", "quantity", "8.0", 8),
    ("purchases", "quantity", "1000000000000", 10**12),
    ("purchases", "amount", "-12.5", -12.5),
    ("power", "month", "2025-03", date(2025, 3, 1)),
    ("power", "month", "2025-03-17", date(2025, 3, 1)),
]


@pytest.mark.parametrize(("table", "name", "cell", "value"), RIGHT_CELLS)
def test_a_right_cell_is_kept_as_its_type(folder, store, table, name, cell, value):
    row = {one.name: one.example for one in tables()[table]} | {name: cell}
    report = load(folder, store, f"{table}.csv", ",".join(row) + "\n" + ",".join(f'"{one}"' for one in row.values()))
    assert report.complete, report.problems
    assert ask(store, f'SELECT "{name}" FROM {table}') == [(value,)]


def test_every_wrong_cell_of_a_row_is_named(folder, store):
    report = load(folder, store, "custody.csv", CUSTODY + ",bought,tomorrow,P1,P2,\n")
    assert [one.column for one in report.problems] == ["at", "event", "serial"]
    assert {one.text for one in report.problems} == {",bought,tomorrow,P1,P2,"}
    assert report.files[0].quarantined == 1


def test_the_same_row_is_loaded_once(folder, store):
    header = "serial,chip\n"
    put(folder, "chips-1.csv", header + "SN1,A\nSN2,A\nSN1,A\n")
    put(folder, "chips-2.csv", "chip;serial\nA; SN2\nB;SN2\n")
    report = import_records(folder, store)
    assert [(one.rows, one.loaded, one.already_there) for one in report.files] == [(3, 2, 1), (2, 1, 1)]
    assert report.complete
    rows = ask(store, "SELECT serial, chip, source_file, source_line FROM chips ORDER BY row_id")
    assert rows == [("SN1", "A", "chips-1.csv", 2), ("SN2", "A", "chips-1.csv", 3), ("SN2", "B", "chips-2.csv", 3)]


def contents(store):
    """All that a store holds."""
    names = [*tables(), "quarantine", "imports"]
    return {name: sorted(ask(store, f"SELECT * FROM {name}"), key=repr) for name in names}


def test_loading_again_changes_nothing(folder, store):
    put(folder, "custody.csv", CUSTODY + "SN1,sale,2025-01-31,P1,P2,\nSN1,bought,2025-01-31,P1,P2,\n")
    put(folder, "pings.csv", "no header\n")
    first = import_records(folder, store)
    before = contents(store)
    again = import_records(folder, store)
    assert contents(store) == before
    assert again.problems == first.problems
    for one, other in zip(first.files, again.files, strict=True):
        assert (one.rows, one.quarantined, one.problem) == (other.rows, other.quarantined, other.problem)
        assert other.loaded == 0 and other.already_there == one.loaded


def test_the_same_content_under_another_name_adds_nothing(folder, store):
    load(folder, store, "sites.csv", "site\nS1\n")
    (folder / "sites.csv").rename(folder / "sites-2.csv")
    report = import_records(folder, store)
    assert [(one.loaded, one.already_there) for one in report.files] == [(0, 1)]
    assert len(ask(store, "FROM imports")) == 1


def test_a_file_that_cannot_be_read_is_said_once(folder, store, monkeypatch):
    put(folder, "sites.csv", "site\nS1\n")
    put(folder, "chips.csv", "serial,chip\nSN1,A\n")
    opened = Path.open

    def refuse(path, *arguments, **options):
        if path.name == "chips.csv":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse)
        for _ in range(2):
            report = import_records(folder, store)
            assert report.files[0].problem == "expected a file that can be read (Permission denied)"
            assert len(ask(store, "FROM quarantine")) == 1 and len(ask(store, "FROM imports")) == 2
    assert import_records(folder, store).complete
    assert ask(store, "FROM quarantine") == [] and len(ask(store, "FROM chips")) == 1


def test_a_mended_file_adds_its_rows_and_clears_what_was_set_aside(folder, store):
    load(folder, store, "custody.csv", CUSTODY + "SN1,sale,2025-01-31,P1,P2,\nSN2,bought,2025-01-31,P1,P2,\n")
    put(folder, "parties.csv", "party,kind\nP1,robot\n")
    report = load(folder, store, "custody.csv", CUSTODY + "SN1,sale,2025-01-31,P1,P2,\nSN2,sale,2025-01-31,P1,P2,\n")
    assert [(one.loaded, one.already_there, one.quarantined) for one in report.files] == [(1, 1, 0), (0, 0, 1)]
    assert ask(store, "SELECT source_file, column_name FROM quarantine") == [("parties.csv", "kind")]
    assert column(store, "SELECT serial FROM custody ORDER BY row_id") == ["SN1", "SN2"]
    # and back: the quarantine says what is wrong with the file as it is
    load(folder, store, "custody.csv", CUSTODY + "SN1,sale,2025-01-31,P1,P2,\nSN2,bought,2025-01-31,P1,P2,\n")
    assert len(ask(store, "FROM quarantine")) == 2 and len(ask(store, "FROM custody")) == 2


def test_numbers_of_rows_stay_and_are_never_used_twice(folder, store):
    load(folder, store, "chips.csv", "serial,chip\nSN1,A\nSN2,A\n")
    before = dict(ask(store, "SELECT serial, row_id FROM chips"))
    put(folder, "chips.csv", "serial,chip\nSN0,A\nSN1,A\nSN2,A\n")
    load(folder, store, "sites.csv", "site\nS1\n")
    after = dict(ask(store, "SELECT serial, row_id FROM chips"))
    assert before.items() <= after.items()
    numbers = list(after.values()) + column(store, "SELECT row_id FROM sites")
    assert len(set(numbers)) == len(numbers) == 4


def test_parquet_of_every_type(folder, store):
    day = datetime(2025, 1, 31, 10)
    table = pa.table(
        {
            "id": pa.array(["A", "B", "C"]).dictionary_encode(),
            "date": pa.array([day, day, None], pa.timestamp("ns", "Europe/Berlin")),
            "buyer_name": pa.array([b"M\xc3\xbcller", b"M\xfcller", b"x"]),
            "quantity": pa.array([8.0, None, 1.5]),
            "amount": pa.array([1, 2, 3], pa.int64()),
            "parts": pa.array([[1, 2], None, []], pa.list_(pa.int64())),
        }
    )
    pa.parquet.write_table(table, folder / "purchases.parquet")
    report = import_records(folder, store)
    assert ask(store, "SELECT id, date, buyer_name, quantity, amount, extra, source_line FROM purchases") == [
        ("A", date(2025, 1, 31), "Müller", 8, 1.0, '{"parts": "[1, 2]"}', 1)
    ]
    assert {(one.line, one.column) for one in report.problems} == {(2, "buyer_name"), (3, "date"), (3, "quantity")}


def test_a_parquet_file_cut_short_is_refused_alone(folder, store):
    pa.parquet.write_table(pa.table({"serial": ["SN1"] * 1000}), folder / "chips.parquet")
    content = (folder / "chips.parquet").read_bytes()
    put(folder, "chips.parquet", content[: len(content) // 2])
    report = load(folder, store, "sites.csv", "site\nS1\n")
    problems = {one.file: one.problem for one in report.files}
    assert "a whole Parquet file" in problems["chips.parquet"] and not problems["sites.csv"]


def test_a_damaged_group_of_parquet_rows_leaves_the_others(folder, store):
    serials = [f"SN{number}" for number in range(3000)]
    path = folder / "chips.parquet"
    pa.parquet.write_table(
        pa.table({"serial": serials, "chip": serials}),
        path,
        row_group_size=1000,
        compression="none",
        use_dictionary=False,
    )
    start = pa.parquet.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)
    report = import_records(folder, store)
    assert report.files[0].loaded == 2000 and not report.complete
    assert report.problems[0].line == 1001 and "up to 2,000" in report.problems[0].reason


def test_a_gzip_file_cut_short_gives_the_rows_before_the_cut(folder, store):
    lines = [f"SN{number:06},type {hash(number) % 977}" for number in range(20_000)]
    packed = gzip.compress(("serial,chip\n" + "\n".join(lines) + "\n").encode())
    report = load(folder, store, "chips.csv.gz", packed[: len(packed) // 2])
    loaded = report.files[0].loaded
    assert 5_000 < loaded < 15_000
    assert report.problems[0].line == loaded + 2 and "read to its end" in report.problems[0].reason
    assert column(store, "SELECT serial FROM chips ORDER BY serial") == [line[:8] for line in lines[:loaded]]


def test_all_tables_can_be_asked_whether_or_not_they_have_rows(folder, store, tmp_path):
    load(folder, store, "sites.csv", "site\nS1\n")
    with duckdb.connect(str(tmp_path / "work.duckdb")) as connection:
        attach_evidence(connection, store)
        attach_evidence(connection, store)
        for name in (*tables(), "quarantine", "imports", "judgements"):
            assert connection.execute(f"SELECT count(*) FROM {name}").fetchall() == [
                (int(name in {"sites", "imports"}),)
            ]
        with pytest.raises(duckdb.Error):
            connection.execute("DELETE FROM evidence_store.sites")
    written = export_evidence(store, tmp_path / "out")
    assert set(tables()) < written.keys()
    assert pa.parquet.read_table(written["sites"])["site"].to_pylist() == ["S1"]
    assert set(PROVENANCE) < set(pa.parquet.read_schema(written["power"]).names)


def test_what_is_no_store_is_refused(folder, store, tmp_path):
    put(folder, "sites.csv", "site\nS1\n")
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE meta (name VARCHAR, value VARCHAR)")
    (tmp_path / "text").write_text("a,b\n" * 100)
    for path in (other, tmp_path / "text", tmp_path, folder / "sites.csv", tmp_path / ("x" * 300)):
        with pytest.raises(InputError):
            import_records(folder, path)
        with pytest.raises(InputError), duckdb.connect() as connection:
            attach_evidence(connection, path)
    with pytest.raises(InputError, match="No such file"), duckdb.connect() as connection:
        attach_evidence(connection, tmp_path / "missing.duckdb")
    import_records(folder, store)
    with duckdb.connect(str(store)) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'version'")
    with pytest.raises(InputError, match="a later Thresher made it, got 99"):
        import_records(folder, store)
    with duckdb.connect(str(store)) as connection:
        connection.execute("UPDATE meta SET value = '1' WHERE name = 'version'")
        connection.execute("UPDATE meta SET value = 'other' WHERE name = 'tables'")
    with pytest.raises(InputError, match="import the files into a new one"):
        import_records(folder, store)
    with pytest.raises(InputError, match="not there yet"):
        create_store(store)


def test_a_store_may_stand_among_its_files_and_start_as_an_empty_file(folder):
    put(folder, "sites.csv", "site\nS1\n")
    inside = put(folder, "evidence.duckdb", "")
    assert import_records(folder, inside).complete
    assert import_records(folder, inside).ignored == ()


def test_a_judgement_stands_until_another_or_its_withdrawal(store):
    create_store(store)
    shown = "SELECT left_mention, right_mention, verdict, reviewer FROM judgements"
    add_judgement(store, "B", "A", "yes", "Ada", "same address")
    assert ask(store, shown) == [("A", "B", "yes", "Ada")]
    add_judgement(store, "A", "B", "no", "Bob")
    assert ask(store, shown) == [("A", "B", "no", "Bob")]
    remove_judgement(store, "B", "A", "Ada")
    assert ask(store, shown) == []
    with duckdb.connect(str(store), read_only=True) as connection:
        history = connection.execute("SELECT verdict, reviewer, note FROM judgement_history ORDER BY number").fetchall()
    assert history == [("yes", "Ada", "same address"), ("no", "Bob", ""), (None, "Ada", "")]
    with pytest.raises(InputError, match="a judgement of this pair"):
        remove_judgement(store, "A", "B", "Ada")
    for arguments in (
        ("A", "B", "maybe", "Ada"),
        ("A", "A", "yes", "Ada"),
        ("A", " ", "yes", "Ada"),
        ("A", "B", "no", ""),
    ):
        with pytest.raises(InputError):
            add_judgement(store, *arguments)


def test_the_command(folder, store, tmp_path):
    def run(*arguments):
        return CliRunner().invoke(main, ["import", *map(str, arguments)])

    put(folder, "chips-[red].csv", "serial,chip\nSN1,A\n")
    outcome = run(folder, "--store", store)
    assert outcome.exit_code == 0 and "chips-[red].csv" in outcome.stdout
    put(folder, "custody.csv", CUSTODY + "SN1,bought\x1b[2J,2025-01-31,P1,P2,\n")
    outcome = run(folder, "--store", store)
    assert outcome.exit_code == 1
    assert "custody.csv, line 2, column event: expected one of commission" in outcome.stdout
    assert "\x1b" not in outcome.stdout
    outcome = run(folder, "--store", store, "--json", "-")
    data = json.loads(outcome.stdout)
    assert outcome.exit_code == 1 and data["complete"] is False
    assert data["files"][0]["already_there"] == 1 and data["problems"][0]["column"] == "event"
    assert run(tmp_path / "missing", "--store", store).exit_code == 2
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty", "--store", store).exit_code == 2
