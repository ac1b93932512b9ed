"""Objects that tasks and threads share by name (`Queue`, `Variable`, `Event` and the locks), and actors.

This package imports `_client`, and the packages that `_client` imports. No other package of azolla imports it.
"""
