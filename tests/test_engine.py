"""Where the steps run: what is kept is kept whole, on every engine."""

import pyarrow as pa
import pytest

from thresher.errors import InputError
from thresher.screening.engine import engine_of_tables, open_engine


@pytest.fixture(scope="module", params=["duckdb", "spark"])
def engine(request):
    return engine_of_tables({"parties": pa.table({"party": ["a", "b"], "name": ["x", None]})}, request.param)


def test_evidence_is_numbered_and_what_is_not_given_is_there_and_empty(engine):
    assert engine.table("parties").select("row_id").to_pyarrow()["row_id"].to_pylist() == [1, 2]
    assert engine.table("custody").count().to_pyarrow().as_py() == 0


def test_every_chunk_is_kept(engine):
    parts = [["a"], [], ["b", "c"], [], ["d"]]
    table = pa.concat_tables(pa.table({"value": pa.array(part, pa.string())}) for part in parts)
    assert sorted(engine.keep("kept", table).to_pyarrow()["value"].to_pylist()) == ["a", "b", "c", "d"]


def test_a_table_may_be_replaced_by_one_made_from_it(engine):
    kept = engine.keep("again", pa.table({"value": [1, 2, None]}))
    kept = engine.keep("again", kept.mutate(value=kept.value + 1))
    assert sorted(kept.to_pyarrow()["value"].to_pylist(), key=str) == [2, 3, None]


def test_an_unknown_engine_is_refused(tmp_path):
    with pytest.raises(InputError, match="duckdb, spark"), open_engine(tmp_path / "store", "oracle"):
        pass
