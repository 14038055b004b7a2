"""Files that people get: whole or not at all, plain JSON, and nothing of theirs destroyed on the way."""

import json
import os
import threading

import numpy as np
import pytest

from thresher.errors import InputError
from thresher.result import Explanation, Result, to_json_text, write_text
from thresher.sources import parse_quantities, read_yaml


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "new" / "out.json"
    write_text(path, "one")
    write_text(path, "two")
    assert path.read_text() == "two"
    assert list(path.parent.iterdir()) == [path]


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    write_text(tmp_path / "link.json", "new")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_text() == "new"


def test_a_pipe_is_written_through(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "through")
    reader.join(5)
    assert got == ["through"]
    assert pipe.is_fifo()


@pytest.mark.parametrize("where", ["folder", "file/below"])
def test_an_impossible_path_is_refused_by_name(tmp_path, where):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match=where):
        write_text(tmp_path / where, "x")
    assert (tmp_path / "file").read_text() == "kept"


def test_json_is_plain():
    result = Result("test", {"a": np.float64(1.5), "b": float("nan")}, {"tree": Explanation("x", float("inf"), "FLOP")})
    text = to_json_text(result.as_json())
    assert "NaN" not in text
    assert "Infinity" not in text
    data = json.loads(text)
    assert data["inputs"] == {"a": 1.5, "b": None}
    assert data["outcomes"]["tree"]["value"] is None


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "a: [", "a: 2025-13-45", "\x01"])
def test_wrong_yaml_is_refused_by_file(text):
    with pytest.raises(InputError, match=r"mine\.yaml"):
        read_yaml(text, "mine.yaml")


@pytest.mark.parametrize(
    ("source", "row"),
    [
        ({"title": "t", "how": "read"}, {"value": 1, "unit": "m", "source": "s"}),
        ({"title": "t", "address": "a", "how": "guess"}, {"value": 1, "unit": "m", "source": "s"}),
        ({"title": "t", "address": "a", "how": "read"}, {"value": "x", "unit": "m", "source": "s"}),
        ({"title": "t", "address": "a", "how": "read"}, {"value": 1, "unit": "m", "source": "other"}),
        ({"title": "t", "address": "a", "how": "read"}, {"value": 1, "unit": "m", "source": "s", "range": [2, 3]}),
        ({"title": "t", "address": "a", "how": "read"}, {"value": 1, "source": "s"}),
    ],
)
def test_a_parameter_without_a_proper_source_value_or_range_is_refused(source, row):
    with pytest.raises(InputError, match=r"p\.yaml"):
        parse_quantities({"sources": {"s": source}, "parameters": {"x": row}}, "p.yaml")
