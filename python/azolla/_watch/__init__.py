"""What can be seen of a cluster's work: the stacks and sizes of tasks, their runs and stories, profiles, progress.

Most of it is parts of `Client`. It imports `_cluster` and what is below.
"""
