"""The processes that stand in for the cloud: the AWS front, and the `aws` provider that Pulumi's engine speaks to."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from localcloud.ports import LOOPBACK, answers
from localcloud.process import Launch, StackProcess

REGION = "us-east-1"
ACCESS_KEY_ID = "AKIAHEADRACECONTROL0"
PROBE_S_MAX = 1.0


class AwsFront(StackProcess):
    """The embedded AWS; its machines are processes of this computer."""

    name = "aws"
    layer = 1
    stop_s_max = 30.0  # it ends its machines first

    def __init__(self, directory: Path, port: int, secret_key: str, log: Path) -> None:
        """`secret_key`: of the control plane's principal."""
        super().__init__(log)
        self._directory = directory
        self.port = port
        self._secret_key = secret_key

    def ports(self) -> tuple[int, ...]:
        """One port."""
        return (self.port,)

    @property
    def url(self) -> str:
        """The endpoint of every AWS service."""
        return f"http://{LOOPBACK}:{self.port}"

    def client_environment(self) -> dict[str, str]:
        """What AWS clients of the control plane are given."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": self._secret_key,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def prepare(self) -> None:
        """Make the directory."""
        self._directory.mkdir(parents=True, exist_ok=True)

    def launch(self) -> Launch:
        """The front itself."""
        place = ("--port", str(self.port), "--machines", "process", "--state", str(self._directory / "state"))
        rights = ("--iam", "roles")  # nodes can do what their policies say, and nothing else
        return Launch(
            (sys.executable, "-m", "localcloud.aws", *place, *rights), base_environment(), directory=self._directory
        )

    def is_ready(self) -> bool:
        """Whether it says that it is."""
        try:
            return httpx.get(f"{self.url}/_localcloud/health", timeout=PROBE_S_MAX).is_success
        except httpx.HTTPError:
            return False


class PulumiProvider(StackProcess):
    """The stand-in for Pulumi's `aws` plugin."""

    name = "pulumi-provider"
    layer = 1

    def __init__(self, port: int, aws: Mapping[str, str], log: Path) -> None:
        """`aws`: the environment of an AWS client."""
        super().__init__(log)
        self.port = port
        self._aws = aws

    def ports(self) -> tuple[int, ...]:
        """One port."""
        return (self.port,)

    def launch(self) -> Launch:
        """The provider itself."""
        command = (sys.executable, "-m", "localcloud.aws.pulumi_provider", "--port", str(self.port))
        return Launch(command, {**base_environment(), **self._aws})

    def is_ready(self) -> bool:
        """Whether it listens."""
        return answers(self.port)


def base_environment() -> dict[str, str]:
    """What every Python process of the stack is given: where programs are, and how this machine reaches registries."""
    root = Path(__file__).resolve().parents[1]
    path = [str(Path(sys.executable).parent), str(root / ".tools" / "bin"), os.environ.get("PATH", "/usr/bin:/bin")]
    kept = ("HOME", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "HEADRACE_CACHE")
    passed = {name: value for name, value in os.environ.items() if name in kept or _is_for_registries(name)}
    return {**passed, "PATH": ":".join(path), "PYTHONUNBUFFERED": "1"}


def _is_for_registries(name: str) -> bool:
    return name.startswith(("UV_", "PIP_")) or name.lower() in {"http_proxy", "https_proxy", "no_proxy", "all_proxy"}
