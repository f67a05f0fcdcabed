from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class GetGroupRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetGroupResponse(_message.Message):
    __slots__ = ("group_json",)
    GROUP_JSON_FIELD_NUMBER: _ClassVar[int]
    group_json: str
    def __init__(self, group_json: _Optional[str] = ...) -> None: ...

class ListGroupsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListGroupsResponse(_message.Message):
    __slots__ = ("group_json", "pipeline_json")
    GROUP_JSON_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_JSON_FIELD_NUMBER: _ClassVar[int]
    group_json: _containers.RepeatedScalarFieldContainer[str]
    pipeline_json: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, group_json: _Optional[_Iterable[str]] = ..., pipeline_json: _Optional[_Iterable[str]] = ...) -> None: ...

class ListEnvironmentsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListEnvironmentsResponse(_message.Message):
    __slots__ = ("environment_json",)
    ENVIRONMENT_JSON_FIELD_NUMBER: _ClassVar[int]
    environment_json: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, environment_json: _Optional[_Iterable[str]] = ...) -> None: ...

class ListDriftRequest(_message.Message):
    __slots__ = ("group", "include_repaired")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_REPAIRED_FIELD_NUMBER: _ClassVar[int]
    group: str
    include_repaired: bool
    def __init__(self, group: _Optional[str] = ..., include_repaired: _Optional[bool] = ...) -> None: ...

class ListDriftResponse(_message.Message):
    __slots__ = ("finding_json",)
    FINDING_JSON_FIELD_NUMBER: _ClassVar[int]
    finding_json: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, finding_json: _Optional[_Iterable[str]] = ...) -> None: ...

class GetRoutesRequest(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: str
    def __init__(self, group: _Optional[str] = ...) -> None: ...

class GetRoutesResponse(_message.Message):
    __slots__ = ("routes_json",)
    ROUTES_JSON_FIELD_NUMBER: _ClassVar[int]
    routes_json: str
    def __init__(self, routes_json: _Optional[str] = ...) -> None: ...

class WatchRoutesRequest(_message.Message):
    __slots__ = ("group", "generation")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    group: str
    generation: int
    def __init__(self, group: _Optional[str] = ..., generation: _Optional[int] = ...) -> None: ...

class WatchRoutesResponse(_message.Message):
    __slots__ = ("routes_json", "assignment_json")
    ROUTES_JSON_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENT_JSON_FIELD_NUMBER: _ClassVar[int]
    routes_json: str
    assignment_json: str
    def __init__(self, routes_json: _Optional[str] = ..., assignment_json: _Optional[str] = ...) -> None: ...

class GetRampRequest(_message.Message):
    __slots__ = ("pipeline",)
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    def __init__(self, pipeline: _Optional[str] = ...) -> None: ...

class GetRampResponse(_message.Message):
    __slots__ = ("percent", "detail")
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    percent: int
    detail: str
    def __init__(self, percent: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class PlanGroupRequest(_message.Message):
    __slots__ = ("spec_json",)
    SPEC_JSON_FIELD_NUMBER: _ClassVar[int]
    spec_json: str
    def __init__(self, spec_json: _Optional[str] = ...) -> None: ...

class PlanGroupResponse(_message.Message):
    __slots__ = ("changes", "warnings")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedScalarFieldContainer[str]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, changes: _Optional[_Iterable[str]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class ListDeadLettersRequest(_message.Message):
    __slots__ = ("pipeline", "stage", "limit", "reason", "include_redriven")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_REDRIVEN_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    stage: str
    limit: int
    reason: str
    include_redriven: bool
    def __init__(self, pipeline: _Optional[str] = ..., stage: _Optional[str] = ..., limit: _Optional[int] = ..., reason: _Optional[str] = ..., include_redriven: _Optional[bool] = ...) -> None: ...

class ListDeadLettersResponse(_message.Message):
    __slots__ = ("letters_json",)
    LETTERS_JSON_FIELD_NUMBER: _ClassVar[int]
    letters_json: str
    def __init__(self, letters_json: _Optional[str] = ...) -> None: ...

class GetDeadLetterRequest(_message.Message):
    __slots__ = ("pipeline", "stage", "offset")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    stage: str
    offset: int
    def __init__(self, pipeline: _Optional[str] = ..., stage: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class GetDeadLetterResponse(_message.Message):
    __slots__ = ("letter_json",)
    LETTER_JSON_FIELD_NUMBER: _ClassVar[int]
    letter_json: str
    def __init__(self, letter_json: _Optional[str] = ...) -> None: ...

class JoinRequest(_message.Message):
    __slots__ = ("token", "instance_id", "group", "fleet", "csr_pem")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    FLEET_FIELD_NUMBER: _ClassVar[int]
    CSR_PEM_FIELD_NUMBER: _ClassVar[int]
    token: str
    instance_id: str
    group: str
    fleet: str
    csr_pem: str
    def __init__(self, token: _Optional[str] = ..., instance_id: _Optional[str] = ..., group: _Optional[str] = ..., fleet: _Optional[str] = ..., csr_pem: _Optional[str] = ...) -> None: ...

class JoinResponse(_message.Message):
    __slots__ = ("certificate_pem", "assignment_json", "routes_json")
    CERTIFICATE_PEM_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENT_JSON_FIELD_NUMBER: _ClassVar[int]
    ROUTES_JSON_FIELD_NUMBER: _ClassVar[int]
    certificate_pem: str
    assignment_json: str
    routes_json: str
    def __init__(self, certificate_pem: _Optional[str] = ..., assignment_json: _Optional[str] = ..., routes_json: _Optional[str] = ...) -> None: ...
