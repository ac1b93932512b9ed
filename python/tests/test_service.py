"""The web service of `examples/service.py`: it answers, and ends in order on SIGINT and SIGTERM."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import PATIENCE, eventually

SERVICE = Path(__file__).parents[2] / "examples" / "service.py"


@contextmanager
def running() -> Iterator[tuple[subprocess.Popen[str], http.client.HTTPConnection]]:
    with subprocess.Popen(
        [sys.executable, SERVICE, "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip().removeprefix("http://")
            yield process, http.client.HTTPConnection(address, timeout=PATIENCE)
        finally:
            process.kill()


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_it_answers_and_ends_in_order(signal_number: signal.Signals) -> None:
    with running() as (process, connection):
        for path, status, body in (
            ("/words/a-text-of-five-words", 200, "5 words, 16 letters\n"),
            ("/elsewhere", 404, "no such page\n"),
        ):
            connection.request("GET", path)
            answer = connection.getresponse()
            assert (answer.status, answer.read().decode()) == (status, body)
        process.send_signal(signal_number)
        rest, _ = process.communicate(timeout=PATIENCE)
        assert (rest, process.returncode) == ("stopped\n", 0)


def test_a_request_that_has_begun_is_answered_first() -> None:
    def refuses(address: tuple[str, int]) -> bool:
        try:
            socket.create_connection(address).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:  # the server has closed its socket in the middle of this: the next one is refused
            return False
        return False

    with running() as (process, connection), socket.create_connection((connection.host, connection.port)) as open_one:
        open_one.settimeout(PATIENCE)
        open_one.sendall(b"GET /words/late HTTP/1.1\r\n")
        connection.request("GET", "/words/a-b")  # it is answered after the server has met the other request
        assert connection.getresponse().read() == b"2 words, 2 letters\n"
        process.send_signal(signal.SIGTERM)
        eventually(lambda: refuses((connection.host, connection.port)))
        open_one.sendall(b"\r\n")
        answer = b"".join(iter(lambda: open_one.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(b"1 words, 4 letters\n")
        assert process.communicate(timeout=PATIENCE)[0] == "stopped\n"
