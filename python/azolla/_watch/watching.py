"""`Watching`: all that a client tells of its cluster."""

from azolla._watch.introspection import Introspection
from azolla._watch.profile import Profiled
from azolla._watch.story import Stories
from azolla._watch.task_stream import TaskStream


class Watching(Introspection, Stories, TaskStream, Profiled):
    """The methods of a client that tell: where results are, what runs, what has happened, where time goes."""
