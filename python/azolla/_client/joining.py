"""How a client finds the cluster that it joins."""

from typing import Any

from azolla._cluster.local import LocalCluster, find

#: Arguments of `LocalCluster` that ask for nothing: the client shows the cluster's dashboard.
_DEFAULTS = (":8787", "auto")


def joined(address: Any, given: dict[str, Any]) -> LocalCluster:
    """Returns the cluster to join: `address` itself, or the open cluster that has this address."""
    unexpected = [name for name in given if given[name] not in (None, False, *_DEFAULTS)]
    if unexpected:
        raise ValueError(f"a cluster that is there already takes no {', '.join(unexpected)}: give that to LocalCluster")
    if isinstance(address, LocalCluster):
        address._check_open(f"Client({address.name!r})")
        return address
    if not isinstance(address, str):
        raise TypeError(f"Scheduler address must be a string or a Cluster instance, got {type(address)}")
    if not address.startswith("inproc://"):
        raise NotImplementedError(
            f"Client({address!r}): clusters of other processes cannot be reached yet; leave the address out: "
            "Client() starts worker processes on this machine"
        )
    return find(address)
