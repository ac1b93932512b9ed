"""`Sharing`: all that a client has in common with the other clients of its cluster."""

from typing import Any

from azolla._cluster.datasets import Datasets
from azolla._cluster.everywhere import Everywhere
from azolla._cluster.forwarding import Forwarding
from azolla._cluster.notes import Metadata


class Sharing(Datasets, Metadata, Everywhere, Forwarding):
    """The methods of a client that concern the whole cluster: datasets, metadata, events, what workers log, and calls on
    each of them.
    """

    #: Each base says what it needs of it; `Client` says what it is.
    cluster: Any
