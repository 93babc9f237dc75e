"""What figures were measured on, printed beside them."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import version


def machine(packages: Iterable[str], *more: str) -> str:
    """Cores, load, Python, system, and the versions of these packages."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    told = ", ".join([f"{os.cpu_count()} cores", *more, f"load {load}"])
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return f"{told}, Python {platform.python_version()}, {platform.system()} {platform.machine()}; {versions}"
