"""`Looped`: the event loops of a cluster, and how its coroutine tasks get onto them."""

import asyncio
from collections.abc import Coroutine, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from azolla._azolla import ClusterCore, Running
from azolla._base.errors import ClosedClientError
from azolla._run import awaiting as _await
from azolla._run.callers_loop import CallersLoop
from azolla._run.helper_threads import LoopThread
from azolla._run.transitions import Listeners

if TYPE_CHECKING:
    from azolla._azolla import _Client as Client


class Looped(ClusterCore):
    """The part of `LocalCluster` that deals with event loops."""

    name: str
    _asynchronous: bool
    _helpers: dict[str, Any]
    _listeners: Listeners
    #: The loop that awaited this cluster, if the cluster is asynchronous.
    _awaited_on: asyncio.AbstractEventLoop | None = None

    #: True once a loop has awaited an asynchronous client of this cluster.
    _has_callers = False

    def _open_clients(self) -> "Iterator[Client]":
        raise NotImplementedError

    @property
    def asynchronous(self) -> bool:
        """Whether `close` is awaitable where this is read: of an asynchronous cluster, where an event loop runs.

        >>> client.cluster.asynchronous
        False
        """
        return self._asynchronous and asyncio._get_running_loop() is not None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The cluster's own event loop, which has a thread of its own. Of an asynchronous cluster, the loop that
        awaited it.

        Raises:
            ClosedClientError: The cluster is closed, and had no loop.

        >>> client.cluster.loop is client.loop
        True
        """
        loop = self._awaited_on
        return loop if loop is not None and not loop.is_closed() else self._on_loop().loop

    def _bind_loop(self) -> None:
        """Makes the running loop that of an asynchronous cluster."""
        if self._asynchronous:
            self._awaited_on = asyncio._get_running_loop() or self._awaited_on

    def _loops(self) -> list[LoopThread | CallersLoop]:
        """Returns the loops on which coroutine tasks of the cluster run: its own, and those of asynchronous clients."""
        callers: list[CallersLoop | None] = [client._callers_loop for client in self._open_clients()]
        own: LoopThread | None = self._helpers.get("loop")
        return [loop for loop in (own, *callers) if loop is not None]

    def _on_loop(self) -> LoopThread:
        """Returns the cluster's own loop, whose thread runs."""
        self._check_open("the event loop")
        thread: LoopThread | None = self._helpers.get("loop")
        if thread is None:
            made = LoopThread(f"{self.name}-loop", self._set_loop_thread)
            thread = self._helpers.setdefault("loop", made)
            if thread is not made:
                made.discard()
        thread.start()
        if self._closed:
            thread.stop(0.0)  # the closing thread may have looked before the loop was made
            raise ClosedClientError("the client is closed")
        return thread

    def _run_coroutine(self, coroutine: Coroutine[Any, Any, Any], running: Running, context: Any) -> None:
        """Starts a coroutine task: on the loop that awaited its client, or else on the cluster's own."""
        try:
            call = _await.Call(coroutine, running, self._listeners)
            begin = partial(call.begin, context)
            client = running.client if self._has_callers else None
            callers: CallersLoop | None = client._callers_loop if client is not None else None
            if callers is None or not callers.post(begin, call.give_up, call.ended, is_task=True):
                self._on_loop().post(begin, partial(_await.close_unbegun, coroutine), call.ended)
        except BaseException:
            coroutine.close()
            raise
