"""What messages say: the name that the user called, the argument that was meant, and what to pass instead."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from azolla import Client, Future, LocalCluster, get_task_stream, performance_report

MEANT = {
    "threads": "threads_per_worker",
    "nthreads": "threads_per_worker",
    "max_workers": "threads_per_worker",
    "threads_per_workers": "threads_per_worker",
    "workers": "n_workers",
    "num_workers": "n_workers",
    "process": "processes",
    "resource": "resources",
    "memory": "memory_limit",
    "async": "asynchronous",
}


@pytest.mark.parametrize("make", [Client, LocalCluster], ids=lambda make: make.__name__)
@pytest.mark.parametrize("given", MEANT)
def test_an_unknown_argument_is_told_what_was_meant(make: Any, given: str) -> None:
    with pytest.raises(TypeError, match=rf"has no argument '{given}': did you mean {MEANT[given]}\\?"):
        make(processes=False, **{given: 2})


def test_an_argument_that_is_like_none_is_refused_without_a_guess() -> None:
    with pytest.raises(TypeError, match=r"has no argument 'colour'$"):
        Client(processes=False, colour="red")


def methods(owner: type) -> list[tuple[str, Any]]:
    found = []
    for name in dir(owner):
        member = inspect.getattr_static(owner, name)
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if not name.startswith("_") and inspect.isfunction(function):
            found.append((name, function))
    return found


@pytest.mark.parametrize("owner", [Client, LocalCluster], ids=lambda owner: owner.__name__)
def test_methods_bear_the_name_of_the_class_that_users_know(owner: type) -> None:
    assert [function.__qualname__ for name, function in methods(owner)] == [
        f"{owner.__name__}.{name}" for name, function in methods(owner)
    ]


def test_a_wrong_call_names_the_method_as_it_was_called(client: Client) -> None:
    gather: Any = client.gather
    with pytest.raises(TypeError, match=r"^Client\.gather\(\) got an unexpected keyword argument 'timeout'"):
        gather([], timeout=1)
    scatter: Any = client.scatter
    with pytest.raises(TypeError, match=r"^Client\.scatter\(\) missing"):
        scatter()
    write: Any = client.cluster.write_trace
    with pytest.raises(TypeError, match=r"^LocalCluster\.write_trace\(\) missing"):
        write()


class Awkward(Exception):
    def __repr__(self) -> str:
        raise AssertionError("no code of the user's is run")

    __str__ = __repr__


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ValueError("no"), "ValueError('no')"),
        (KeyError(("a", 1), b"b"), "KeyError(('a', 1), b'b')"),
        (Awkward(None), "Awkward(None)"),
        (OSError(2, "gone"), "FileNotFoundError(2, 'gone')"),
        (RuntimeError(), "RuntimeError()"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_failed_future_shows_its_exception(client: Client, backend: str, error: Exception, shown: str) -> None:
    def fail() -> None:
        raise error

    future: Future[None] = client.submit(fail, key="failed", pure=False)
    assert future.exception() is error or backend == "processes"
    assert repr(future) == f"<Future: error, exception: {shown}, key: failed>"
    assert "exception" in future._repr_html_() and shown.split("(")[0] in future._repr_html_()
    after = client.submit(abs, future, key="after")
    after.exception()
    assert f"exception: {shown}" in repr(after)


def test_a_failed_futures_long_text_is_cut(client: Client) -> None:
    future = client.submit(int, "x" * 1_000_000, pure=False)
    future.exception()
    assert len(repr(future)) < 500


ENDINGS = {
    "performance_report": lambda file: performance_report(file),
    "get_task_stream": lambda file: get_task_stream(plot="save", filename=file),
}


@pytest.mark.parametrize("ending", ["performance_report", "get_task_stream"])
def test_a_file_that_cannot_be_written_is_known_before_the_work(client: Client, tmp_path: Path, ending: str) -> None:
    reached = False
    with pytest.raises(OSError, match="nowhere"), ENDINGS[ending](str(tmp_path / "nowhere" / "file.html")):
        reached = True
    assert not reached


@pytest.mark.parametrize("ending", ["performance_report", "get_task_stream"])
def test_what_goes_wrong_at_the_end_hides_no_error_of_the_body(client: Client, tmp_path: Path, ending: str) -> None:
    pytest.importorskip("bokeh")
    folder = tmp_path / "there"
    folder.mkdir()
    file = folder / "file.html"
    with (
        pytest.warns(RuntimeWarning, match="was not written|no figure was made"),
        pytest.raises(ZeroDivisionError),
        ENDINGS[ending](str(file)),
    ):
        client.submit(abs, -1).result()
        file.unlink()
        folder.rmdir()
        raise ZeroDivisionError
