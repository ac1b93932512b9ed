"""`Client`, with the parts of it that submit work and fetch results, and the functions that need no client in hand.

It imports `_watch` and what is below.
"""
