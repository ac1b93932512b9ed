"""What kind of process this is."""

from typing import Any

#: True in a worker process: its client is in another one.
in_worker_process = False

#: The number of the worker that a worker process is.
worker = 0

#: The cluster as a worker process sees it; None until one of its tasks has asked for its client, or gone on as a coroutine.
cluster: Any = None
