"""The function of joblib's tasks in worker processes. It imports nothing, since every process imports it."""

from typing import Any


def BatchedCalls(batch: Any) -> Any:
    """Makes the calls of a batch."""
    return batch()
