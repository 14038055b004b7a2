"""Many tasks, wherever they run: the same numbers in the same order, nothing lost, nothing done twice."""

import json
import logging
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests import sweep_tasks
from thresher import cli
from thresher.arrays import use_threads
from thresher.errors import InputError, ThresherError
from thresher.execution import Store, run_tasks, signature_of

COUNT = 8
TASKS = {f"task {seed}": seed for seed in range(1, COUNT + 1)}
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def cluster():
    """The address of a Dask scheduler with two worker processes of one thread each."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, processes=True, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
    ) as local:
        local.wait_for_workers(2)
        yield local.scheduler_address


@pytest.fixture(params=["here", "processes", "cluster"])
def engine(request):
    """Each way of running tasks."""
    if request.param == "cluster":
        return {"scheduler": request.getfixturevalue("cluster")}
    return {"workers": 2 if request.param == "processes" else 1}


@pytest.fixture(params=["processes", "cluster"])
def elsewhere(request):
    """Each way that uses other processes."""
    return {"scheduler": request.getfixturevalue("cluster")} if request.param == "cluster" else {"workers": 2}


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, arrays in expected.items():
        assert list(found[name]) == list(arrays), name
        for key, array in arrays.items():
            other = found[name][key]
            assert isinstance(other, np.ndarray) and other.flags.writeable
            assert other.dtype == np.asarray(array).dtype
            np.testing.assert_array_equal(other, array)


def runs_of(folder):
    """How often each task has run, by the marks it left."""
    seeds = [int(path.name.split("-")[0]) for path in folder.iterdir() if path.name[0].isdigit()]
    return {seed: seeds.count(seed) for seed in set(seeds)}


@pytest.mark.parametrize("function", [sweep_tasks.numbers, sweep_tasks.blocks])
def test_the_results_and_their_order_are_the_same_wherever_tasks_run(engine, function):
    assert_same(run_tasks(function, TASKS, **engine), {name: function(seed) for name, seed in TASKS.items()})


def test_the_order_is_that_of_the_tasks_and_not_of_completion(elsewhere, tmp_path):
    found = run_tasks(sweep_tasks.counted, {name: (tmp_path, seed) for name, seed in TASKS.items()}, **elsewhere)
    assert list(found) == list(TASKS)
    assert runs_of(tmp_path) == dict.fromkeys(TASKS.values(), 1)


def test_no_result_depends_on_the_number_of_threads():
    expected = sweep_tasks.blocks(1)["y"]
    for count in (1, 3, None):
        with use_threads(count):
            np.testing.assert_array_equal(sweep_tasks.blocks(1)["y"], expected)


def test_threads_are_limited_within_and_only_there(monkeypatch):
    asked = []
    pool = sweep_tasks.evaluate_in_blocks.__globals__["_pool"]
    monkeypatch.setitem(
        sweep_tasks.evaluate_in_blocks.__globals__, "_pool", lambda count: asked.append(count) or pool(count)
    )
    monkeypatch.setitem(sweep_tasks.evaluate_in_blocks.__globals__, "usable_processors", lambda: 2)
    with use_threads(3):
        sweep_tasks.blocks(1)
        other = threading.Thread(target=sweep_tasks.blocks, args=(1,))
        other.start()
        other.join()
    sweep_tasks.blocks(1)
    assert asked == [3, 2, 2]


def test_a_killed_process_loses_no_result(elsewhere, tmp_path):
    tasks = {name: (tmp_path, seed) for name, seed in TASKS.items()}
    found = run_tasks(sweep_tasks.dies_once, tasks, **elsewhere)
    assert (tmp_path / "died-3").exists()
    assert_same(found, {name: sweep_tasks.numbers(seed) for name, seed in TASKS.items()})


def test_a_task_that_kills_every_process_is_named_and_all_else_is_finished(elsewhere, tmp_path):
    kept = Store(tmp_path / "kept", "signature")
    with pytest.raises(ThresherError, match="could not finish task 3:"):
        run_tasks(sweep_tasks.always_dies, TASKS, kept=kept, **elsewhere)
    assert [name for name in TASKS if kept.read(name) is None] == ["task 3"]


def test_an_error_of_a_task_arrives_as_it_is(engine):
    with pytest.raises(InputError, match=r"plan.toml: expected a number, got 'three'") as caught:
        run_tasks(sweep_tasks.refuses, TASKS, **engine)
    assert (caught.value.where, caught.value.value) == ("plan.toml", "three")


def test_arrays_of_objects_are_refused(engine):
    with pytest.raises(TypeError, match=r"plain values.*y"):
        run_tasks(sweep_tasks.gives_objects, {"one": 1, "two": 2}, **engine)


def test_what_is_kept_is_read_back_and_only_the_rest_runs(engine, tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    tasks = {name: (marks, seed) for name, seed in TASKS.items()}
    half = dict(list(tasks.items())[::2])
    run_tasks(sweep_tasks.counted, half, kept=Store(tmp_path / "kept", "s"), **engine)
    found = run_tasks(sweep_tasks.counted, tasks, kept=Store(tmp_path / "kept", "s"), **engine)
    assert runs_of(marks) == dict.fromkeys(TASKS.values(), 1)
    assert_same(found, {name: sweep_tasks.numbers(seed) for name, seed in TASKS.items()})
    again = run_tasks(sweep_tasks.counted, tasks, kept=Store(tmp_path / "kept", "s"), **engine)
    assert runs_of(marks) == dict.fromkeys(TASKS.values(), 1)
    assert_same(again, found)


def test_an_error_keeps_what_was_finished_before(tmp_path):
    kept = Store(tmp_path / "kept", "s")
    with pytest.raises(InputError):
        run_tasks(sweep_tasks.refuses, TASKS, kept=kept)
    assert [name for name in TASKS if kept.read(name) is not None] == ["task 1", "task 2"]


def test_the_command_line_says_that_it_was_interrupted(monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("thresher.regime.regimes", interrupted)
    result = CliRunner().invoke(cli.main, ["regime", "list"])
    assert result.exit_code == 130
    assert result.stderr == "thresher: interrupted\n"


def test_processes_end_with_the_one_that_started_them(tmp_path):
    """Even when it is killed, and can end nothing itself."""
    program = textwrap.dedent(
        """
        import multiprocessing, sys
        from tests import sweep_tasks
        from thresher.execution import run_tasks
        def tell(message):
            print(*(one.pid for one in multiprocessing.active_children()), flush=True)
        if __name__ == "__main__":
            run_tasks(sweep_tasks.long, {"one": 1, "two": 3, "three": 4}, workers=2, progress=tell)
        """
    )
    path = tmp_path / "program.py"
    path.write_text(program)
    with subprocess.Popen(
        [sys.executable, path],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as parent:
        children = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    assert len(children) == 2
    until = time.monotonic() + 10
    while any(map(alive, children)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, children))


def alive(process):
    """Whether a process still runs; one that only waits to be counted by its parent does not."""
    status = Path(f"/proc/{process}/stat")
    if status.parent.parent.exists():
        return status.exists() and status.read_text().rsplit(")")[-1].split()[0] != "Z"
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_progress_is_told_sparingly():
    told = []
    run_tasks(sweep_tasks.numbers, {str(seed): seed for seed in range(500)}, progress=told.append)
    assert told[-1] == "500 of 500 done"
    assert len(told) < 10


def test_no_task_is_no_work(engine):
    assert run_tasks(sweep_tasks.numbers, {}, **engine) == {}


@pytest.mark.parametrize("workers", [0, -1, 1025, 1.5])
def test_a_senseless_number_of_workers_is_refused(workers):
    with pytest.raises(InputError, match="--workers"):
        run_tasks(sweep_tasks.numbers, TASKS, workers=workers)


def test_workers_and_a_scheduler_are_refused_together():
    with pytest.raises(InputError, match=r"--workers.*--scheduler"):
        run_tasks(sweep_tasks.numbers, TASKS, workers=2, scheduler="tcp://127.0.0.1:8786")


@pytest.mark.parametrize("address", ["", "nonsense", "tcp://", "tcp://127.0.0.1:port", "http://127.0.0.1:80", "a b"])
def test_a_malformed_address_is_refused_by_name(address, capfd):
    pytest.importorskip("distributed")
    with pytest.raises(InputError, match="--scheduler: expected the address of a Dask scheduler"):
        run_tasks(sweep_tasks.numbers, TASKS, scheduler=address)
    assert capfd.readouterr().err == ""


def test_a_scheduler_that_does_not_answer_is_refused_by_name(monkeypatch, capfd):
    pytest.importorskip("distributed")
    monkeypatch.setattr("thresher.execution.CONNECT_SECONDS", 1.0)
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts, and says nothing
        silent_address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(InputError, match=rf"--scheduler.*no answer.*{silent_address}"):
            run_tasks(sweep_tasks.numbers, TASKS, scheduler=silent_address)
    with pytest.raises(InputError, match="--scheduler"):  # and now nobody is there
        run_tasks(sweep_tasks.numbers, TASKS, scheduler=silent_address)
    assert time.monotonic() - started < 5
    assert capfd.readouterr().err == ""


def test_without_dask_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ThresherError, match=r"pip install 'thresher\[cluster\]'"):
        run_tasks(sweep_tasks.numbers, TASKS, scheduler="tcp://127.0.0.1:8786")


def test_a_folder_of_another_sweep_is_refused(tmp_path):
    Store(tmp_path / "kept", "one")
    Store(tmp_path / "kept", "one")
    with pytest.raises(InputError, match=r"kept: expected a folder of this sweep; it holds another one \(delete it"):
        Store(tmp_path / "kept", "two")
    (tmp_path / "kept" / "sweep.json").write_text("{")
    with pytest.raises(InputError, match="holds another one"):
        Store(tmp_path / "kept", "one")


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("chapter one")
    with pytest.raises(InputError, match="new or empty folder"):
        Store(tmp_path, "one")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nothing/there"])
def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=place):
        Store(tmp_path / place, "one")


def damage(path, how):
    whole = path.read_bytes()
    middle = len(whole) // 2
    damaged = {
        "truncated": whole[:middle],
        "empty": b"",
        "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "not an archive": b"nonsense",
    }
    path.write_bytes(damaged[how])


@pytest.mark.parametrize("how", ["truncated", "empty", "flipped", "not an archive", "of another task"])
def test_a_damaged_file_is_computed_again(tmp_path, how):
    kept = Store(tmp_path / "kept", "s")
    marks = tmp_path / "marks"
    marks.mkdir()
    tasks = {"first": (marks, 2), "second": (marks, 4)}
    files = {}
    for name, argument in tasks.items():
        before = set(kept.folder.glob("*.npz"))
        run_tasks(sweep_tasks.counted, {name: argument}, kept=kept)
        (files[name],) = set(kept.folder.glob("*.npz")) - before
    if how == "of another task":
        files["second"].write_bytes(files["first"].read_bytes())
    else:
        damage(files["second"], how)
    found = run_tasks(sweep_tasks.counted, tasks, kept=kept)
    assert runs_of(marks) == {2: 1, 4: 2}
    assert_same(found, {"first": sweep_tasks.numbers(2), "second": sweep_tasks.numbers(4)})
    assert_same({"second": kept.read("second")}, {"second": sweep_tasks.numbers(4)})


def test_kept_files_are_whole_and_hold_nothing_pickled(tmp_path):
    kept = Store(tmp_path / "kept", "s")
    run_tasks(sweep_tasks.numbers, TASKS, kept=kept)
    assert json.loads((kept.folder / "sweep.json").read_text())["signature"] == "s"
    files = [path for path in kept.folder.iterdir() if path.name != "sweep.json"]
    assert len(files) == COUNT
    for path in files:
        with np.load(path, allow_pickle=False) as file:
            assert all(isinstance(file[key], np.ndarray) for key in file.files)


def test_the_signature_follows_the_inputs_and_not_their_order():
    one = signature_of({"a": 1, "b": [1.5, "x"], "c": np.arange(3)})
    assert one == signature_of({"c": (0, 1, 2), "b": (1.5, "x"), "a": 1})
    assert one != signature_of({"a": 2, "b": [1.5, "x"], "c": np.arange(3)})
    assert len(one) == 64


def test_an_interrupt_keeps_what_is_finished_and_leaves_no_process(elsewhere, tmp_path):
    """The last of the file: workers of the cluster go on with the task they have, which nobody waits for."""
    kept = Store(tmp_path / "kept", "s")
    children = set(multiprocessing.active_children())
    interrupted_at = []

    def interrupt_when_two_are_kept():
        while len(list(kept.folder.glob("*.npz"))) < 2:
            time.sleep(0.02)
        interrupted_at.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    tasks = {name: seed for name, seed in TASKS.items() if seed < 6}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        watcher = threading.Thread(target=interrupt_when_two_are_kept, daemon=True)
        watcher.start()
        with pytest.raises(KeyboardInterrupt):
            run_tasks(sweep_tasks.long, tasks, kept=kept, **elsewhere)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - interrupted_at[0] < 5
    assert [name for name in tasks if kept.read(name) is not None] == ["task 1", "task 2"]
    assert set(multiprocessing.active_children()) <= children
