"""The notebook of the evolving workflow, its code as it stands: only the import is azolla's, and the sleeps are short."""

from __future__ import annotations

import asyncio
import contextlib
import io
from typing import Any

import azolla
import pytest
from IPython.core.interactiveshell import InteractiveShell

SETUP = '''
filenames = ["file.{}.txt".format(i) for i in range(10)]

filenames[:3]

import random, time


def parse_file(fn: str) -> list:
    """ Returns a list work items of unknown length """
    time.sleep(random.random())
    return [random.random() for _ in range(random.randint(1, 10))]

def process_item(x: float):
    """ Process each work item """
    time.sleep(random.random() / 4)
    return x + 1
'''

SEQUENTIAL = """
results = []

for fn in filenames:
    L = parse_file(fn)
    for x in L:
        out = process_item(x)
        results.append(out)
"""

CLIENT = """
from dask.distributed import Client

client = Client(processes=False, n_workers=1, threads_per_worker=6)
client
"""

AS_COMPLETED = """
from dask.distributed import as_completed
import operator

lists = client.map(parse_file, filenames, pure=False)
lengths = client.map(len, lists)

mapping = dict(zip(lengths, lists))

futures = []

for future in as_completed(lengths):
    n = future.result()
    L = mapping[future]
    for i in range(n):
        new = client.submit(operator.getitem, L, i, priority=1)
        new = client.submit(process_item, new, priority=1)
        futures.append(new)

results = client.gather(futures)
"""

ASYNC_AWAIT = '''
import asyncio
import operator

async def f(fn):
    """ Handle the lifecycle of a single file """
    future = client.submit(parse_file, fn, pure=False)
    length_future = client.submit(len, future)
    length = await length_future

    futures = [client.submit(operator.getitem, future, i, priority=10)
               for i in range(length)]
    futures = client.map(process_item, futures, priority=10)
    return futures

async def run_all(filenames):
    list_of_list_of_futures = await asyncio.gather(*[f(fn) for fn in filenames])
    futures = sum(list_of_list_of_futures, [])
    return await client.gather(futures)
'''

ON_THE_CLIENTS_LOOP = """
results = client.sync(run_all, filenames)
"""

ASYNCHRONOUS_CLIENT = """
async def main():
    global client
    client = await Client(asynchronous=True, processes=False, n_workers=1, threads_per_worker=6)
    try:
        return await run_all(filenames)
    finally:
        await client.close()

results = asyncio.run(main())
"""

ASYNCHRONOUS_CLIENT_IN_A_CELL = """
client = await Client(asynchronous=True, processes=False, n_workers=1, threads_per_worker=6)

await run_all(filenames)
"""

TASKS_FROM_TASKS = """
from dask.distributed import get_client, secede, rejoin

def f(fn):
    L = parse_file(fn)
    client = get_client()

    futures = client.map(process_item, L, priority=10)
    secede()
    results = client.gather(futures)
    rejoin()
    return results

futures = client.map(f, filenames, pure=False)
results = client.gather(futures)
"""


#: The notebook, cell by cell as it is typed there: magics, and values that only are shown.
NOTEBOOK = [
    SETUP,
    "%%time\n\n# This takes around 10-20s\n" + SEQUENTIAL,
    CLIENT,
    "%%time\n" + AS_COMPLETED.replace("results = client.gather", "client.gather"),
    ASYNC_AWAIT,
    ON_THE_CLIENTS_LOOP.replace("results = ", ""),
    ASYNCHRONOUS_CLIENT_IN_A_CELL,
    CLIENT,
    "%%time\n" + TASKS_FROM_TASKS,
]


class Random:
    """The notebook's chances, the same in all ways: what a file holds depends on nothing but a count."""

    def random(self) -> float:
        return 0.002

    def randint(self, low: int, high: int) -> int:
        return (low + high) // 2


def run(*cells: str) -> dict[str, Any]:
    """Runs cells as a notebook does, in one namespace, with azolla in Dask's place."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells:
        code = cell.replace("from dask.distributed import", "from azolla import")
        exec(compile(code, "<cell>", "exec"), names)
        if cell is SETUP:
            names["random"] = Random()
    return names


EXPECTED = [1.002] * 50


@pytest.fixture(autouse=True)
def nothing_printed() -> Any:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        yield
    assert out.getvalue() == ""


def test_sequentially() -> None:
    assert run(SETUP, SEQUENTIAL)["results"] == EXPECTED


ON_THREADS = "processes=False, n_workers=1, threads_per_worker=6"

#: How the client is made: on threads as the notebook has it, and with worker processes.
CLIENTS = {"threads": ON_THREADS, "processes": "n_workers=2, threads_per_worker=3"}


def test_with_as_completed(backend: str) -> None:
    names = run(SETUP, CLIENT.replace(ON_THREADS, CLIENTS[backend]), AS_COMPLETED)
    with names["client"]:
        assert names["results"] == EXPECTED


def test_with_async_await(backend: str) -> None:
    names = run(SETUP, CLIENT.replace(ON_THREADS, CLIENTS[backend]), ASYNC_AWAIT, ON_THE_CLIENTS_LOOP)
    with names["client"]:
        assert names["results"] == EXPECTED


def test_with_an_asynchronous_client(backend: str) -> None:
    asynchronous = ASYNCHRONOUS_CLIENT.replace(ON_THREADS, CLIENTS[backend])
    names = run(SETUP, "from azolla import Client", ASYNC_AWAIT, asynchronous)
    assert names["results"] == EXPECTED


def test_with_tasks_from_tasks(backend: str) -> None:
    names = run(SETUP, CLIENT.replace(ON_THREADS, CLIENTS[backend]), TASKS_FROM_TASKS)
    with names["client"]:
        assert names["results"] == [[1.002] * 5] * 10


def test_all_in_one_session(backend: str) -> None:
    client = CLIENT.replace(ON_THREADS, CLIENTS[backend])
    names = run(SETUP, SEQUENTIAL, client, AS_COMPLETED, ASYNC_AWAIT, ON_THE_CLIENTS_LOOP, TASKS_FROM_TASKS)
    with names["client"] as client:
        assert isinstance(client, azolla.Client)
        assert names["results"] == [[1.002] * 5] * 10
        assert "Client" in client._repr_html_()


def test_as_a_notebook(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Cell after cell in IPython, on a loop that runs in the main thread, as a notebook's kernel does it."""
    shown: list[Any] = []
    shell = InteractiveShell()
    shell.displayhook.write_format_data = lambda data, *_: shown.append(data)  # type: ignore[method-assign]

    async def kernel() -> None:
        clients = []
        for cell in NOTEBOOK:
            code = cell.replace("from dask.distributed import", "from azolla import").strip() + "\n"
            code = code.replace(ON_THREADS, CLIENTS[backend])
            ran = await shell.run_cell_async(code, transformed_cell=shell.transform_cell(code))
            ran.raise_error()
            shown.append(ran.result)
            shell.user_ns["random"] = Random()
            clients.append(shell.user_ns.get("client"))
        for client in filter(None, {id(client): client for client in clients}.values()):
            await asyncio.to_thread(client.close)

    asyncio.run(kernel())
    assert shown.count(EXPECTED) == 3
    assert shell.user_ns["results"] == [[1.002] * 5] * 10
    assert "Wall time" in capsys.readouterr().out
