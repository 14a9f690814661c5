"""Processes in PID and IPC namespaces of their own, as containers are."""

import subprocess
from collections.abc import Sequence
from typing import Any

import psutil
import pytest

UNSHARE = ["unshare", "--pid", "--ipc", "--fork", "--mount-proc", "--kill-child"]


def contained(command: Sequence[str], **options: Any) -> "subprocess.Popen[Any]":
    """Start a command as process 1 of a container; skip the test where namespaces are denied."""
    if subprocess.run([*UNSHARE, "true"], capture_output=True).returncode:
        pytest.skip("This user may not make namespaces.")
    return subprocess.Popen([*UNSHARE, *command], **options)


def first_process(container: "subprocess.Popen[Any]") -> psutil.Process:
    """The container's process 1."""
    [process] = psutil.Process(container.pid).children()
    return process


def kill(container: "subprocess.Popen[Any]") -> None:
    """Kill what runs in the container; returns once all is gone: process 1 ends last."""
    if container.poll() is None:
        first_process(container).kill()
    container.communicate()
