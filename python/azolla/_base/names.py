"""The names of tasks, made from their functions."""

import functools


def function_name(function: object) -> str:
    """Returns the name that begins the keys of a function's tasks. A plain function's is the one that Dask uses."""
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, type):
        return function.__name__
    name = getattr(function, "__name__", None)
    if name == "<lambda>":
        return "lambda"
    return name if isinstance(name, str) else type(function).__name__
