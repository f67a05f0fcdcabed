"""What an agent does not load, and that it can do without."""

import subprocess
import sys

SCRIPT = """
import sys
from dataplane.agent import lean
import dataplane.agent.node

loaded = {name.partition(".")[0] for name in sys.modules if sys.modules[name] is not None}
assert not loaded & {"rich", "scipy", "boto3", "botocore", "sqlalchemy", "temporalio", "pulumi", "redis"}, loaded
lean.give_back()
"""


def test_an_agent_does_without_large_libraries() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=200)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
