"""What kind of process this is."""

#: True in a worker process: its client is in another one.
in_worker_process = False

#: The number of the worker that a worker process is.
worker = 0


def check(what: str) -> None:
    """Raises ValueError in a worker process, where only the threads of tasks have a client."""
    if in_worker_process:
        raise ValueError(f"{what} in a worker process is possible on the thread of a task alone")
