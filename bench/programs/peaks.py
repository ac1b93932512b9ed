"""Units of useful work a second that so many processes reach together, by kernel.

peaks.py CORES
"""

import json
import sys

from metg import peak
from tasks import KERNELS

if __name__ == "__main__":
    cores = int(sys.argv[1])
    release, python = peak(KERNELS["release"], 16_000, cores), peak(KERNELS["python"], 30_000, cores)
    print(json.dumps({"release": release, "python": python, "processes": python}))
