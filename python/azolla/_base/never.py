"""What stands for the attributes of an object whose `__init__` has not run.

A derived class may forget to call `super().__init__()`, and `Client.__new__(Client)` calls none. Attributes that a method
then misses would say nothing of that. So a new object gets a stand-in for each, and whatever is done with it says so.
"""

import inspect
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

C = TypeVar("C", bound=type[Any])


class _NeverStarted:
    def __init__(self, what: str, of: str) -> None:
        self.__dict__["why"] = (
            f"this {what} was never started: a class that is derived from {of} must call super().__init__()"
        )

    def _refuse(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise RuntimeError(self.__dict__["why"])

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # tools that look at the class ask for these
            raise AttributeError(name)
        self._refuse()

    __setattr__ = __delattr__ = __bool__ = __call__ = __len__ = __iter__ = __contains__ = _refuse
    __getitem__ = __setitem__ = __delitem__ = __str__ = __format__ = __int__ = __float__ = __index__ = _refuse
    __reduce_ex__ = __add__ = __sub__ = __mul__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse


def says_if_never_started(what: str, *names: str) -> Callable[[C], C]:
    """Gives new objects of a class, which `what` names, a stand-in for each of the attributes that `__init__` sets.

    >>> class Late(Client):
    ...     def __init__(self):
    ...         self.late = True
    >>> Late().scheduler_info()
    Traceback (most recent call last):
    RuntimeError: this client was never started: a class that is derived from Client must call super().__init__()
    """

    def give(of: C) -> C:
        given: Any = of
        make, stand_in = given.__new__, _NeverStarted(what, of.__name__)

        def new(cls: type[Any], *_args: Any, **_kwargs: Any) -> Any:
            made = make(cls)
            for name in names:
                setattr(made, name, stand_in)
            return made

        new.__signature__ = inspect.signature(given.__init__)  # type: ignore[attr-defined]
        given.__new__ = new
        return of

    return give
