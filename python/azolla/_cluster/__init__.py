"""`LocalCluster`: its workers, and what it keeps for all of its clients (plugins, datasets, notes, the dashboard).

With them are the parts of `Client` that reach these. It imports `_run` and what is below. `Client` lies above: clusters
make clients by the class that `_client/client.py` gives them.
"""
