"""A machine's program for tests: learns who it is from its metadata, completes its launching hook, ends on SIGTERM.

With `ignore-sigterm` it has to be killed.
"""

import json
import os
import signal
import sys
import threading
import urllib.request
from pathlib import Path

ASKED = threading.Event()


def token() -> str:
    request = urllib.request.Request(
        os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] + "latest/api/token",
        method="PUT",
        headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(answer.read().decode())


def metadata(path: str) -> str:
    request = urllib.request.Request(
        os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] + "latest/" + path,
        headers={"X-aws-ec2-metadata-token": token()},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(answer.read().decode())


def say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def main() -> None:
    stubborn = "ignore-sigterm" in sys.argv
    signal.signal(signal.SIGTERM, signal.SIG_IGN if stubborn else lambda *_: ASKED.set())
    instance_id, user_data = metadata("meta-data/instance-id"), json.loads(metadata("user-data"))
    told = {
        "id": instance_id,
        "address": metadata("meta-data/local-ipv4"),
        "user_data": user_data,
        "environment": dict(os.environ),
    }
    if user_data.get("hook"):  # with the role's credentials, as boto3 finds them
        import boto3

        boto3.client("autoscaling").complete_lifecycle_action(
            AutoScalingGroupName=user_data["group"],
            LifecycleHookName=user_data["hook"],
            InstanceId=instance_id,
            LifecycleActionResult="CONTINUE",
        )
        told["identity"] = boto3.client("sts").get_caller_identity()["Arn"]
    Path(os.environ["HEADRACE_NODE_STATE_DIR"], "told.json").write_text(json.dumps(told))
    say("ready")
    ASKED.wait()
    say("ended in order")


if __name__ == "__main__":
    main()
