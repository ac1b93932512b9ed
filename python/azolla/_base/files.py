"""Files that are written at the end of a `with` statement."""

import contextlib
import os
import warnings
from collections.abc import Iterator


def check_writable(filename: str | os.PathLike[str]) -> None:
    """Raises OSError if the file cannot be written: at the beginning, and not after the work. Makes it if it is new."""
    with open(filename, "a", encoding="utf-8"):
        pass


@contextlib.contextmanager
def hiding_no_error(error: object, what: str) -> Iterator[None]:
    """Lets what goes wrong at the end of a `with` statement hide no error of its body: it becomes a warning."""
    try:
        yield
    except Exception as trouble:
        if error is None:
            raise
        warnings.warn(f"{what}: {trouble}", RuntimeWarning, stacklevel=4)
