"""Runs a command to its end, and says what it cost."""

import os
import subprocess
import time


def run(command, stderr=None):
    """What the command prints, and its seconds, CPU seconds and peak memory, with those of its own children."""
    began = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr)
    output = child.stdout.read().decode()
    child.stdout.close()
    # Popen's own wait would take the child's end, and its usage with it.
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{command[0]} ended with status {child.returncode}\n{output}")
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return output, {
        "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_memory_bytes": usage.ru_maxrss * 1024,
    }
