"""How tasks run: the loop of a worker's thread, coroutines on event loops, and who is told when tasks begin and end.

It imports `_base`, and the native module.
"""
