"""`Client`, with the parts of it that submit work and fetch results, and the functions that need no client in hand.

This package imports `_watch`, and the packages that `_watch` imports.
"""
