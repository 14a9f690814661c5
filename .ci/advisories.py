"""Asks for known security advisories about what is installed: fails when there is one.

    python .ci/advisories.py [pip-audit's options, such as --vulnerability-service osv]

Where the service cannot be asked that is said, and nothing fails: its absence is no finding.
"""

import json
import re
import subprocess
import sys
from typing import Any

OF_PYTHON = {"pip", "setuptools"}
"""What Python itself puts into every new environment."""
AWAY = re.compile(
    r"(?:Connection|Timeout|Proxy|SSL|Service)Error|timed? ?out|could not connect", re.I
)


def audit(options: list[str]) -> int:
    """Prints what is known and returns the exit code: 1 for an advisory or an audit that broke."""
    told = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--format=json", "--progress-spinner=off",
         "--timeout=10", *options],
        capture_output=True,
        text=True,
    )  # fmt: skip
    if not told.stdout.strip():
        last = (told.stderr.strip().splitlines() or ["no word of pip-audit"])[-1]
        if AWAY.search(last):
            print(f"Advisories: NOT CHECKED, the service does not answer: {last}")
            return 0
        print(f"Advisories: pip-audit failed.\n{told.stderr}")
        return 1
    return judge(json.loads(told.stdout)["dependencies"])


def judge(packages: list[dict[str, Any]]) -> int:
    """Says how many packages were looked up, and each advisory."""
    asked = [package for package in packages if package["name"] not in OF_PYTHON]
    known = [package for package in asked if "skip_reason" not in package]
    unknown = ", ".join(package["name"] for package in asked if "skip_reason" in package)
    if not known:
        print(f"Advisories: NOT CHECKED, the service knows none of our {len(asked)} packages.")
        return 0
    found = [(package, advisory) for package in known for advisory in package["vulns"]]
    print(f"Advisories: {len(known)} packages looked up, {len(found)} advisories.")
    if unknown:
        print(f"  NOT CHECKED: {unknown}")
    for package, advisory in found:
        mended = ", ".join(advisory["fix_versions"]) or "no version yet"
        print(f"  {package['name']} {package['version']}: {advisory['id']}, mended in {mended}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(audit(sys.argv[1:]))
