"""A kill at any moment leaves the store as before or after; two commands at once do not mix."""

import random
import signal
import subprocess
import sys
import time

import duckdb
import pytest

from thresher.errors import InputError
from thresher.records.importing import import_records
from thresher.records.store import attach_evidence, create_store

ROWS = 200_000
KILLS = 6
CODE = """
import sys
from pathlib import Path
from thresher.records.importing import import_records
print("begin", flush=True)
import_records(Path(sys.argv[1]), Path(sys.argv[2]), tell=lambda word: print(word, flush=True))
print("end", flush=True)
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A small folder, and a larger one that takes a second or so to import; a few of its rows are wrong."""
    small, large = tmp_path_factory.mktemp("small"), tmp_path_factory.mktemp("large")
    (small / "chips.csv").write_text("serial,chip\nSN0,A\nSN1,\n")
    rows = (f"SN{number},{'A' if number % 1000 else ''}" for number in range(1, ROWS))
    (large / "chips.csv").write_text("serial,chip\n" + "\n".join(rows) + "\n")
    (large / "custody.csv").write_text(
        "serial,event,at\n" + "".join(f"SN{number},sale,2025-01-31\n" for number in range(ROWS))
    )
    return small, large


def counts(store):
    with duckdb.connect() as connection:
        attach_evidence(connection, store)
        names = ("chips", "custody", "quarantine", "imports")
        return [
            connection.execute(f"SELECT count(*), count(DISTINCT source_file) FROM {name}").fetchall()[0]
            for name in names
        ]


def start(folder, store):
    process = subprocess.Popen([sys.executable, "-c", CODE, folder, store], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begin\n"
    return process


def duration(folder, store):
    process = start(folder, store)
    began = time.monotonic()
    process.communicate()
    assert process.returncode == 0
    return time.monotonic() - began


def test_a_kill_leaves_the_store_as_before_or_after(folders, tmp_path):
    small, large = folders
    whole = tmp_path / "whole.duckdb"
    import_records(small, whole)
    before = counts(whole)
    seconds = duration(large, whole)
    after = counts(whole)
    assert before != after
    moments = random.Random(5)
    for number in range(KILLS):
        store = tmp_path / f"killed-{number}.duckdb"
        import_records(small, store)
        process = start(large, store)
        if number % 2:
            # all is read: what is left is to drop what repeats, to commit and to close
            while not process.stdout.readline().startswith("custody.csv"):
                pass
            time.sleep(moments.uniform(0, seconds / 3))
        else:
            time.sleep(moments.uniform(0, seconds))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert counts(store) in (before, after)
        if not number % 3:
            # and it goes on from there as if nothing had been
            import_records(large, store)
            assert counts(store) == after
        for path in tmp_path.glob(f"killed-{number}*"):
            path.unlink()


def test_a_kill_while_the_store_is_made_leaves_none_or_a_whole_one(folders, tmp_path):
    small, _ = folders
    made = tmp_path / "made.duckdb"
    seconds = duration(small, made)
    after = counts(made)
    empty = tmp_path / "empty.duckdb"
    create_store(empty)
    before = counts(empty)
    moments = random.Random(5)
    for number in range(KILLS):
        store = tmp_path / f"killed-{number}.duckdb"
        process = start(small, store)
        time.sleep(seconds * moments.uniform(0, 1.0))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if store.exists():
            assert counts(store) in (before, after)
        import_records(small, store)
        assert counts(store) == after


def test_a_store_that_is_being_written_is_not_opened(folders, tmp_path):
    small, _ = folders
    store = tmp_path / "evidence.duckdb"
    import_records(small, store)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import duckdb; c = duckdb.connect({str(store)!r}); print('open', flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(InputError, match="nobody else has open"):
            import_records(small, store)
        with pytest.raises(InputError, match="nobody else has open"), duckdb.connect() as connection:
            attach_evidence(connection, store)
    finally:
        holder.communicate("\n")
    assert import_records(small, store)


def test_an_error_halfway_leaves_the_store_as_before(folders, tmp_path):
    small, large = folders
    store = tmp_path / "evidence.duckdb"
    import_records(small, store)
    before = counts(store)

    def stop(word):
        if word.startswith("custody.csv"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_records(large, store, tell=stop)
    assert counts(store) == before
