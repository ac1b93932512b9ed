"""Views of a cluster's work: the stacks and sizes of tasks, their runs and stories, profiles, progress.

Most of the classes are parts of `Client`. This package imports `_cluster`, and the packages that `_cluster` imports.
"""
