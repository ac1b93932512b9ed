"""What tasks and others share by its name, `Queue`, `Variable`, `Event` and locks; and actors.

It imports `_client` and what is below. Of azolla's folders this is the uppermost.
"""
