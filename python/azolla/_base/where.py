"""What kind of process this is."""

#: True in a worker process: its client is in another one.
in_worker_process = False


def check(what: str) -> None:
    """Raises ValueError in a worker process, where `what` cannot be done yet."""
    if in_worker_process:
        raise ValueError(f"{what} in a worker process is not possible yet: use Client(processes=False)")
