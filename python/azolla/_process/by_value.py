"""Objects as bytes that hold the functions and classes of the main program, which a worker process does not have.

`cloudpickle` does most of it. What it leaves is what pickles itself by its name in the main program. Some of that can travel
by value too: functions behind `functools.lru_cache`, say. The rest is an error when it is pickled, since it would be one in
every process that reads the pickle.

A function behind a cache has one cache in each process, for all tasks, as long as the function stays what it is. So a process
keeps the latest of them, by their digests.
"""

import io
import pickle
import typing
from collections.abc import Callable
from functools import _lru_cache_wrapper, cached_property, lru_cache
from threading import Lock
from types import FunctionType, MemberDescriptorType
from typing import Any
from weakref import WeakKeyDictionary

from cloudpickle import cloudpickle  # type: ignore[import-untyped]

from azolla._azolla import tokenize

#: The most functions with caches that a process keeps.
_MOST = 256


def dumps(thing: object, protocol: int = 5, *, buffer_callback: Callable[[Any], Any] | None = None) -> bytes | None:
    """Returns a thing as bytes, or None if it holds a function with a cache: then `dumps_whole` is to be called.

    Raises:
        pickle.PicklingError: It holds what another process could not find, or is nested too deeply.
    """
    file = io.BytesIO()
    try:
        _Pickler(file, protocol, buffer_callback).dump(thing)
    except _HasCache:
        return None
    return file.getvalue()


def dumps_whole(thing: object, protocol: int = 5, *, buffer_callback: Callable[[Any], Any] | None = None) -> bytes:
    """Returns a thing that may hold functions with caches as bytes. Raises what `dumps` raises."""
    file = io.BytesIO()
    pickler = _Pickler(file, protocol, buffer_callback)
    pickler.fresh = _Fresh()
    pickler.dump(_Whole(thing))
    return file.getvalue()


class _HasCache(BaseException):
    """Ends the pickling of a thing that holds a function with a cache."""


class _Fresh(list[tuple[str, Any]]):
    """The functions with caches that the reading of a pickle has made, with their digests."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _Fresh, ()


class _Whole:
    """What is pickled. Its reading ends by telling the process which functions with caches it has made."""

    def __init__(self, thing: object) -> None:
        self.thing = thing


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles by value what belongs to the main program."""

    #: What the reading of the pickle is to fill.
    fresh: _Fresh | None = None

    def reducer_override(self, thing: Any) -> Any:
        kind = type(thing)
        if kind is FunctionType or kind in _BY_CLOUDPICKLE or issubclass(kind, type):
            return super().reducer_override(thing)
        if kind is _Whole:
            return _finished, (thing.thing, self.fresh)
        if kind in _BY_PARTS:
            return _BY_PARTS[kind](thing)
        reducer = self.dispatch_table.get(kind)
        reduced = thing.__reduce_ex__(self.proto) if reducer is None else reducer(thing)
        if not isinstance(reduced, str):
            if kind is MemberDescriptorType and _home(thing.__objclass__, thing.__objclass__.__qualname__):
                # A class that travels by value has no slots over there.
                raise _refusal(thing, thing.__objclass__.__module__, thing.__qualname__)
            return reduced
        module = _home(thing, reduced)
        if module is None:
            return reduced
        if kind is _lru_cache_wrapper:
            return self._cached(thing)
        if kind in _BY_NAME:
            return _BY_NAME[kind](thing)
        raise _refusal(thing, module, reduced)

    def _cached(self, function: Any) -> tuple[Any, ...]:
        if self.fresh is None:
            raise _HasCache
        attributes = {name: value for name, value in vars(function).items() if name != "cache_parameters"}
        wrapped, parameters = function.__wrapped__, function.cache_parameters()
        try:
            digest = tokenize(function)
        except TypeError:  # another process cannot tell whether it is the same function
            digest = ""
        made = (self.fresh, digest, parameters["maxsize"], parameters["typed"], wrapped)
        return _made, made, attributes, None, None, _set_attributes


def _refusal(thing: Any, module: str, name: str) -> pickle.PicklingError:
    kind = type(thing)
    return pickle.PicklingError(
        f"an object of {kind.__module__}.{kind.__qualname__} pickles itself as the name {module}.{name}, which means nothing in a "
        "worker process; put it into a module that can be imported"
    )


def _home(thing: Any, name: str) -> str | None:
    """Returns the module to which a name belongs, if a worker process does not find the thing there."""
    module = pickle.whichmodule(thing, name)  # type: ignore[attr-defined]
    if module == "__main__" or module in cloudpickle.list_registry_pickle_by_value() or "<locals>" in name:
        return str(module)
    return None


def _made(fresh: _Fresh, digest: str, maxsize: int | None, typed: bool, function: Any) -> Any:
    """Returns the function of this digest that the process has already, or makes it."""
    known = None
    if digest:
        with _lock:
            known = _known.get(digest)
    if known is None:
        known = lru_cache(maxsize, typed)(function)
        fresh.append((digest, known))
    return known


def _set_attributes(function: Any, attributes: dict[str, Any]) -> None:
    # What tasks have done to one that the process had already stays.
    if function.__wrapped__ is attributes["__wrapped__"]:
        vars(function).update(attributes)


def _finished(thing: Any, fresh: _Fresh) -> Any:
    """Returns what a pickle holds, once that is complete: no other thread sees a function before its globals are there."""
    for digest, function in fresh:
        old = None
        with _lock:
            if digest:
                _known.setdefault(digest, function)
            if len(_known) > _MOST:
                old = _known.pop(next(iter(_known)))
        del old  # this may run any code
    return thing


#: The class of what `type X = ...` makes, since Python 3.12.
_TypeAlias: Any = getattr(typing, "TypeAliasType", None)

_lock = Lock()
_known: dict[str, Any] = {}


def _new_type(thing: Any) -> tuple[Any, ...]:
    return typing.NewType, (thing.__name__, thing.__supertype__), dict(vars(thing))


def _parameters(thing: Any) -> tuple[Any, ...]:
    more = (thing.__bound__, thing.__covariant__, thing.__contravariant__)
    return _type_parameter, (typing.ParamSpec, thing.__name__, thing.__module__, *more)


def _parameter_tuple(thing: Any) -> tuple[Any, ...]:
    return _type_parameter, (typing.TypeVarTuple, thing.__name__, thing.__module__)


def _type_parameter(
    kind: Any, name: str, module: str, bound: Any = None, covariant: bool = False, contravariant: bool = False
) -> Any:
    more = {"bound": bound, "covariant": covariant, "contravariant": contravariant}
    made = kind(name, **{key: value for key, value in more.items() if value})
    made.__module__ = module
    return made


def _alias(thing: Any) -> tuple[Any, ...]:
    return type(thing), (thing.__name__, thing.__value__)


def _property(thing: Any) -> tuple[Any, ...]:
    # Its lock stays where it is.
    return _cached_property, (thing.func, thing.attrname)


def _cached_property(function: Any, name: str | None) -> Any:
    made = cached_property(function)
    made.attrname = name
    return made


def _weak_dictionary(thing: Any) -> tuple[Any, ...]:
    return WeakKeyDictionary, (), None, None, iter(list(thing.items()))


#: What cloudpickle's own table pickles by value.
_BY_CLOUDPICKLE = set(cloudpickle.Pickler._dispatch_table)

#: How objects are taken apart that pickle refuses. `functools.singledispatch` keeps its choices in a weak dictionary.
_BY_PARTS: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    cached_property: _property,
    WeakKeyDictionary: _weak_dictionary,
}

#: How objects are taken apart that pickle themselves by their name.
_BY_NAME: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    typing.NewType: _new_type,
    typing.ParamSpec: _parameters,
    typing.TypeVarTuple: _parameter_tuple,
}
if _TypeAlias is not None:
    _BY_NAME[_TypeAlias] = _alias
