"""A node whose state lies too deep for a socket gets a temporary folder, and a node that was killed leaves none for long."""

import subprocess
import sys
from pathlib import Path

from dataplane.agent.users_place import place_for_users, remove_left

PROGRAM = """
import sys
from pathlib import Path
from dataplane.agent.users_place import place_for_users
print(place_for_users(Path(sys.argv[1]), Path(sys.argv[2])), flush=True)
sys.stdin.read()
"""


def test_the_next_node_removes_what_a_killed_one_left_and_nothing_else(tmp_path: Path) -> None:
    temporary = tmp_path
    deep = temporary / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    (temporary / "headrace-somebodys").mkdir()
    command = [sys.executable, "-c", PROGRAM, str(deep), str(temporary)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout
        place = Path(node.stdout.readline().strip())
        (place / "scratch").mkdir()
        assert place.parent == temporary
        assert remove_left(temporary) == []
        assert place.stat().st_mode & 0o777 == 0o755
        node.kill()
        node.wait(60)
        own = place_for_users(deep, temporary)
    assert own.parent == temporary
    assert not place.exists()
    assert (temporary / "headrace-somebodys").exists()
    assert own.exists()
