"""What tasks are called after."""

import functools


def function_name(function: object) -> str:
    """The name that begins the keys of a function's tasks; the same that Dask uses, where it is a plain name."""
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, type):
        return function.__name__
    name = getattr(function, "__name__", None)
    if name == "<lambda>":
        return "lambda"
    return name if isinstance(name, str) else type(function).__name__
