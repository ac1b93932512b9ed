"""What a program's main module holds travels to worker processes by value, or is an error at the submit that names it."""

from __future__ import annotations

import re
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from azolla import Client
from processes import run


@pytest.fixture
def client(tmp_path: Path) -> Any:
    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        yield client


def printed(tmp_path: Path, program: str, *arguments: str) -> list[str]:
    """Runs a program as a main module, and returns the lines that it prints."""
    file = tmp_path / "program.py"
    start = "from azolla import Client\nclient = Client(n_workers=1, threads_per_worker=2, dashboard_address=None)\n"
    file.write_text(start + textwrap.dedent(program) + "\nclient.close()\n")
    ended = run(str(file), *arguments)
    assert ended.code == 0, ended.stderr
    return ended.stdout.splitlines()


def test_a_function_behind_a_cache_travels_and_has_one_cache_in_a_process(tmp_path: Path) -> None:
    assert printed(
        tmp_path,
        """
        import functools
        @functools.lru_cache(maxsize=7, typed=True)
        def cached(x):
            return x + shift
        shift = 10
        cached.flag = "set"
        @functools.cache
        def fibonacci(n):
            return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)
        class Thing:
            @functools.lru_cache
            def method(self):
                return "method"
        def first(x):
            return cached(x), cached.flag, cached.cache_parameters()["maxsize"], cached.cache_info().hits
        def second(x):
            return first(x)
        print(client.submit(first, 1, pure=False).result())
        print(client.submit(second, 1, pure=False).result())
        print(client.submit(cached, 1, pure=False).result(), client.submit(first, 1, pure=False).result())
        shift = 20
        print(client.submit(first, 1, pure=False).result(), client.submit(cached, 1).result())
        print(client.submit(fibonacci, 80).result(), client.submit(Thing().method).result())
        """,
    ) == [
        "(11, 'set', 7, 0)",
        "(11, 'set', 7, 1)",
        "11 (11, 'set', 7, 3)",
        "(21, 'set', 7, 0) 21",
        "23416728348467685 method",
    ]


def test_a_function_behind_a_cache_with_other_attributes_is_sent_again(tmp_path: Path) -> None:
    assert printed(
        tmp_path,
        """
        import functools
        @functools.cache
        def cached(x):
            return x
        def task():
            return cached.flag
        for cached.flag in "ab":
            print(client.submit(task).result())
        """,
    ) == ["a", "b"]


def test_what_pickles_itself_by_name_in_the_main_program_travels_by_value(tmp_path: Path) -> None:
    assert printed(
        tmp_path,
        """
        import functools, typing
        @functools.singledispatch
        def of(x):
            return "object"
        @of.register
        def _(x: int):
            return "int"
        of(""), of(1)
        class Thing:
            @functools.cached_property
            def value(self):
                return 3
        New = typing.NewType("New", int)
        P = typing.ParamSpec("P")
        Ts = typing.TypeVarTuple("Ts")
        print(client.submit(lambda: (of(1), of(""), Thing().value, New(4), P, Ts, New.__supertype__)).result())
        print(client.submit(lambda *args: args, New, P, Ts).result())
        """,
    ) == ["('int', 'object', 3, 4, ~P, Ts, <class 'int'>)", "(__main__.New, ~P, Ts)"]


def test_what_exists_in_the_main_program_alone_is_refused_at_the_submit(tmp_path: Path) -> None:
    lines = printed(
        tmp_path,
        """
        import numpy
        class Single:
            def __reduce__(self):
                return "single"
        class Slots:
            __slots__ = ("a",)
        single, slot = Single(), Slots.a
        of_numpy = numpy.frompyfunc(lambda x: x, 1, 1)
        for thing in (single, slot, of_numpy):
            for function, args in ((repr, (thing,)), (lambda: thing, ())):
                try:
                    client.submit(function, *args)
                except Exception as error:
                    print(type(error).__name__, error, *error.__notes__)
        """,
    )
    assert len(lines) == 6
    for line, name in zip(lines, ("single", "single", "Slots.a", "Slots.a", "<lambda>", "<lambda>"), strict=True):
        assert f"pickles itself as the name __main__.{name}" in line
        assert "put it into a module that can be imported" in line
    assert "argument 1 (Single)" in lines[0]
    assert "the global 'thing' of <lambda>" in lines[1]


def deep(levels: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(levels):
        nested = [nested]
    return nested


def test_an_error_of_pickling_names_the_argument(client: Client) -> None:
    lock = threading.Lock()
    for call, words in (
        (lambda: client.submit(max, 1, {"a": [2, lock]}), "argument 2['a'][1] (lock) cannot be pickled"),
        (lambda: client.submit(dict, name=lock), "argument 'name' (lock) cannot be pickled"),
        (lambda: client.submit(len, deep(5000)), "argument 1 is nested too deeply: sys.getrecursionlimit() is"),
    ):
        with pytest.raises(Exception) as caught:
            call()
        assert any(words in note for note in caught.value.__notes__), caught.value.__notes__


def test_an_error_of_pickling_names_what_the_function_depends_on(client: Client) -> None:
    lock = threading.Lock()
    other = {"locks": [lock]}

    def inner() -> Any:
        return other

    def outer() -> Any:
        return inner()

    namespace: dict[str, Any] = {"lock": lock}
    exec("def reads():\n return lock\ndef defaults(x=lock):\n return x", namespace)
    for function, words in (
        (outer, "the variable 'other' that inner closes over['locks'][0] (lock) cannot be pickled"),
        (namespace["reads"], "the global 'lock' of reads (lock) cannot be pickled"),
        (namespace["defaults"], "a default of defaults (lock) cannot be pickled"),
    ):
        with pytest.raises(TypeError, match="pickle") as caught:
            client.submit(function)
        assert any(re.search(re.escape(words), note) for note in caught.value.__notes__), caught.value.__notes__


def test_tasks_read_the_arguments_of_the_program_and_no_file_to_run_again(tmp_path: Path) -> None:
    lines = printed(
        tmp_path,
        """
        import sys
        def task():
            return sys.argv[1:], hasattr(sys.modules["__main__"], "__file__")
        print(client.submit(task).result())
        """,
        "one",
        "--two=é",
    )
    assert lines == ["(['one', '--two=é'], False)"]


def test_a_descriptor_above_a_limit_that_was_lowered_keeps_no_process_from_starting(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(
        textwrap.dedent(
            """
            import os, resource
            from azolla import Client
            os.dup2(1, 251)
            resource.setrlimit(resource.RLIMIT_NOFILE, (250, 250))
            def task():
                return os.path.exists("/proc/self/fd/251")
            with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
                print(client.submit(task).result())
            """
        )
    )
    ended = run(str(file))
    assert (ended.code, ended.stdout.split()) == (0, ["False"]), ended.stderr
