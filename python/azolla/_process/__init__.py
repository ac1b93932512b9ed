"""The worker process: what runs in it, and how errors travel from it.

It imports `_base` alone: a worker process has no client.
"""
