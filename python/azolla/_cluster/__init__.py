"""`LocalCluster`: its workers, and what it keeps for all of its clients (plugins, datasets, notes, the dashboard).

The parts of `Client` that use these are here too. This package imports `_run` and the packages that `_run` imports. It
cannot import `Client`, which imports it; `_client/client.py` therefore hands `LocalCluster` the class of its clients.
"""
