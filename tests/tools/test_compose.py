"""docker-compose.yml gives every service the settings that it has, and none that it does not have."""

import importlib
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from pydantic.fields import FieldInfo

from localcloud import ports
from localcloud import services as embedded
from localcloud.servers.postgres import PostgresServer, binaries
from localcloud.state import SCHEMAS
from shared.settings import ServiceSettings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = tuple(embedded.MODULES)
EMPTY_IS_WRONG = ("database_url", "redis_url", "kafka_password", "prometheus_password")


def settings_class(service: str) -> type[ServiceSettings]:
    module = importlib.import_module(f"{embedded.MODULES[service]}.settings")
    [found] = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, ServiceSettings) and one is not ServiceSettings
    ]
    return found


def variable(name: str, field: FieldInfo) -> str:
    return field.validation_alias if isinstance(field.validation_alias, str) else f"HEADRACE_{name.upper()}"


@pytest.mark.parametrize("service", OURS)
def test_every_variable_is_a_setting_of_the_service(service: str) -> None:
    known = {variable(name, field) for name, field in settings_class(service).model_fields.items()}
    given = {name for name in SERVICES[service]["environment"] if name.startswith("HEADRACE_")}
    assert given <= known, f"{service} does not know {sorted(given - known)}"


@pytest.mark.parametrize("service", OURS)
def test_the_values_are_accepted(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    example = dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / "deploy/environment.example").read_text(), re.MULTILINE))
    for name, value in SERVICES[service]["environment"].items():
        monkeypatch.setenv(name, filled(str(value), example))
    settings = settings_class(service)()
    assert settings.profile == "default"
    assert settings.stack == "production"
    stores = EMPTY_IS_WRONG if service in embedded.SCHEMA_OF else EMPTY_IS_WRONG[1:]
    assert [name for name in stores if not getattr(settings, name).get_secret_value()] == []


def filled(value: str, example: dict[str, str]) -> str:
    """The value with `${NAME:?...}` and `${NAME:-default}` replaced; an example without a value gets one."""

    def one(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        if default is None:
            assert name in example, f"deploy/environment.example does not name {name}"
        return example.get(name) or default or "filled-in"

    return re.sub(r"\$\{([A-Z_]+)(?::-([^}]*)|:\?[^}]*)?\}", one, value)


@pytest.mark.parametrize("service", OURS)
def test_each_has_its_own_schema_identity_and_limits(service: str) -> None:
    here = SERVICES[service]
    if service in embedded.SCHEMA_OF:
        schema = embedded.SCHEMA_OF[service]
        assert here["environment"]["HEADRACE_DATABASE_SCHEMA"] == schema
        assert f"//{schema}:" in here["environment"]["HEADRACE_DATABASE_URL"]
    assert any(volume.endswith(f"/{service}:/etc/headrace/tls:ro") for volume in here["volumes"])
    assert here["read_only"] is True
    assert here["cap_drop"] == ["ALL"]


def test_every_variable_of_the_file_is_in_the_example() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    asked = set(re.findall(r"\$\{([A-Z_]+):\?", text))
    example = set(re.findall(r"^([A-Z_]+)=", (ROOT / "deploy/environment.example").read_text(), re.MULTILINE))
    assert asked <= example, sorted(asked - example)


def test_the_database_script_makes_the_schemas_that_the_embedded_stack_makes() -> None:
    script = (ROOT / "deploy/postgres/roles.sh").read_text()
    [made] = re.findall(r"^for service in (.*); do$", script, re.MULTILINE)
    assert set(made.split()) == set(SCHEMAS)


def test_three_brokers_and_nothing_of_the_embedded_stack() -> None:
    brokers = {name for name in SERVICES if name.startswith("kafka-")}
    assert brokers == {"kafka-1", "kafka-2", "kafka-3"}
    assert all(SERVICES[name]["environment"]["KAFKA_MIN_INSYNC_REPLICAS"] == "2" for name in brokers)
    text = (ROOT / "docker-compose.yml").read_text() + (ROOT / "deploy/Dockerfile").read_text()
    assert "localcloud" not in text
    assert "AWS_ENDPOINT_URL" not in text


def test_prometheus_scrapes_every_service_and_the_machines() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    services, nodes = config["scrape_configs"]
    assert set(services["static_configs"][0]["targets"]) == {f"{name}:9100" for name in OURS}
    assert nodes["ec2_sd_configs"][0]["port"] == 7401


def test_the_database_script_works_on_a_real_cluster(server_directory: Path, unique_name: str) -> None:
    directory, log = server_directory / unique_name, server_directory / f"{unique_name}.log"
    server = PostgresServer(directory, ports.choose(), "pw", log, durable=False)
    server.start()
    try:
        passwords = {f"{name.upper()}_PASSWORD": f"of {name}'s" for name in (*SCHEMAS, "temporal")}
        access = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGPASSWORD": "pw"}
        path = f"{binaries()}:{os.environ['PATH']}"
        script = ["bash", str(ROOT / "deploy/postgres/roles.sh")]
        environment = {**access, **passwords, "PATH": path}
        done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        for name in SCHEMAS:
            place: dict[str, Any] = {"host": "127.0.0.1", "port": server.port, "dbname": "headrace"}
            with psycopg.connect(**place, user=name, password=f"of {name}'s") as connection:
                connection.execute("CREATE TABLE mine (n int)")
                found = connection.execute("SELECT schemaname FROM pg_tables WHERE tableowner = current_user")
                assert found.fetchall() == [(name,)]
    finally:
        server.stop()
