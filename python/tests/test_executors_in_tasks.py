"""Executors and joblib within tasks: their calls are tasks of the task's client, and waits for them take no slot."""

from __future__ import annotations

import asyncio
import concurrent.futures
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION
from typing import Any

import joblib
import numpy as np
import pytest
from azolla import Client, WaitCycleError, get_client, get_worker
from conftest import PATIENCE, Gate
from joblib import Parallel, delayed


def test_a_task_has_results_and_errors(one_slot: Client) -> None:
    def asks() -> Any:
        with get_client().get_executor() as executor:
            failed = executor.submit(int, "seven")
            results = list(executor.map(pow, [2, 3], [3, 2])), executor.submit(abs, -1).result()
            return results, type(failed.exception()).__name__, failed.done(), failed.cancel()

    assert one_slot.submit(asks).result() == (([8, 9], 1), "ValueError", True, False)


def waits_for_all(executor: Any) -> Any:
    return len(concurrent.futures.wait([executor.submit(abs, n) for n in (-1, -2)]).done)


def waits_for_the_first(executor: Any) -> Any:
    done, _ = concurrent.futures.wait([executor.submit(abs, -2)], return_when=FIRST_COMPLETED)
    return done.pop().result()


def waits_for_a_failure(executor: Any) -> Any:
    done, _ = concurrent.futures.wait(
        [executor.submit(int, "x"), executor.submit(abs, -2)], return_when=FIRST_EXCEPTION
    )
    return 2 if done else 0


def takes_as_completed(executor: Any) -> Any:
    futures = [executor.submit(abs, n) for n in (-1, -1)]
    return sum(future.result() for future in concurrent.futures.as_completed(futures))


def is_called_back(executor: Any) -> Any:
    called: concurrent.futures.Future[int] = type(executor.submit(abs, -1))()
    executor.submit(abs, -2).add_done_callback(lambda future: called.set_result(future.result()))
    return called.result(PATIENCE)


WAITS = [waits_for_all, waits_for_the_first, waits_for_a_failure, takes_as_completed, is_called_back]


@pytest.mark.parametrize("waits", WAITS, ids=lambda waits: waits.__name__)
def test_the_only_slot_goes_to_what_is_waited_for(one_slot: Client, waits: Any) -> None:
    def asks() -> Any:
        with get_client().get_executor() as executor:
            return waits(executor)

    assert one_slot.submit(asks, pure=False).result(PATIENCE) == 2


def test_a_loop_of_a_task_runs_calls(client: Client) -> None:
    async def main() -> Any:
        return await asyncio.get_running_loop().run_in_executor(get_client().get_executor(), abs, -2)

    assert client.submit(lambda: asyncio.run(main())).result(PATIENCE) == 2


def test_a_wait_that_is_out_of_time_and_one_that_would_never_end(client: Client, gate: Gate) -> None:
    def asks() -> Any:
        executor = get_client().get_executor()
        held = executor.submit(gate.hold, 1)
        with pytest.raises(TimeoutError):
            held.result(timeout="10ms")
        gate.open()
        return held.result()

    def waits_for_itself() -> str:
        from azolla import Future

        me = Future("me", get_client())
        with pytest.raises(WaitCycleError):
            get_client().get_executor().submit(abs, me).result()
        return "told"

    assert client.submit(asks).result(PATIENCE) == 1
    assert client.submit(waits_for_itself, key="me").result(PATIENCE) == "told"


def test_calls_nest(one_slot: Client) -> None:
    def down(n: int) -> int:
        with get_client().get_executor() as executor:
            return 1 + executor.submit(down, n - 1).result() if n else 0

    assert one_slot.get_executor().submit(down, 4).result(PATIENCE) == 4


def test_what_has_not_begun_is_cancelled(one_slot: Client) -> None:
    def asks() -> Any:
        me, executor = get_worker().get_current_task(), get_client().get_executor()
        from azolla import Future

        waiting = executor.submit(abs, Future(me, get_client()))
        executor.shutdown(wait=False, cancel_futures=True)
        return waiting.cancelled(), waiting.cancel()

    assert one_slot.submit(asks).result() == (True, True)


# --- joblib


def test_joblib_runs_on_the_tasks_client(client: Client) -> None:
    def asks(n: int) -> Any:
        with joblib.parallel_config("azolla"):
            squares = Parallel(batch_size=1)(delayed(pow)(k, 2) for k in range(n))
            large = Parallel()(delayed(np.sum)(np.full(200_000, k)) for k in range(3))
            drawn = Parallel(return_as="generator")(delayed(abs)(-k) for k in range(3))
            return squares, [int(one) for one in large], list(drawn), type(Parallel()._backend).__name__

    result = client.submit(asks, 20).result(PATIENCE)
    assert result == ([k * k for k in range(20)], [0, 200_000, 400_000], [0, 1, 2], "AzollaBackend")


def test_joblib_in_every_slot_at_once(one_slot: Client) -> None:
    def asks(n: int) -> Any:
        with joblib.parallel_config("azolla", n_jobs=2):
            return sum(Parallel(n_jobs=2)(delayed(abs)(-k) for k in range(n)))

    assert one_slot.gather(one_slot.map(asks, range(4))) == [0, 0, 1, 3]


def test_an_error_of_a_call_is_joblibs(client: Client) -> None:
    def asks() -> str:
        with joblib.parallel_config("azolla"), pytest.raises(ValueError, match="invalid literal"):
            Parallel()(delayed(int)(text) for text in ("1", "two"))
        return "raised"

    assert client.submit(asks).result(PATIENCE) == "raised"
