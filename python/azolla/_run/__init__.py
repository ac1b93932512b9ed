"""How tasks run: the loop of a worker thread, coroutines on event loops, and the listeners told of begins and ends.

This package imports only `_base` and the native module.
"""
