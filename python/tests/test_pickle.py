"""Futures that are pickled: by their keys."""

from __future__ import annotations

import copy
import pickle
from operator import attrgetter
from typing import Any

import azolla
import pytest
from azolla import Client, Future, get_client
from conftest import Gate, eventually


def inc(x: int) -> int:
    return x + 1


def test_bound_to_the_current_client(client: Client) -> None:
    for future in (client.submit(inc, 1), client.submit(inc, 1, pure=False), client.submit(inc, 1, key=("k", 1))):
        again = pickle.loads(pickle.dumps(future))
        assert again is not future
        assert again.key == future.key
        assert again.client is client
        assert again.result() == 2


def test_within_as_current(client: Client) -> None:
    with Client(processes=False, threads_per_worker=1) as other:
        pickled = pickle.dumps(client.submit(inc, 1))
        kept = client.submit(inc, 1)
        assert pickle.loads(pickled).client is other
        with client.as_current():
            assert pickle.loads(pickled).client is client
            assert pickle.loads(pickled).result() == 2
        del kept


def test_in_a_task_bound_to_the_client_that_runs_it(client: Client) -> None:
    with Client(processes=False, threads_per_worker=1) as other:
        future = client.submit(inc, 1)
        assert Client.current() is other

        def load(pickled: bytes) -> tuple[bool, Any]:
            loaded = pickle.loads(pickled)
            return loaded.client is get_client(), loaded.result()

        assert client.submit(load, pickle.dumps(future)).result() == (True, 2)


def test_with_no_client_it_has_no_status() -> None:
    with Client(processes=False, threads_per_worker=1) as client:
        future = client.submit(inc, 1, key="k")
        pickled = pickle.dumps(future)
    lost = pickle.loads(pickled)
    assert (lost.key, lost.status, lost.client) == ("k", None, None)
    assert repr(lost) == "<Future: no client, key: k>"
    assert "k" in lost._repr_html_()
    for method in (lost.result, lost.exception, lost.traceback, lost.retry):
        with pytest.raises(ValueError, match="no client"):
            method()
    with pytest.raises(ValueError, match="no client"):
        lost.add_done_callback(print)
    lost.cancel()
    lost.release()


def test_a_key_that_is_gone_is_lost(client: Client) -> None:
    pickled = pickle.dumps(client.submit(inc, 1))
    eventually(lambda: pickle.loads(pickled).status == "lost")


def test_copies_count(client: Client) -> None:
    future = client.submit(inc, 1)
    twin, deep = copy.copy(future), copy.deepcopy([future])[0]
    del future
    assert twin.result() == deep.result() == 2


def test_a_released_one_goes_by_its_key(client: Client) -> None:
    first, second = client.submit(inc, 1), client.submit(inc, 1)
    first.release()
    assert pickle.loads(pickle.dumps(first)).result() == 2
    del second


def test_while_it_runs(client: Client, gate: Gate) -> None:
    future = client.submit(gate.hold, 5, pure=False)
    gate.entered()
    again = pickle.loads(pickle.dumps(future))
    assert again.status == "pending"
    del future
    gate.open()
    assert again.result() == 5


def test_a_client_is_not_pickled(client: Client) -> None:
    with pytest.raises(TypeError, match="get_client"):
        pickle.dumps(client)


def test_keys_of_another_client_are_not_mistaken(client: Client) -> None:
    # Impure keys are veiled ids, which another client has too.
    with Client(processes=False, threads_per_worker=1, set_as_default=False) as other:
        mine = client.map(inc, range(100), pure=False)
        theirs = other.map(inc, range(100), pure=False)
        assert [Future(future.key, other).status for future in mine] == ["lost"] * 100
        assert [Future(future.key, other).status for future in theirs] != ["lost"] * 100


#: What azolla wrote when all of its modules lay beside each other, and what it reads as: `repr`, or the public name.
OLD_PICKLES = {
    b"\x80\x05\x95&\x00\x00\x00\x00\x00\x00\x00\x8c\razolla._queue\x94\x8c\x05Queue\x94\x93\x94\x8c\x01n\x94NK\x00"
    b"\x87\x94R\x94.": "<Queue: n>",
    b"\x80\x05\x95)\x00\x00\x00\x00\x00\x00\x00\x8c\x10azolla._variable\x94\x8c\x08Variable\x94\x93\x94\x8c\x01n\x94"
    b"\x85\x94R\x94.": "<Variable: n>",
    b"\x80\x05\x95#\x00\x00\x00\x00\x00\x00\x00\x8c\razolla._event\x94\x8c\x05Event\x94\x93\x94\x8c\x01n\x94\x85\x94R"
    b"\x94.": "<Event: n>",
    b"\x80\x05\x95&\x00\x00\x00\x00\x00\x00\x00\x8c\x11azolla._semaphore\x94\x8c\x04Lock\x94\x93\x94\x8c\x01n\x94\x85"
    b"\x94R\x94.": "<Lock: n>",
    b"\x80\x05\x95-\x00\x00\x00\x00\x00\x00\x00\x8c\x11azolla._semaphore\x94\x8c\tSemaphore\x94\x93\x94K\x02\x8c\x01s"
    b"\x94\x86\x94R\x94.": "<Semaphore: s>",
    b"\x80\x05\x95/\x00\x00\x00\x00\x00\x00\x00\x8c\x12azolla._multi_lock\x94\x8c\tMultiLock\x94\x93\x94]\x94\x8c\x01a"
    b"\x94a\x85\x94R\x94.": "<MultiLock: ['a']>",
    b"\x80\x05\x95<\x00\x00\x00\x00\x00\x00\x00\x8c\razolla._actor\x94\x8c\x05Actor\x94\x93\x94\x8c\x08builtins\x94\x8c"
    b"\x04list\x94\x93\x94N\x8c\x05words\x94\x87\x94R\x94.": "<Actor: list, key=words>",
    b"\x80\x05\x95U\x00\x00\x00\x00\x00\x00\x00\x8c\x11azolla._functions\x94\x8c\x15DoneAndNotDoneFutures\x94\x93\x94\x8f"
    b"\x94(\x8c\x06azolla\x94\x8c\x06Future\x94\x93\x94\x8c\x01k\x94\x85\x94R\x94\x90\x8f\x94\x86\x94\x81\x94.": (
        "DoneAndNotDoneFutures(done={<Future: finished, type: int, key: k>}, not_done=set())"
    ),
    b"\x80\x02cazolla\nFuture\nq\x00X\x01\x00\x00\x00kq\x01\x85q\x02Rq\x03.": "<Future: finished, type: int, key: k>",
    b"\x80\x05\x95+\x00\x00\x00\x00\x00\x00\x00\x8c\x06azolla\x94\x8c\x14FutureCancelledError\x94\x93\x94\x8c\x01x\x94\x85"
    b"\x94R\x94.": "FutureCancelledError('x')",
    b"\x80\x02cazolla\nReschedule\nq\x00)Rq\x01.": "Reschedule()",
}

OLD_REFERENCES = {
    b"cazolla._actor\nActor\n.": "Actor",
    b"cazolla._annotations\nannotate\n.": "annotate",
    b"cazolla._annotations\nget_annotations\n.": "get_annotations",
    b"cazolla._annotations\nspan\n.": "span",
    b"cazolla._as_completed\nas_completed\n.": "as_completed",
    b"cazolla._client\nClient\n.": "Client",
    b"cazolla._cluster\nLocalCluster\n.": "LocalCluster",
    b"cazolla._dashboard\nperformance_report\n.": "performance_report",
    b"cazolla._event\nEvent\n.": "Event",
    b"cazolla._everywhere\nWorkerPlugin\n.": "WorkerPlugin",
    b"cazolla._executor\nClientExecutor\n.": "ClientExecutor",
    b"cazolla._functions\nDoneAndNotDoneFutures\n.": "DoneAndNotDoneFutures",
    b"cazolla._functions\nfire_and_forget\n.": "fire_and_forget",
    b"cazolla._functions\nfutures_of\n.": "futures_of",
    b"cazolla._functions\nget_client\n.": "get_client",
    b"cazolla._functions\nget_worker\n.": "get_worker",
    b"cazolla._functions\nrejoin\n.": "rejoin",
    b"cazolla._functions\nsecede\n.": "secede",
    b"cazolla._functions\nwait\n.": "wait",
    b"cazolla._in_tasks\nprint\n.": "print",
    b"cazolla._in_tasks\nwarn\n.": "warn",
    b"cazolla._in_tasks\nworker_client\n.": "worker_client",
    b"cazolla._multi_lock\nMultiLock\n.": "MultiLock",
    b"cazolla._progress\nprogress\n.": "progress",
    b"cazolla._queue\nQueue\n.": "Queue",
    b"cazolla._semaphore\nLock\n.": "Lock",
    b"cazolla._semaphore\nSemaphore\n.": "Semaphore",
    b"cazolla._task_stream\nget_task_metadata\n.": "get_task_metadata",
    b"cazolla._task_stream\nget_task_stream\n.": "get_task_stream",
    b"cazolla._variable\nVariable\n.": "Variable",
    b"cazolla._workers\nWorker\n.": "Worker",
    b"cazolla._azolla\ntokenize\n.": "tokenize",
    b"cazolla\nActorFuture\n.": "ActorFuture",
    b"cazolla\nEngineError\n.": "EngineError",
    # Methods that `Client` has from others.
    b"\x80\x05\x95(\x00\x00\x00\x00\x00\x00\x00\x8c\x10azolla._transfer\x94\x8c\x0fTransfer.gather\x94\x93\x94.": "Client.gather",
    b"\x80\x05\x95#\x00\x00\x00\x00\x00\x00\x00\x8c\x0eazolla._client\x94\x8c\x0cClient.close\x94\x93\x94.": "Client.close",
}


@pytest.mark.parametrize("pickled", OLD_PICKLES, ids=OLD_PICKLES.get)
def test_what_was_pickled_before_the_modules_moved(client: Client, backend: str, pickled: bytes) -> None:
    kept = client.submit(inc, 1, key="k")
    assert kept.result() == 2
    shown = OLD_PICKLES[pickled]
    if backend == "processes":  # the pickle of a result is not read to show its type
        shown = shown.replace("type: int, ", "")
    assert repr(pickle.loads(pickled)) == shown


@pytest.mark.parametrize("pickled", OLD_REFERENCES, ids=OLD_REFERENCES.get)
def test_names_of_before_the_modules_moved(pickled: bytes) -> None:
    assert pickle.loads(pickled) == attrgetter(OLD_REFERENCES[pickled])(azolla)


def test_what_is_public_is_pickled_by_its_name() -> None:
    for name in azolla.__all__:
        public = getattr(azolla, name)
        assert pickle.loads(pickle.dumps(public)) is public
