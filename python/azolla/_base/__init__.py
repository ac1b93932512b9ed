"""What knows no cluster, no client and no task: errors, names, lengths of time, how the process ends.

It imports nothing of azolla but the native module `azolla._azolla`.
"""
