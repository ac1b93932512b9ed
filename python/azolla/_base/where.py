"""What kind of process this is."""

#: True in a worker process, whose tasks are those of a client in another process.
in_worker_process = False
