"""`progress` in a console and in a notebook, and `worker_client`, `print` and `warn`."""

from __future__ import annotations

import threading

import azolla
import pytest
from azolla import Client, progress, worker_client
from conftest import Gate, eventually
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell


def test_the_consoles_bar_ends_when_the_futures_have(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    futures = client.map(abs, range(10))
    failed = client.submit(int, "seven")
    progress(futures, failed, notebook=False)
    assert all(future.done() for future in futures)
    text = capsys.readouterr().out
    assert text.endswith("\n")
    assert f"[{'#' * 40}] | 11/11 | 1 failed |" in text


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

    eventually(lambda: "<th>abs</th><td><progress value=2 max=2>" in last())
    assert "<th>hold</th><td><progress value=0 max=1>" in last()
    gate.open()
    eventually(lambda: "<th>hold</th><td><progress value=1 max=1>" in last())
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name == "azolla-progress"])
    assert len({output["transient"]["display_id"] for output in shown.outputs}) == 1


def test_groups_are_named_by_a_function_of_the_key(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="group_by"):
        progress([], group_by="spans")
    shell = InteractiveShell.instance()
    shown = CapturingDisplayPublisher(shell=shell)
    monkeypatch.setattr(shell, "display_pub", shown)
    progress(client.map(abs, [-1], key=["a<b"]), notebook=True, group_by=lambda key: key * 2)
    assert "<th>a&lt;ba&lt;b</th>" in shown.outputs[0]["data"]["text/html"]
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name == "azolla-progress"])


def test_worker_client_takes_no_slot_and_nests(one_slot: Client, gate: Gate) -> None:
    started = threading.Event()

    def outer() -> int:
        with worker_client() as client, worker_client(separate_thread=False) as same, worker_client():
            assert client is same
            started.set()
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
