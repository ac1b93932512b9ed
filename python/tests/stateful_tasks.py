"""What the tasks of `test_stateful.py` do. Worker processes import this file, and it imports nothing."""


class Failed(Exception):
    """What failing tasks raise."""


def add(*numbers: int) -> int:
    return sum(numbers)


def fail(*_: int) -> int:
    raise Failed
