"""The judge's priority stays with the judge."""

import subprocess
import sys

_ASK = """
import os
from taktgate.edge.process import take_realtime_priority

def without_rights(process, policy, parameter):
    print(policy == os.SCHED_FIFO | os.SCHED_RESET_ON_FORK)
    raise PermissionError(1, "Operation not permitted")

os.sched_setscheduler = without_rights
print(take_realtime_priority(10).scheduling)
"""


def test_no_runner_inherits_the_judges_real_time_priority() -> None:
    """In a process of its own: what is granted besides would stay with this one."""
    done = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
