"""What tasks log in worker processes, handled by the program's own loggers: `Client.forward_logging`."""

import logging
import pickle
from contextlib import suppress
from typing import Any

from azolla._azolla import Core
from azolla._cluster.everywhere import WorkerPlugin
from azolla._cluster.workers import Worker
from azolla._run.awaiting import answer

#: Gives exceptions the words that `logging` gives them by default.
_words = logging.Formatter()


class Forwarding(Core):
    """The part of `Client` that has records of the workers' loggers come to the program's."""

    cluster: Any
    subscribe_topic: Any
    unsubscribe_topic: Any
    register_plugin: Any
    unregister_worker_plugin: Any

    def forward_logging(self, logger_name: str | None = None, level: int | str = logging.NOTSET) -> Any:
        """Has what tasks log in worker processes handled by the program's loggers too.

        A record that a logger handles there comes to the logger of the same name here, if that is enabled for the
        record's level. The record has one more attribute: `worker`, the address of its worker. Processes that start later
        forward too. On threads tasks log here in any case, and this does nothing.

        Loggers have levels of their own in each process. Without one, only warnings and errors are handled there.

        Args:
            logger_name: The name of the logger; those below it belong to it. By default all.
            level: Only records of this level and above.

        Raises:
            ClosedClientError: The client is closed.
            ValueError: There is no such level.

        >>> client.forward_logging("found")
        {}
        """
        logging.Handler(level)  # it raises for what is no level
        self._check_open("forward_logging")
        if not self.cluster._has_processes:
            return answer(self, {})
        name = _name(logger_name)
        self.subscribe_topic(name, _handle)
        return self.register_plugin(_Forwards(logger_name, level, name), name)

    def unforward_logging(self, logger_name: str | None = None) -> Any:
        """Ends what `forward_logging` has begun.

        Raises:
            ClosedClientError: The client is closed.
            ValueError: What this logger's tasks log in worker processes is not forwarded.

        >>> client.unforward_logging("found")
        {}
        """
        self._check_open("unforward_logging")
        if not self.cluster._has_processes:
            return answer(self, {})
        self.unsubscribe_topic(_name(logger_name))
        return self.unregister_worker_plugin(_name(logger_name))


def _name(logger: str | None) -> str:
    """Returns the name of the plugin and of the topic for a logger."""
    return f"forward-logging-{logger or '<root>'}"


def _handle(event: tuple[float, dict[str, Any]]) -> None:
    record = logging.makeLogRecord(event[1])
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


class _Forwards(WorkerPlugin):
    """Has a logger of a worker process hand its records to a topic."""

    def __init__(self, logger: str | None, level: int | str, topic: str) -> None:
        self._logger, self._level, self._topic = logger, level, topic
        self._handler: logging.Handler | None = None

    def setup(self, worker: Worker) -> None:
        self._handler = _Handler(worker, self._level, self._topic)
        logging.getLogger(self._logger).addHandler(self._handler)

    def teardown(self, worker: Worker) -> None:
        if self._handler is not None:
            logging.getLogger(self._logger).removeHandler(self._handler)


class _Handler(logging.Handler):
    def __init__(self, worker: Worker, level: int | str, topic: str) -> None:
        super().__init__(level)
        self._worker, self._topic = worker, topic

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._worker.log_event(self._topic, _travelling(record) | {"worker": self._worker.address})
        except Exception:
            self.handleError(record)


def _travelling(record: logging.LogRecord) -> dict[str, Any]:
    """Returns the attributes of a record: its message instead of what that is made of, the words of its exception instead
    of the exception, and the `repr` of what cannot be pickled.
    """
    words = _words.formatException(record.exc_info) if record.exc_info and not record.exc_text else record.exc_text
    own = {"msg": record.getMessage(), "args": None, "exc_info": None, "exc_text": words}
    return {name: _or_repr(value) for name, value in (vars(record) | own).items()}


def _or_repr(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    with suppress(Exception):
        pickle.dumps(value)
        return value
    return repr(value)
