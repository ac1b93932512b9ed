"""The modules that know no cluster, client or task: errors, names, durations, and the ends of a process.

Of azolla, this package imports only the native module `azolla._azolla`.
"""
