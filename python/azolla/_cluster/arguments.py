"""The arguments of Dask's clusters and clients that mean nothing here, and what is said to those who give them."""

import inspect
from typing import Any

from azolla._base.names import suggestion

#: The arguments of Dask's `LocalCluster` and `Client` that have a meaning only between machines, or in Dask alone. The
#: error that refuses one gives the reason that stands here.
ELSEWHERE = {
    "host": "everything happens on this machine, and nothing listens on a network",
    "ip": "everything happens on this machine, and nothing listens on a network",
    "interface": "everything happens on this machine, and nothing listens on a network",
    "protocol": "clients find the cluster within this process: its addresses are inproc://",
    "scheduler_port": "everything happens on this machine, and nothing listens on a port",
    "security": "nothing goes over a network that could be encrypted",
    "scheduler_file": "a scheduler of another process cannot be reached",
    "worker_class": "workers are azolla's own: processes or threads",
    "services": "everything happens on this machine, and nothing listens on a network",
    "worker_services": "everything happens on this machine, and nothing listens on a network",
    "service_kwargs": "everything happens on this machine, and nothing listens on a network",
    "blocked_handlers": "there is no server whose handlers could be blocked",
    "scheduler_kwargs": "the scheduler has no settings",
    "preload": "a worker runs nothing but tasks: import what they need in them",
    "nanny": "a worker process that dies is replaced in any case, and threads do not die",
    "loop": "a cluster runs its own event loop on a thread of its own; `await` works on any other",
    "serializers": "what goes to worker processes is pickled, and nothing is serialized otherwise",
    "deserializers": "what goes to worker processes is pickled, and nothing is serialized otherwise",
    "extensions": "there is no scheduler process to extend",
    "port": "everything happens on this machine, and nothing listens on a port",
    "contact_address": "everything happens on this machine, and nothing listens on a network",
    "data": "results stay with the cluster, and no worker has a store of its own",
    "executor": "each worker runs its tasks on its own threads",
    "lifetime": "workers last as long as their cluster",
    "lifetime_stagger": "workers last as long as their cluster",
    "lifetime_restart": "workers last as long as their cluster",
    "validate": "the scheduler is native, and does not check itself while it runs",
}

#: The arguments of theirs that are accepted and have no effect, since there is no log, file, network or process to set up.
SO_ANYWAY = (
    "connection_limit",
    "death_timeout",
    "direct_to_workers",
    "heartbeat_interval",
    "local_directory",
    "preload_argv",
    "scheduler_sync_interval",
    "silence_logs",
    "timeout",
    "worker_dashboard_address",
)

#: Of the arguments in `ELSEWHERE`, the values that say how it is in one process. They are accepted too.
AS_IT_IS = {
    "protocol": ("inproc://", "inproc"),
    "nanny": (False,),
    "security": (False,),
    "scheduler_port": (0,),
    "port": (0,),
    "lifetime_stagger": (0, "0 seconds"),
    "lifetime_restart": (False,),
    "validate": (False,),
}


def refuse(cls: type, unknown: dict[str, Any]) -> None:
    """Raises an error for unknown arguments of a class, and for Dask's arguments that have no meaning in one process."""
    if not unknown:
        return
    what = cls.__name__
    strange = [argument for argument in unknown if argument not in ELSEWHERE and argument not in SO_ANYWAY]
    if strange:
        known = [name for name in inspect.signature(cls).parameters if name != "unknown"]
        raise TypeError(f"{what}() has no argument {', '.join(map(repr, strange))}{suggestion(strange, known)}")
    for argument, value in unknown.items():
        if argument not in SO_ANYWAY and not _says_nothing(argument, value):
            raise NotImplementedError(f"{what}({argument}=...): {ELSEWHERE[argument]}")


def _says_nothing(argument: str, value: Any) -> bool:
    """Returns true for None, for an empty text or container, and for what is so in one process anyway."""
    empty = isinstance(value, str | list | tuple | dict | set | frozenset) and not value
    return (
        value is None
        or empty
        or any(type(value) is type(same) and value == same for same in AS_IT_IS.get(argument, ()))
    )
