"""`Adaptive`: it looks at the work of a cluster again and again, and has workers come and go."""

import logging
import math
import threading
import time
import weakref
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from azolla._base.arguments import check_number, positive, shown, whole
from azolla._base.errors import ClosedClientError
from azolla._base.threads import LastingThread, LocklessEvent
from azolla._base.time import Timeout, seconds
from azolla._cluster.scaling import Steps, check_workers

if TYPE_CHECKING:
    from azolla._cluster.coming_and_going import Scaled

logger = logging.getLogger("azolla")

#: How many of its steps an adaptive cluster remembers.
REMEMBERED = 1_000


class Adaptive:
    """Has workers of a cluster come and go with its work. `LocalCluster.adapt` makes one.

    Args:
        cluster: The cluster.
        interval: How often it looks: seconds, a `timedelta` or text.
        minimum: The least workers.
        maximum: The most workers.
        wait_count: A worker is closed when it was idle and not needed so many times in a row.
        target_duration: How long the work at hand should take.

    Raises:
        TypeError: An argument that is no number or length of time, or that it does not have.
        ValueError: Numbers that cannot be.
        NotImplementedError: `worker_key` is given.

    >>> with LocalCluster(n_workers=1, dashboard_address=None) as cluster:
    ...     adaptive = cluster.adapt(minimum=1, maximum=4, interval="100ms")
    ...     adaptive.minimum, adaptive.maximum, adaptive.state
    (1, 4, 'running')
    """

    def __init__(
        self,
        cluster: "Scaled",
        interval: Timeout = "1s",
        minimum: int | None = 0,
        maximum: float | None = math.inf,
        wait_count: int = 3,
        target_duration: Timeout = "5s",
        worker_key: Any = None,
    ) -> None:
        if worker_key is not None:
            raise NotImplementedError("worker_key: workers of one machine are closed one by one")
        self._cluster = weakref.ref(cluster)
        #: Seconds between two looks, and seconds that the work at hand should take.
        self.interval = _length("interval", interval)
        self.target_duration = _length("target_duration", target_duration)
        #: The least and the most workers. They may be changed.
        self.minimum = whole("minimum", 0 if minimum is None else minimum)
        self.maximum = check_number("maximum", math.inf if maximum is None else maximum)
        if not math.isinf(self.maximum):
            self.maximum = whole("maximum", self.maximum)
        if not 0 <= self.minimum <= self.maximum:
            raise ValueError(f"there cannot be {shown(self.minimum)} to {shown(self.maximum)} workers")
        check_workers("minimum", self.minimum)
        self.wait_count = positive("wait_count", wait_count)
        #: What it did, and when: the latest 1,000 steps.
        self.log: deque[tuple[float, dict[str, Any]]] = deque(maxlen=REMEMBERED)
        self._steps = Steps()
        self._stopped = LocklessEvent()
        self._thread = LastingThread(self._go_on, f"{cluster.name}-adapt")
        cluster._adapt_by(self)

    @property
    def state(self) -> str:
        """`"running"` or `"stopped"`.

        >>> with LocalCluster(n_workers=1, dashboard_address=None) as cluster:
        ...     adaptive = cluster.adapt()
        >>> adaptive.state
        'stopped'
        """
        return "stopped" if self._stopped.is_set() else "running"

    @property
    def cluster(self) -> "Scaled | None":
        """The cluster; None once that is gone."""
        return self._cluster()

    def stop(self, reason: str = "unknown") -> None:
        """Leaves the workers as they are from now on.

        Args:
            reason: Taken as Dask takes it.

        >>> with LocalCluster(n_workers=1, dashboard_address=None) as cluster:
        ...     adaptive = cluster.adapt()
        ...     adaptive.stop()
        ...     adaptive.state
        'stopped'
        """
        self._stopped.set()

    def _join(self, patience: float) -> None:
        if self._thread is not threading.current_thread():
            self._thread.join(patience)

    def _go_on(self) -> None:
        while not self._stopped.wait(self.interval):
            cluster = self._cluster()
            if cluster is None or cluster.status != "running":
                self._stopped.set()
                return
            try:
                cluster._in_turn.do_here(partial(self._step, cluster))
            except ClosedClientError:
                self._stopped.set()
            except Exception:
                logger.warning("the workers of %s were not adapted to the work", cluster.name, exc_info=True)
            del cluster  # so that it may go

    def _step(self, cluster: "Scaled") -> None:
        if self._stopped.is_set():
            return
        workers = cluster._standings()
        number = int(min(self.maximum, max(self.minimum, cluster._target(workers, self.target_duration))))
        step = self._steps.next(number, workers, self.wait_count)
        if step["status"] != "same":
            self.log.append((time.time(), step))
        if step["status"] == "up":
            cluster._grow(step["n"])
        elif step["status"] == "down":
            cluster._let_go(step["workers"])

    def __repr__(self) -> str:
        return f"<Adaptive {self.state} minimum={self.minimum} maximum={self.maximum}>"


def _length(name: str, given: Timeout) -> float:
    length = seconds(given)
    if length <= 0:
        raise ValueError(f"{name} must be more than 0, not {shown(given)}")
    return length
