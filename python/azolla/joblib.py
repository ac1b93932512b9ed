"""joblib on azolla: the backend `"azolla"`. A program that has imported azolla and joblib has it; docs/joblib.md says more.

>>> import joblib
>>> with joblib.parallel_config("azolla"):
...     joblib.Parallel()(joblib.delayed(abs)(n) for n in [-1, -2])
[1, 2]
"""

import contextlib
import functools
import inspect
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from joblib import Parallel, register_parallel_backend
from joblib.parallel import AutoBatchingMixin, ParallelBackendBase

from azolla._azolla import StoredOnce
from azolla._base import where
from azolla._client.client import Client
from azolla._client.executor import ClientExecutor, ExecutorFuture
from azolla._process.calls import BatchedCalls
from azolla._run.current import current_or_none
from azolla._run.lending import slot_lent


class AzollaBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """Runs joblib's batches of calls as tasks of a client.

    As with joblib's own backends, `Parallel` in such a call runs on threads, one by default, and `Parallel` within that
    runs its calls one after the other. Where nested work is to run on the client, submit it: `get_client().map`.

    In worker processes an array of at least `max_nbytes`, as joblib calls it, goes to shared memory once in a call of
    `Parallel`, however many calls get it.

    Args:
        client: The client; by default the client of the task in which this is called, or else the current client.
        nesting_level: How many calls of `Parallel` are around this one; joblib passes it.
        priority: The tasks' priority, as for `Client.submit`.

    Raises:
        TypeError: For any other argument, and for a client that is none.
        ValueError: No client is given, and none is current.
    """

    default_n_jobs = -1
    supports_retrieve_callback = True

    def __init__(
        self,
        client: Client | None = None,
        nesting_level: int | None = None,
        priority: float | None = None,
        **unknown: Any,
    ) -> None:
        _refuse("parallel_config('azolla')", unknown)
        super().__init__(nesting_level=nesting_level)
        if client is None:
            client = current_or_none()
        if client is None:
            raise ValueError(
                "joblib on azolla has no client: make one first, Client(), or give one, "
                "parallel_config('azolla', client=...)"
            )
        if not isinstance(client, Client):
            raise TypeError(f"client must be a Client or None, not {client!r}")
        self._client = client
        self._has_processes = client.cluster._has_processes
        self.supports_sharedmem = self.uses_threads = not self._has_processes
        #: True if a call of `Parallel` itself named this backend. Within `parallel_config` a library may call `Parallel`
        #: with arguments for other backends, and those are ignored, as joblib's own threads ignore them.
        self._for_one_call = nesting_level is not None
        self._priority = priority
        self._executor: ClientExecutor | None = None
        #: The large arrays of this call of `Parallel`. Without it each batch has copies of its own.
        self._large: StoredOnce | None = None

    def configure(
        self, n_jobs: int = 1, parallel: Parallel | None = None, max_nbytes: int | None = None, **options: Any
    ) -> int:
        """joblib calls this before a call of `Parallel`, with what `Parallel` was given.

        Raises:
            TypeError: `Parallel(backend="azolla")` was given what is no argument of `Parallel`.
        """
        if self._for_one_call:
            _refuse("Parallel(backend='azolla')", options.keys() - _of_parallel())
        # A task in a worker process leaves what it sends to the client's process, and so has copies.
        is_shared = self._has_processes and not where.in_worker_process
        self._large = StoredOnce(max_nbytes) if is_shared and max_nbytes is not None else None
        return int(super().configure(n_jobs, parallel, **options))

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Returns how many jobs run at once: at the most the client's threads. -1 stands for them all, -2 for all but
        one. While the cluster has no worker, it may get as many threads as this asks for, or as there are processors.
        """
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        threads = self._client.cluster._n_workers * self._client.cluster._threads_per_worker
        if not threads:
            threads = max(n_jobs or 0, os.cpu_count() or 1)
        if n_jobs is None:
            return threads
        return max(1, threads + 1 + n_jobs) if n_jobs < 0 else min(n_jobs, threads)

    def start_call(self) -> None:
        """joblib calls this when a call of `Parallel` begins."""
        self._executor = self._client.get_executor(priority=self._priority)

    def stop_call(self) -> None:
        """joblib calls this when a call of `Parallel` ends."""
        self.terminate()

    def terminate(self) -> None:
        """Takes no more work."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)
        if self._large is not None:
            self._large.clear()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Cancels the batches that have not begun, since a call has failed."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
        if ensure_ready:
            self.start_call()

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> "ExecutorFuture[Any]":
        """Submits a batch."""
        if self._executor is None:
            self.start_call()
        assert self._executor is not None
        if self._has_processes:
            with self._large or contextlib.nullcontext():
                future = self._executor.submit(BatchedCalls, func)
        else:
            future = self._executor.submit(func)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: "ExecutorFuture[Any]") -> Any:
        """Returns the results of a batch that has ended, or raises its exception."""
        return out.result()

    @contextlib.contextmanager
    def retrieval_context(self) -> Iterator[None]:
        """joblib enters this around its wait for results."""
        with slot_lent():
            yield


def _refuse(what: str, unknown: Iterable[str]) -> None:
    for name in unknown:
        raise TypeError(f"{what} has no argument {name!r}: parallel_config('azolla', ...) takes client and priority")


@functools.cache
def _of_parallel() -> frozenset[str]:
    """Returns the names of what joblib passes on to every backend."""
    return frozenset(inspect.signature(Parallel).parameters) - {"backend_kwargs"} | {"context"}


register_parallel_backend("azolla", AzollaBackend)
