"""What kind of process this is."""

#: True in a worker process: its client is in another one.
in_worker_process = False

#: The number of the worker that a worker process is.
worker = 0
