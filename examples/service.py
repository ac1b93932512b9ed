"""A web service whose requests are computed in tasks, and which ends in order on SIGINT and SIGTERM.

    python examples/service.py [PORT]

`curl localhost:PORT/words/a-text-of-five-words` answers with the number of words. It needs no web framework, so it answers
`GET` alone; with one, the client is opened and closed where the framework says that the program starts and ends.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from azolla import Client, Future, get_client


def count(word: str) -> int:
    return len(word)


def words(text: str) -> str:
    """A task that grows more tasks, and waits for them."""
    client = get_client()
    letters = client.gather(client.map(count, text.split("-")))
    return f"{len(letters)} words, {sum(letters)} letters\n"


class Service:
    """The client, and the requests that are being answered."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.requests: set[asyncio.Task[None]] = set()

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = asyncio.ensure_future(self.answer(reader, writer))
        self.requests.add(request)
        request.add_done_callback(self.requests.discard)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = (await reader.readline()).decode("latin-1").split()
            while (await reader.readline()).strip():
                pass  # the headers
            path = line[1] if len(line) == 3 else "/"
            if path.startswith("/words/"):
                future: Future[str] = self.client.submit(words, path.removeprefix("/words/"))
                status, body = await self.outcome(future)
            else:
                status, body = "404 Not Found", "no such page\n"
            head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body.encode())}\r\nConnection: close\r\n\r\n"
            writer.write(f"{head}{body}".encode())
            await writer.drain()
        finally:
            writer.close()

    async def outcome(self, future: Future[str]) -> tuple[str, str]:
        try:
            async with asyncio.timeout(30):
                return "200 OK", await future
        except TimeoutError:
            future.cancel(reason="the request took too long")
            return "504 Gateway Timeout", "it took too long\n"
        except Exception as error:
            return "500 Internal Server Error", f"{error}\n"


async def main(port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    # On threads, since these tasks are short. Python code that takes long runs side by side without `processes=False`.
    async with Client(processes=False, asynchronous=True) as client:
        service = Service(client)
        server = await asyncio.start_server(service.connected, "127.0.0.1", port)
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await stop.wait()
        server.close()  # no new requests; those that have begun are answered
        if service.requests:
            await asyncio.wait(service.requests, timeout=10)
    # Here the client is closed: what had not ended was cancelled.
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8000))
