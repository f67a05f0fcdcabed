from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetDeploymentRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetDeploymentResponse(_message.Message):
    __slots__ = ("deployment_json",)
    DEPLOYMENT_JSON_FIELD_NUMBER: _ClassVar[int]
    deployment_json: str
    def __init__(self, deployment_json: _Optional[str] = ...) -> None: ...

class ListDeploymentsRequest(_message.Message):
    __slots__ = ("group", "page_size", "page_token")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    group: str
    page_size: int
    page_token: str
    def __init__(self, group: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDeploymentsResponse(_message.Message):
    __slots__ = ("deployment_json", "next_page_token")
    DEPLOYMENT_JSON_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    deployment_json: _containers.RepeatedScalarFieldContainer[str]
    next_page_token: str
    def __init__(self, deployment_json: _Optional[_Iterable[str]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListRevisionsRequest(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: str
    def __init__(self, group: _Optional[str] = ...) -> None: ...

class RevisionRow(_message.Message):
    __slots__ = ("revision_json", "bad", "made_at")
    REVISION_JSON_FIELD_NUMBER: _ClassVar[int]
    BAD_FIELD_NUMBER: _ClassVar[int]
    MADE_AT_FIELD_NUMBER: _ClassVar[int]
    revision_json: str
    bad: bool
    made_at: float
    def __init__(self, revision_json: _Optional[str] = ..., bad: _Optional[bool] = ..., made_at: _Optional[float] = ...) -> None: ...

class ListRevisionsResponse(_message.Message):
    __slots__ = ("revisions",)
    REVISIONS_FIELD_NUMBER: _ClassVar[int]
    revisions: _containers.RepeatedCompositeFieldContainer[RevisionRow]
    def __init__(self, revisions: _Optional[_Iterable[_Union[RevisionRow, _Mapping]]] = ...) -> None: ...

class Sample(_message.Message):
    __slots__ = ("fleet", "processed", "failed", "seconds_per_message", "nodes")
    FLEET_FIELD_NUMBER: _ClassVar[int]
    PROCESSED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    SECONDS_PER_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    fleet: str
    processed: float
    failed: float
    seconds_per_message: float
    nodes: int
    def __init__(self, fleet: _Optional[str] = ..., processed: _Optional[float] = ..., failed: _Optional[float] = ..., seconds_per_message: _Optional[float] = ..., nodes: _Optional[int] = ...) -> None: ...

class JudgeRequest(_message.Message):
    __slots__ = ("new", "old", "error_ratio_max")
    NEW_FIELD_NUMBER: _ClassVar[int]
    OLD_FIELD_NUMBER: _ClassVar[int]
    ERROR_RATIO_MAX_FIELD_NUMBER: _ClassVar[int]
    new: Sample
    old: Sample
    error_ratio_max: float
    def __init__(self, new: _Optional[_Union[Sample, _Mapping]] = ..., old: _Optional[_Union[Sample, _Mapping]] = ..., error_ratio_max: _Optional[float] = ...) -> None: ...

class JudgeResponse(_message.Message):
    __slots__ = ("judgement_json",)
    JUDGEMENT_JSON_FIELD_NUMBER: _ClassVar[int]
    judgement_json: str
    def __init__(self, judgement_json: _Optional[str] = ...) -> None: ...
