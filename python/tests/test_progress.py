"""`progress` in a console and in a notebook, and `worker_client`, `print` and `warn`."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import threading
import warnings
from typing import Any

import azolla
import nbformat
import pytest
from azolla import Client, progress, worker_client
from azolla._watch.progress import _Counts, prefix
from conftest import PATIENCE, Gate, eventually
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient


def test_the_consoles_bar_ends_when_the_futures_have(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    futures = client.map(abs, range(10))
    failed = client.submit(int, "seven")
    progress(futures, failed, notebook=False)
    assert all(future.done() for future in futures)
    text = capsys.readouterr().out
    assert text.endswith("\n")
    assert f"[{'#' * 24}] | 11/11 | 1 failed |" in text
    assert "abs 10/10, int 1/1" in text


def test_the_total_moves(one_slot: Client, gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    futures = [one_slot.submit(gate.hold, 0)]
    drawing = threading.Thread(target=progress, args=(futures,), kwargs={"notebook": False})
    drawing.start()
    gate.entered()
    futures.append(one_slot.submit(abs, -1))
    gate.open()
    drawing.join()
    assert "| 2/2 |" in capsys.readouterr().out


def test_what_had_ended_may_be_left_out(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    done = client.submit(abs, -1)
    done.result()
    progress([done], complete=False, notebook=False)
    assert "| 0/0 |" in capsys.readouterr().out


def test_a_notebook_has_a_bar_for_each_name(client: Client, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = InteractiveShell.instance()
    shown = CapturingDisplayPublisher(shell=shell)
    monkeypatch.setattr(shell, "display_pub", shown)
    held = client.submit(gate.hold, pure=False)
    futures = [held, *client.map(abs, [-1, -2])]
    progress(futures, notebook=True)

    def last() -> str:
        return str(shown.outputs[-1]["data"]["text/html"])

    eventually(lambda: {bar("abs", 2, 2)} <= told(last()))
    assert {bar("all", 2, 3), bar("hold", 0, 1)} <= told(last())
    gate.open()
    eventually(lambda: {bar("all", 3, 3), bar("hold", 1, 1)} <= told(last()))
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name == "azolla-progress"])
    assert len({output["transient"]["display_id"] for output in shown.outputs}) == 1


def bar(name: str, done: int, total: int) -> tuple[str, int, int]:
    return name, done, total


def told(page: str) -> set[tuple[str, int, int]]:
    """The names on a notebook's bars, with what their progress bars tell."""
    found = re.findall(r'<th[^>]*>(.*?)</th>.*?aria-valuenow="(\d+)".*?aria-valuemax="(\d+)"', page)
    return {bar(name, int(done), int(total)) for name, done, total in found}


@pytest.mark.own_cluster
def test_the_time_left_is_a_range_once_it_is_known(client: Client, gate: Gate) -> None:
    held = client.submit(gate.hold, pure=False)
    gate.entered()
    counts = _Counts([held], prefix, set())
    assert "left" not in counts.times()  # nothing has been timed yet
    gate.open()
    held.result()
    other = Gate()
    again = client.submit(other.hold, pure=False)
    other.entered()
    counts = _Counts([again], prefix, set())
    assert re.fullmatch(r"\d+\.\d s, (.+ s to .+|< 0\.1) s left", counts.times())
    beside = client.submit(other.hold, pure=False)
    other.entered()
    assert re.fullmatch(r"\d+\.\d s, (up to .+|< 0\.1) s left", counts.times())
    other.open()
    client.gather([again, beside])
    assert "left" not in counts.times()


NOTEBOOK = [
    "from azolla import Client, progress\nimport threading\nclient = Client(processes=False, threads_per_worker=2)",
    "gate = threading.Event()\nfutures = client.map(lambda x: gate.wait(60), range(3), pure=False)\nprogress(futures)",
    "gate.set()\nlen(client.gather(futures))",
    "[thread.join() for thread in threading.enumerate() if thread.name == 'azolla-progress']",
    "client.close()",
]


def test_in_a_real_kernel_the_bar_goes_on_moving() -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in NOTEBOOK])
    NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3").execute()
    # The cell has long been left when its bar gets to its end.
    [output] = notebook.cells[1].outputs
    assert told(output.data["text/html"]) == {bar("lambda", 3, 3)}
    assert notebook.cells[2].outputs[0].data["text/plain"] == "3"


def test_groups_are_named_by_a_function_of_the_key(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="group_by"):
        progress([], group_by="spans")
    shell = InteractiveShell.instance()
    shown = CapturingDisplayPublisher(shell=shell)
    monkeypatch.setattr(shell, "display_pub", shown)
    progress(client.map(abs, [-1], key=["a<b"]), notebook=True, group_by=lambda key: key * 2)
    assert ">a&lt;ba&lt;b</th>" in shown.outputs[0]["data"]["text/html"]
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name == "azolla-progress"])


def test_worker_client_takes_no_slot_and_nests(one_slot: Client, gate: Gate) -> None:
    def outer() -> int:
        with worker_client() as client, worker_client(separate_thread=False) as same, worker_client():
            assert client is same
            gate.hold()
        return client.submit(abs, -3).result()

    future = one_slot.submit(outer)
    gate.entered()
    assert one_slot.submit(abs, -1).result() == 1  # there is but one slot
    gate.open()
    assert future.result() == 3
    with pytest.raises(ValueError, match="outside a task"), worker_client():
        pass


def test_tasks_print_and_warn(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    client.submit(azolla.print, "one", "two", sep="-").result()
    assert capsys.readouterr().out == "one-two\n"
    with pytest.warns(UserWarning, match="nearly full"):
        client.submit(azolla.warn, "nearly full").result()


def test_what_tasks_print_goes_where_the_programs_own_output_goes(
    client: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    def prints(to: io.StringIO | None) -> str:
        azolla.print("into the file", file=to)
        azolla.print("an error", end="!", file=sys.stderr, flush=True)
        with contextlib.redirect_stdout(io.StringIO()) as redirected:
            azolla.print("redirected")
        with pytest.raises(TypeError, match="sep"):
            azolla.print(1, 2, sep=3)  # type: ignore[arg-type]
        return redirected.getvalue()

    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as errors:
        assert client.submit(prints, None).result() == "redirected\n"
        assert client.submit(prints, io.StringIO()).result() == "redirected\n"
    assert (out.getvalue(), errors.getvalue()) == ("into the file\n", "an error!an error!")
    assert capfd.readouterr() == ("", "")


def test_what_tasks_warn_of_is_subject_to_the_programs_filters(client: Client) -> None:
    class Own(UserWarning):
        pass

    def warns(what: Any, category: Any = UserWarning) -> int:
        azolla.warn(what, category)
        return sys._getframe().f_lineno - 1

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        line = client.submit(warns, "one").result()
        client.submit(warns, Own("two")).result()
        client.submit(warns, "three", None).result()
    assert [(str(one.message), one.category.__name__) for one in caught] == [
        ("one", "UserWarning"),
        ("two", "Own"),
        ("three", "UserWarning"),
    ]
    assert {(one.filename, one.lineno) for one in caught} == {(__file__, line)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        client.gather(client.map(warns, ["again"] * 5, pure=False))
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Own, match="worse"):
            client.submit(warns, Own("worse")).result()
    with pytest.raises(TypeError, match="category"):
        client.submit(warns, "three", 3).result()


def test_worker_client_is_entered_by_a_plain_with_in_a_coroutine(client: Client) -> None:
    async def task() -> int:
        with worker_client() as here:
            return await here.submit(abs, -1)

    assert client.submit(task).result() == 1
