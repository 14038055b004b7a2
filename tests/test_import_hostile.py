"""Fuzzed input never crashes an import and never loses a good row."""

import csv
import gzip
import io
import os
import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from thresher.errors import InputError
from thresher.records import lines
from thresher.records.importing import import_records
from thresher.records.lines import Shape, _parsed, _records
from thresher.records.reading import SourceFile, UnusableFileError, open_rows
from thresher.records.schema import tables
from thresher.records.store import attach_evidence

HEADER = b"serial,event,at,from_party,to_party,site\n"
SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
QUICK = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

texts = st.text(st.sampled_from("ab ,;\"'=+-@#|\t<>&Åж漢\U0001f600"), max_size=6)
"""Cells with all that has a meaning in some file or page."""
garbage = st.one_of(
    st.binary(max_size=30),
    st.lists(
        st.sampled_from([b'"', b",", b"\n", b"\r", b'""', b"\0", b"\xff", b"a", b"SN1", b"sale", b"2025-01-31"]),
        max_size=12,
    ).map(b"".join),
)


def written(cells):
    """A record as RFC 4180 has it."""
    return ",".join('"' + cell.replace('"', '""') + '"' if set(cell) & set(',"\n') else cell for cell in cells).encode()


@st.composite
def good_rows(draw):
    """A right row of custody and its text; a cell may go over two lines."""
    note = draw(st.one_of(texts, st.just("Hauptstr. 5\nHinterhaus")))
    serial = "SN" + draw(st.text(st.sampled_from("0123456789"), min_size=1, max_size=3)) + draw(texts)
    return written([serial, "sale", "2025-01-31", "", draw(texts), note])


def read(name, content, folder=None):
    """The rows that reading a file gives, by line, and the lines set aside."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        path = Path(made) / name
        path.write_bytes(content)
        with open_rows(SourceFile(path, name, "custody")) as (_, batches):
            rows, bad = {}, []
            for batch in batches:
                for row in batch.cells.to_pylist():
                    line = row.pop("source_line")
                    rows[line] = tuple(row.values())
                bad += batch.bad
    return rows, bad


def cells_of(row):
    """What a record holds, by the standard library's reader."""
    return tuple(next(csv.reader(io.StringIO(row.decode(), newline=""))))


@pytest.fixture(params=[lines.BLOCK_BYTES, 40], ids=["one block", "blocks of 40 bytes"])
def block_bytes(request, monkeypatch):
    monkeypatch.setattr(lines, "BLOCK_BYTES", request.param)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "records"
    made.mkdir()
    return made


@QUICK
@given(parts=st.lists(st.one_of(good_rows(), garbage.map(lambda text: (text,))), max_size=12))
@example([(b'SN1,sale,2025-01-31,,,"open',), b"SN2,sale,2025-01-31,,,", b'SN3,sale,2025-01-31,,"a,b",c', (b'",',)])
@example([(b'"',), b'SN2,sale,2025-01-31,,"",', (b'",sale,2025-01-31,,,',), b"SN3,sale,2025-01-31,,,"])
@example([(b"\xfc\xe4",), b"SN2,sale,2025-01-31,,,", (b"\xe4,sale,2025-01-31,,,",)])
def test_good_rows_among_garbage_are_all_read_with_their_lines(block_bytes, parts):
    expected, text, line = {}, HEADER, 2
    for part in parts:
        row = part[0] if isinstance(part, tuple) else part
        if part is row:
            expected[line] = cells_of(row)
        text += row + b"\n"
        line += len((row + b"\n").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")) - 1
    rows, bad = read("custody.csv", text)
    assert {number: rows.get(number) for number in expected} == expected
    assert not {one.line for one in bad} & expected.keys()


@QUICK
@given(
    st.lists(st.sampled_from(list(b'ab,;"\n 1\0')), max_size=40).map(bytes), st.integers(1, 4), st.sampled_from(",;")
)
def test_records_are_cut_as_arrow_parses_them(text, count, delimiter):
    shape = Shape(tuple("abcd"[:count]), delimiter, lambda cells: len(cells) == count and cells[0] != "")
    block = text.split(b"\n")
    _, records, _, taken = _records(block, 1, shape, last=True)
    assert taken == len(block)
    table, bad = _parsed(b"".join(record + b"\n" for record in records), shape)
    assert len(table) + len(bad) == len(records)
    for line in block:
        table, bad = _parsed(line + b"\nz\n", shape)
        assert (len(table) + len(bad) == 2) == shape.is_closed(line)


@QUICK
@given(st.lists(good_rows(), min_size=1, max_size=6), st.data())
def test_a_file_cut_anywhere_gives_the_rows_before_the_cut(block_bytes, rows, data):
    text = HEADER + b"".join(row + b"\n" for row in rows)
    cut = data.draw(st.integers(len(HEADER), len(text)))
    found, _ = read("custody.csv", text[:cut])
    line, at = 2, len(HEADER)
    for row in rows:
        at += len(row) + 1
        if at <= cut:
            assert found[line] == cells_of(row)
        line += row.count(b"\n") + 1


@QUICK
@given(
    st.sampled_from(["custody.csv", "custody.csv.gz", "custody.parquet"]),
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=200).map(lambda rest: HEADER + rest),
        st.binary(max_size=200).map(lambda rest: gzip.compress(HEADER + rest)[:-3]),
        st.binary(max_size=200).map(lambda rest: b"\xff\xfe" + HEADER.decode().encode("utf-16-le") + rest),
    ),
)
def test_random_bytes_are_rows_or_refused(name, content):
    try:
        read(name, content)
    except UnusableFileError as error:
        assert error.reason.startswith("expected ")


@QUICK
@given(
    st.lists(
        st.one_of(st.sampled_from(["serial", "event", "at", "Serial ", "", "note", "note (3)", "note (2)"]), texts),
        max_size=8,
    ),
    st.sampled_from([",", ";"]),
)
def test_any_header_is_used_or_refused(names, delimiter):
    header = delimiter.join(["serial", "event", "at", *names]).encode()
    try:
        read("custody.csv", header + b"\n" + delimiter.join("x" * (len(names) + 3)).encode())
    except UnusableFileError as error:
        assert error.reason.startswith("expected ")


def test_parquet_values_that_python_cannot_hold(folder):
    table = pa.table(
        {
            "party": ["P1", "P2"],
            "incorporated_on": pa.array([0, 2**62], pa.timestamp("us")),
            "seen": pa.array([[2**62], None], pa.list_(pa.timestamp("us"))),
        }
    )
    made = io.BytesIO()
    pa.parquet.write_table(table, made)
    report, rows = load(folder, "parties.parquet", made.getvalue())
    assert [row["party"] for row in rows] == ["P1"]
    assert [(one.line, one.column) for one in report.problems] == [(2, "incorporated_on")]


def parquet_bytes():
    row = {one.name: [one.example] * 50 for one in tables()["custody"]}
    made = io.BytesIO()
    pa.parquet.write_table(pa.table(row), made, row_group_size=20)
    return made.getvalue()


@settings(QUICK, max_examples=150)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_parquet_file_with_changed_bytes_is_rows_or_refused(changes):
    content = bytearray(parquet_bytes())
    for place, value in changes:
        content[int(place * len(content))] = value
    try:
        read("custody.parquet", bytes(content))
    except UnusableFileError as error:
        assert error.reason.startswith("expected ")


def load(folder, name, content):
    """Import a folder with one more file into a store beside it; the report and the rows of custody."""
    (folder / name).write_bytes(content)
    store = folder.parent / f"{folder.name}.duckdb"
    report = import_records(folder, store)
    with duckdb.connect() as connection:
        attach_evidence(connection, store)
        table = report.files[0].table
        return report, connection.sql(f"SELECT * FROM {table} ORDER BY source_line").to_arrow_table().to_pylist()


@SLOW
@given(st.lists(st.one_of(good_rows(), garbage.map(lambda text: (text,))), min_size=1, max_size=12))
def test_good_rows_among_garbage_are_all_loaded(tmp_path, parts):
    with tempfile.TemporaryDirectory(dir=tmp_path) as made:
        folder = Path(made) / "records"
        folder.mkdir()
        text = b"".join((part[0] if isinstance(part, tuple) else part) + b"\n" for part in parts)
        report, rows = load(folder, "custody.csv", HEADER + text)
    serials = {cells_of(part)[0].strip() for part in parts if not isinstance(part, tuple)}
    assert serials <= {row["serial"] for row in rows}
    file = report.files[0]
    assert file.rows == file.loaded + file.already_there + file.quarantined
    assert file.loaded == len(rows)
    assert all(one.reason.startswith("expected ") and one.line > 1 for one in report.problems)


def test_a_quote_left_open_takes_no_row_along(folder):
    good = b"".join(b'SN%d,sale,2025-01-31,P1,"P2, Ltd",\n' % number for number in range(5000))
    bad = b'X1,sale,2025-01-31,"P1,P2,\n'
    report, rows = load(folder, "custody.csv", HEADER + bad + good + bad + good.replace(b"SN", b"SM") + bad)
    assert len(rows) == 10_000
    assert [(one.line, one.column, one.reason) for one in report.problems] == [
        (line, "from_party", "expected a quote that is closed") for line in (2, 5003, 10_004)
    ]


def test_a_name_of_ten_megabytes_is_set_aside(folder):
    name = b"x" * 10_000_000
    report, rows = load(
        folder,
        "parties.csv",
        b"party,name,note\nP1,A,\nP2,"
        + name
        + b',\nP3,"'
        + name
        + b'",\nP4,B,'
        + name
        + b"\nP5,C,\n"
        + name
        + b"\nP6,D,",
    )
    assert [row["party"] for row in rows] == ["P1", "P5", "P6"]
    assert [(one.line, one.column) for one in report.problems] == [(3, "name"), (4, "name"), (5, "note"), (7, "")]
    assert "at most 4,096 characters, without control characters, got 10,000,000" in report.problems[0].reason
    assert max(len(one.text) for one in report.problems) <= 500


def test_a_line_longer_than_any_is_set_aside(folder, monkeypatch):
    monkeypatch.setattr(lines, "LONGEST_LINE_BYTES", 2000)
    monkeypatch.setattr(lines, "BLOCK_BYTES", 700)
    content = b"party,name\nP1,A\nP2," + b"x" * 9000 + b'\nP3,B\nP4,"' + b"x" * 2000 + b'"\nP5,C\n' + b"y" * 5000
    report, rows = load(folder, "parties.csv", content)
    assert [row["party"] for row in rows] == ["P1", "P3", "P5"]
    assert [(one.line, one.reason) for one in report.problems] == [
        (line, "expected a line of at most 2,000 bytes") for line in (3, 5, 7)
    ]


def test_what_a_spreadsheet_would_run_is_kept_as_it_is(folder):
    cells = [
        "=cmd|'/C calc'!A0",
        "+1+1",
        "-2",
        "@SUM(1)",
        "<script>alert(1)</script>",
        "{{7*7}}",
        "'; DROP TABLE parties;--",
    ]
    text = "party,name\n" + "".join(f'P{number},"{cell}"\n' for number, cell in enumerate(cells))
    _, rows = load(folder, "parties.csv", text.encode())
    assert [row["name"] for row in rows] == cells


def test_other_encodings(folder):
    text = "party,name\nP1,A\nP2,Müller\nP3,B\n"
    report, rows = load(folder, "parties.csv", text.encode("latin-1"))
    assert [row["party"] for row in rows] == ["P1", "P3"]
    assert [(one.line, one.column, one.reason) for one in report.problems] == [
        (3, "name", "expected text in UTF-8, got the byte 0xfc")
    ]
    for encoding in ("utf-16-le", "utf-32"):
        (folder / "parties.csv").write_bytes(text.encode(encoding))
        with pytest.raises(InputError, match="expected a column `party`"):
            import_records(folder, folder.parent / "other.duckdb")


def test_more_wrong_lines_than_are_held_at_once(folder, monkeypatch):
    monkeypatch.setattr(lines, "BLOCK_LINES", 100)
    content = b"party,name\n" + b'x\nP%d,A\n"y\n' * 2000 % tuple(range(2000))
    report, rows = load(folder, "parties.csv", content)
    assert len(rows) == 2000 and report.files[0].quarantined == 4000
    assert len(report.problems) == 1000
    assert [row["source_line"] for row in rows] == list(range(3, 6003, 3))


def test_names_that_are_no_text(folder):
    name = os.fsdecode(b"parties-\xff\x1b[2J.csv")
    report, rows = load(folder, name, b"party,name\nP1,A\n")
    assert rows[0]["source_file"] == report.files[0].file == "parties-\ufffd\x1b[2J.csv"


def test_pipes_and_folders_are_not_read(folder):
    os.mkfifo(folder / "custody.csv")
    (folder / "power.csv").mkdir()
    (folder / "old").mkdir()
    report, rows = load(folder, "parties.csv", b"party,name\nP1,A\n")
    assert len(rows) == 1
    assert {one.name for one in report.ignored} == {"custody.csv", "old"}
