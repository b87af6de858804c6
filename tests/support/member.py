"""A group member in a process of its own, to be killed: bootstrap, group, embedded|apache, a file to touch, topics."""

import sys
from pathlib import Path

from tests.support.topics import Member

if __name__ == "__main__":
    bootstrap, group, kind, ready, *topics = sys.argv[1:]
    member = Member(bootstrap, group, topics, embedded=kind == "embedded", assignor="range")
    while True:
        if member.is_assigned():
            Path(ready).touch()
