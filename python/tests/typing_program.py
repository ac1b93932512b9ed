"""A program as users write them, for the type checker (`test_typing.py`): what it knows of azolla's results."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

from azolla import (
    AsyncClient,
    Client,
    DoneAndNotDoneFutures,
    Future,
    as_completed,
    fire_and_forget,
    futures_of,
    get_client,
    get_worker,
    rejoin,
    secede,
    tokenize,
    wait,
)


def parse(name: str) -> list[float]:
    return [float(len(name))]


def process(x: float, scale: int = 1) -> float:
    return x * scale


async def fetch(name: str) -> bytes:
    await asyncio.sleep(0)
    return name.encode()


def grow(name: str) -> float:
    client = get_client()
    assert_type(client, Client)
    futures = client.map(process, parse(name), priority=10)
    secede()
    results = client.gather(futures)
    rejoin()
    return sum(results)


def submitting(client: Client) -> None:
    lists = client.submit(parse, "a", key="parse-a", priority=1.5, retries=2, pure=False)
    assert_type(lists, Future[list[float]])
    # Futures are arguments, whatever the parameter takes.
    assert_type(client.submit(len, lists), Future[int])
    assert_type(client.submit(process, client.submit(len, lists), scale=2), Future[float])
    assert_type(client.submit(fetch, "a"), Future[bytes])
    assert_type(client.submit(int, "8"), Future[int])
    assert_type(client.submit(Path, "a"), Future[Path])
    assert_type(client.submit("a b".split), Future[list[str]])
    assert_type(client.submit(lambda: "a"), Future[str])
    # What a generic function returns cannot be told from the function alone.
    assert_type(client.submit(operator.getitem, lists, 0), Future[Any])
    assert_type(client.submit(grow, "a").result(timeout="5 s"), float)


def mapping(client: Client) -> None:
    lists = client.map(parse, ["a", "b"], key="parse")
    assert_type(lists, list[Future[list[float]]])
    assert_type(client.map(fetch, iter("ab")), list[Future[bytes]])
    assert_type(client.map(operator.mul, lists, [1, 2], pure=False), list[Future[Any]])


def gathering(client: Client) -> None:
    number, text = client.submit(len, "a"), client.submit(str, 1)
    assert_type(client.gather(number), int)
    assert_type(client.gather([number, number]), list[int])
    assert_type(client.gather(future for future in (number, number)), list[int])
    assert_type(client.gather((number, number)), tuple[int, ...])
    assert_type(client.gather({number}), set[int])
    assert_type(client.gather({"a": text}), dict[str, str])
    assert_type(client.gather([number], errors="skip"), list[int])
    # Other nestings, and a None where one has failed, are for the program to know.
    assert_type(client.gather({"a": text}, errors="skip"), Any)
    assert_type(client.gather({"a": [number], "b": text}), Any)


def scattering(client: Client) -> None:
    assert_type(client.scatter("a"), Future[str])
    assert_type(client.scatter(["a"]), list[Future[str]])
    assert_type(client.scatter(iter("a")), list[Future[str]])
    assert_type(client.scatter(("a", "b")), tuple[Future[str], ...])
    assert_type(client.scatter({1}), set[Future[int]])
    assert_type(client.scatter({"a": 1.5}), dict[str, Future[float]])


def handling(client: Client) -> None:
    future = client.submit(process, 1.5)
    assert_type(future.result(), float)
    assert_type(future.exception(timeout=1), BaseException | None)
    assert_type(future.type, type[float] | None)
    assert_type(future.done(), bool)
    if future.status == "error":
        future.retry()
    number: Future[int] = client.submit(len, "a")
    anything: Future[object] = number

    def report(future: Future[object]) -> None:
        print(future.key, future.result())

    number.add_done_callback(report)
    anything.add_done_callback(report)
    fire_and_forget([number])
    client.cancel(futures_of(anything))
    anything.release()


class Words:
    def __init__(self) -> None:
        self.words: list[str] = []

    def add(self, word: str) -> int:
        self.words.append(word)
        return len(self.words)


def acting(client: Client) -> None:
    future = client.submit(Words, actor=True)
    assert_type(future, Future[Any])
    words = future.result()
    print(words.add("fern").result(), words.words)
    assert_type(client.map(Words, [], actor=True), list[Future[Any]])
    assert_type(client.submit(Words, actor=False, pure=False), Future[Words])


def completing(client: Client) -> Iterator[float]:
    endings = as_completed(client.map(parse, ["a", "b"]), timeout=60)
    assert_type(endings, as_completed[list[float]])
    for future in endings:
        assert_type(future, Future[list[float]])
        yield from future.result()
        endings.add(client.submit(parse, "c"))
        endings.update(client.map(parse, "de"))
    for batch in endings.batches():
        assert_type(batch, list[Future[list[float]]])
    for future, result in as_completed([client.submit(parse, "a")], with_results=True):
        assert_type(future, Future[list[float]])
        assert_type(result, list[float])
    for _, outcome in as_completed([client.submit(parse, "a")], with_results=True, raise_errors=False):
        assert_type(outcome, Any)


def waiting(client: Client) -> None:
    ended = wait(client.map(len, ["a"]), timeout="1 minute", return_when="FIRST_COMPLETED")
    assert_type(ended, DoneAndNotDoneFutures[int])
    done, _ = ended
    assert_type(done, set[Future[int]])
    assert_type(wait(client.submit(len, "a")).not_done, set[Future[int]])


async def awaiting() -> bytes:
    async with Client(processes=False, asynchronous=True) as client:
        assert_type(client, AsyncClient)
        itself: Client = client
        assert itself is client
        future = client.submit(fetch, "a")
        assert_type(await future, bytes)
        assert_type(await wait([future]), DoneAndNotDoneFutures[bytes])
        done, _ = await wait(future, timeout=60)
        assert_type(done, set[Future[bytes]])
        await future.cancel()
        await future.retry()
        assert_type(await client.gather(future), bytes)
        assert_type(await client.gather([future, future]), list[bytes])
        assert_type(await client.gather({"a": future}), dict[str, bytes])
        assert_type(await client.gather([future], errors="skip"), list[bytes])
        assert_type(await client.scatter("a"), Future[str])
        assert_type(await client.scatter([1]), list[Future[int]])
        assert_type(await client.sync(fetch, "a"), bytes)
        words = await client.submit(Words, actor=True)
        print(await words.add("moss"))
        await client.cancel(client.map(len, ["a"]))
        await client.run(len, "a")
        async for ended in as_completed([future]):
            assert_type(ended, Future[bytes])
        # What blocks elsewhere is said to be awaitable where the call says so itself.
        both: list[bytes] = await client.gather([future, future], asynchronous=True)
        await awaited_itself()
        return both[0]


async def awaited_itself() -> None:
    made: Client = await Client(processes=False, asynchronous=True)
    await made.close()
    client = await Client(processes=False, asynchronous=True, set_as_default=False)
    assert_type(client, AsyncClient)
    assert_type(await client.gather(client.map(parse, ["a"])), list[list[float]])
    await client.close()


def main() -> None:
    with Client(processes=False, threads_per_worker=2, name="typed") as client:
        submitting(client)
        mapping(client)
        gathering(client)
        scattering(client)
        handling(client)
        acting(client)
        print(sum(completing(client)))
        waiting(client)
        assert_type(client.sync(fetch, "a"), bytes)
        assert_type(client.submit(lambda: get_worker().name).result(), int)
        assert_type(tokenize(1), str)
    print(asyncio.run(awaiting()))
