"""Kafka's jars, from Maven: `.tools/kafka/libs`. Java runs them."""

import re
import shutil
import subprocess
from pathlib import Path

from tools.setup.step import TOOLS, Cached, SetupError, key_of, link, run, stamped

VERSION = "4.4.0"
JAVA_MIN = 17
POM = Path(__file__).parent / "kafka" / "pom.xml"
GOAL = "dependency:copy-dependencies"


class KafkaBroker:
    """Fetches the jars and checks that Java can run them."""

    name = "Kafka"

    def __init__(self) -> None:
        self._cached = Cached("kafka", VERSION)
        self._key = key_of(POM, VERSION)

    def ready(self) -> bool:
        """Whether the jars are there and linked."""
        return stamped(self._cached.path, self._key) and (TOOLS / "kafka" / "libs").is_dir()

    def make(self) -> None:
        """Fetch what the POM names."""
        require_java()
        if not shutil.which("mvn"):
            raise SetupError("Kafka: Maven is missing: install it (on Debian `apt-get install maven`).")
        link("kafka", self._cached.make(self._key, _copy_jars))


def _copy_jars(directory: Path) -> None:
    options = [f"-DoutputDirectory={directory / 'libs'}", "-DincludeScope=runtime"]
    run(["mvn", "-B", "-q", "-f", str(POM), GOAL, *options], what="fetching Kafka")


def require_java() -> None:
    """Raise SetupError unless a Java that can run Kafka is on the PATH."""
    remedy = f"install Java {JAVA_MIN} or newer (on Debian `apt-get install openjdk-17-jre-headless`)."
    if not shutil.which("java"):
        raise SetupError(f"Kafka: Java is missing: {remedy}")
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    if not found or int(found.group(1)) < JAVA_MIN:
        raise SetupError(f"Kafka: Java is too old ({said.splitlines()[0] if said else 'no version'}): {remedy}")
