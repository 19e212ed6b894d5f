"""Counts the test cases in JUnit reports: prints "passed failed skipped".

Both Boost.Test and pytest write such reports, but only at their end. A report that is missing or broken
off therefore counts as one failed test, for a program that crashed.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as xml
from collections import Counter


def outcome(case: xml.Element) -> str:
    children = {child.tag for child in case}
    if children & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in children else "passed"


def count(path: str) -> Counter[str]:
    try:
        return Counter(outcome(case) for case in xml.parse(path).getroot().iter("testcase"))
    except (OSError, xml.ParseError):
        return Counter(failed=1)


def main() -> None:
    total: Counter[str] = Counter()
    for path in sys.argv[1:]:
        total += count(path)
    print(total["passed"], total["failed"], total["skipped"])


if __name__ == "__main__":
    main()
