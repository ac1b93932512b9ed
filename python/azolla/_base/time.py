"""Time-outs as users write them."""

import math
import re
import threading
from datetime import timedelta
from typing import TypeAlias

from azolla._base.arguments import shown

#: How long to wait: seconds, a `timedelta`, or text such as `"500ms"`; None for no limit.
Timeout: TypeAlias = float | str | timedelta | None

_UNITS = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
    "days": 86400.0,
}


def seconds(timeout: object) -> float:
    """Returns the seconds in a number, a `timedelta`, or a text such as `"500ms"` or `"2 minutes"`.

    No thread can wait for more than 292 years, so a time-out that is longer is as long as that.

    >>> from azolla._base.time import seconds
    >>> seconds("500ms"), seconds("2 minutes"), seconds(timedelta(days=1))
    (0.5, 120.0, 86400.0)
    """
    if isinstance(timeout, timedelta):
        return min(timeout.total_seconds(), threading.TIMEOUT_MAX)
    if isinstance(timeout, str):
        match = re.fullmatch(r"\s*(\d*\.?\d+(?:e[+-]?\d+)?)?\s*([a-z]*)\s*", timeout.lower())
        if match and (match[1] or match[2]) and (not match[2] or match[2] in _UNITS):
            return min(float(match[1] or 1) * _UNITS.get(match[2], 1.0), threading.TIMEOUT_MAX)
        raise ValueError(f"a timeout such as '500ms' or '2 minutes' was expected, not {shown(timeout)}")
    try:
        if isinstance(timeout, bytes | bytearray):  # `float` would read it
            raise TypeError
        number = float(timeout)  # type: ignore[arg-type]
    except OverflowError:
        return threading.TIMEOUT_MAX if timeout > 0 else 0.0  # type: ignore[operator]
    except (TypeError, ValueError):
        raise TypeError(f"a timeout is a number of seconds, a timedelta or a text, not {shown(timeout)}") from None
    if math.isnan(number):
        raise TypeError("a timeout is a number of seconds, not NaN")
    return min(number, threading.TIMEOUT_MAX)
