"""The SDK and the contracts are two descriptions of the same JSON: held together here, class by class."""

import io
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import headrace
from headrace import (
    Autoscaling,
    BlueGreen,
    Canary,
    CpuTarget,
    DeclarationError,
    Edge,
    Environment,
    FeatureServerGroup,
    FeatureServing,
    GroupCall,
    HttpIngest,
    HttpSink,
    IngestServerGroup,
    InPlace,
    LagTarget,
    MetricTarget,
    Normalize,
    OnlineStore,
    Pipeline,
    ProvisionedScaling,
    PushIngest,
    Ramp,
    RetryPolicy,
    Rolling,
    Slo,
    Stage,
    StageServerGroup,
    Topic,
    TopicSink,
    Transform,
    TransformServerGroup,
    Transmit,
    load,
)
from headrace.cli.yaml_text import as_yaml
from headrace.declaring import Declared, HeadraceObject
from headrace.packing import pack
from services.admin_api.domain.code_bundle import checked_bundle
from shared.contracts import objects

ENV = Environment(name="env", requirements="headrace-runtime\nnumpy==2.1\n", python="3.12", owner="me")
AUTO = Autoscaling(
    min_nodes=1,
    max_nodes=9,
    targets=[LagTarget(seconds="5s"), CpuTarget(percent=60), MetricTarget(metric="m", value=3)],
    node_rate=500,
    scale_in_after="15m",
)
WORKS = [
    HttpIngest(id_field="i", key_field="k"),
    Normalize(required=["a"], rename={"x": "y"}, defaults={"z": 1, "n": None}),
    Transform(function="score", timeout="2s", group="t"),
    Transmit(sinks=[HttpSink(url="http://x"), TopicSink(topic=Topic(name="out"))]),
]
STAGES = [
    Stage(name=f"s{i}", group=f"g{i}", work=w, retry=RetryPolicy(attempts=2, max="9s")) for i, w in enumerate(WORKS)
]
EXAMPLES: list[tuple[Declared, type[Any]]] = [
    (ENV, objects.Environment),
    (
        TransformServerGroup(name="t", environment=ENV, code="0" * 64, scaling=AUTO, rollout=Canary(bake="5m")),
        objects.ServerGroup,
    ),
    (
        FeatureServerGroup(name="f", scaling=ProvisionedScaling(desired_nodes=2), rollout=BlueGreen()),
        objects.ServerGroup,
    ),
    (
        FeatureServerGroup(
            name="served",
            scaling=AUTO,
            serving=FeatureServing(
                store=OnlineStore(url="redis://store:6379/0", view="planes", password_file="/etc/store"),
                transform=GroupCall(group="t", timeout="300ms"),
                defaults={"flights": 0},
            ),
        ),
        objects.ServerGroup,
    ),
    (
        IngestServerGroup(
            name="pushed", scaling=AUTO, serving=PushIngest(topic="out", keep="1d", transform=GroupCall(group="t"))
        ),
        objects.ServerGroup,
    ),
    (IngestServerGroup(name="i", scaling=AUTO, rollout=InPlace(bake_s=3), variables={"A": "b"}), objects.ServerGroup),
    (
        StageServerGroup(name="s", scaling=AUTO, rollout=Rolling(percents=[10, 100]), slo=Slo(lag_p95=2)),
        objects.ServerGroup,
    ),
    (
        Pipeline(
            name="p",
            stages=STAGES,
            edges=[("s0", "s1"), Edge(source=STAGES[1], target="s2"), (STAGES[2], STAGES[3])],
            ramp=Ramp(percents=[5, 100], bake="1m"),
        ),
        objects.Pipeline,
    ),
]


@pytest.mark.parametrize(("declared", "contract"), EXAMPLES, ids=lambda x: getattr(x, "name", ""))
def test_every_object_round_trips(declared: Declared, contract: type[Any]) -> None:
    spec = declared.spec()
    assert contract.model_validate(spec).model_dump(mode="json") == spec
    assert type(declared)(**spec).spec() == spec


def test_every_class_has_the_fields_and_defaults_of_its_contract() -> None:
    kinds = {"TransformServerGroup", "FeatureServerGroup", "IngestServerGroup", "StageServerGroup"}
    compared = 0
    for name in headrace.__all__:
        ours: Any = getattr(headrace, name)
        theirs: Any = getattr(objects, "ServerGroup" if name in kinds else name, None)
        if not (isinstance(ours, type) and issubclass(ours, Declared)) or theirs is None:
            continue
        compared += 1
        assert set(ours.model_fields) == set(theirs.model_fields), name
        for field, info in ours.model_fields.items():
            if field != "kind" and not info.is_required():
                default, wanted = info.get_default(call_default_factory=True), theirs.model_fields[field]
                expected = wanted.get_default(call_default_factory=True)
                plain = default.spec() if isinstance(default, Declared) else default
                assert plain == (expected.model_dump(mode="json") if hasattr(expected, "model_dump") else expected), (
                    name
                )
    assert compared >= 22, compared


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Environment(name="Bad", requirements="x"), ["name", "'Bad'", "a-z"]),
        (lambda: Environment(name="e", requirements="none.txt"), ["requirements", "none.txt", "cannot be read"]),
        (lambda: Autoscaling(min_nodes=3, max_nodes=2), ["min_nodes 3", "max_nodes 2", "lower"]),
        (
            lambda: Autoscaling(min_nodes=3),  # type: ignore[call-arg]  # the mistake
            ["max_nodes", "missing"],
        ),
        (lambda: Canary(percnt=3), ["percnt", "did you mean 'percent'"]),
        (lambda: Canary(bake="soon"), ["bake_s", "'soon'", "duration"]),
        (lambda: CpuTarget(percent=160), ["percent", "160", "100"]),
        (lambda: TransformServerGroup(name="t", code="x", scaling=AUTO), ["no environment"]),
        (lambda: Pipeline(name="p", stages=STAGES, edges=[("s0", "s1"), ("s1", "s0")]), ["cycle", "s0"]),
        (lambda: Pipeline(name="p", stages=STAGES, edges=[("s0", "zz")]), ["'zz'", "no stage"]),
        (lambda: Pipeline(name="p", stages=[STAGES[0], STAGES[0]]), ["'s0'", "twice"]),
    ],
)
def test_a_mistake_names_file_line_field_value_and_remedy(make: Any, words: list[str]) -> None:
    with pytest.raises(DeclarationError) as caught:
        make()
    text = f"{caught.value.message} {caught.value.remedy}"
    for word in [*words, "test_sdk.py:"]:
        assert word in text, text


def test_load_collects_in_order_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "envs.py").write_text(
        "from headrace import Environment\ne = Environment(name='e', requirements='r.txt')\n"
    )
    (tmp_path / "r.txt").write_text("headrace-runtime\n")
    (tmp_path / "groups.py").write_text(
        "from headrace import *\nfrom envs import e\n"
        "g = TransformServerGroup(name='g', environment=e, code='./c', scaling=ProvisionedScaling(desired_nodes=1))\n"
    )
    (tmp_path / "script.py").write_text("raise SystemExit(1)\n")
    before = set(sys.modules)
    loaded = load(tmp_path)
    assert [o.name for o in loaded.objects] == ["e", "g"]
    assert loaded.environments[0].requirements == "headrace-runtime\n"
    assert loaded.groups[0].code_folder == tmp_path / "c"
    assert loaded.left_out == ("script.py",)
    assert {"envs", "groups"} & (set(sys.modules) - before) == set()
    assert not (tmp_path / "__pycache__").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("from headrace import *\nx = 1 / 0\n", ["bad.py:2", "ZeroDivisionError"]),
        ("from headrace import *\nx = (\n", ["bad.py:2", "SyntaxError"]),
        ("from headrace import *\n\ne = Environment(nam='e', requirements='')\n", ["bad.py:3", "did you mean 'name'"]),
        (
            "from headrace import *\na = Environment(name='e', requirements='')\nb = a.changed(owner='x')\n",
            ["bad.py:3", "bad.py:2", "already"],
        ),
    ],
)
def test_load_says_where_it_went_wrong(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(DeclarationError) as caught:
        load(tmp_path)
    for word in words:
        assert word in f"{caught.value.message} {caught.value.remedy}"


def test_the_same_code_packs_to_the_same_bytes_and_is_accepted(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "pkg" / "__pycache__").mkdir(parents=True)
        (tmp_path / name / "pkg" / "score.py").write_text("x = 1\n")
        (tmp_path / name / "pkg" / "__pycache__" / "score.pyc").write_bytes(name.encode())
    one, two = pack(tmp_path / "a"), pack(tmp_path / "b")
    assert one.sha256 == two.sha256
    assert checked_bundle(one.content).files == 1
    with tarfile.open(fileobj=io.BytesIO(one.content)) as tar:
        assert tar.getnames() == ["pkg/score.py"]
    (tmp_path / "a" / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(DeclarationError, match="links to a file outside"):
        pack(tmp_path / "a")
    with pytest.raises(DeclarationError, match="no folder"):
        pack(tmp_path / "none")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_yaml_reads_back_as_it_was(value: Any) -> None:
    assert yaml.safe_load(as_yaml(value)) == value


def test_objects_know_where_they_were_declared() -> None:
    made: HeadraceObject = Environment(name="here", requirements="")
    assert "test_sdk.py:" in made.declared_at
