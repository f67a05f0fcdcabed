from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ExplainRequest(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: str
    def __init__(self, group: _Optional[str] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("decision_json", "node_rate", "floors")
    class FloorsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    DECISION_JSON_FIELD_NUMBER: _ClassVar[int]
    NODE_RATE_FIELD_NUMBER: _ClassVar[int]
    FLOORS_FIELD_NUMBER: _ClassVar[int]
    decision_json: str
    node_rate: float
    floors: _containers.ScalarMap[str, int]
    def __init__(self, decision_json: _Optional[str] = ..., node_rate: _Optional[float] = ..., floors: _Optional[_Mapping[str, int]] = ...) -> None: ...

class ReserveRequest(_message.Message):
    __slots__ = ("reserve_json",)
    RESERVE_JSON_FIELD_NUMBER: _ClassVar[int]
    reserve_json: str
    def __init__(self, reserve_json: _Optional[str] = ...) -> None: ...

class ReserveResponse(_message.Message):
    __slots__ = ("answer_json",)
    ANSWER_JSON_FIELD_NUMBER: _ClassVar[int]
    answer_json: str
    def __init__(self, answer_json: _Optional[str] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("group", "activity_id", "token")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    group: str
    activity_id: str
    token: int
    def __init__(self, group: _Optional[str] = ..., activity_id: _Optional[str] = ..., token: _Optional[int] = ...) -> None: ...

class ReleaseResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RecommendRequest(_message.Message):
    __slots__ = ("group", "arrival_rate", "backlog", "cpu_percent")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    ARRIVAL_RATE_FIELD_NUMBER: _ClassVar[int]
    BACKLOG_FIELD_NUMBER: _ClassVar[int]
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    group: str
    arrival_rate: float
    backlog: float
    cpu_percent: float
    def __init__(self, group: _Optional[str] = ..., arrival_rate: _Optional[float] = ..., backlog: _Optional[float] = ..., cpu_percent: _Optional[float] = ...) -> None: ...

class RecommendResponse(_message.Message):
    __slots__ = ("decision_json",)
    DECISION_JSON_FIELD_NUMBER: _ClassVar[int]
    decision_json: str
    def __init__(self, decision_json: _Optional[str] = ...) -> None: ...

class ListDecisionsRequest(_message.Message):
    __slots__ = ("group", "page_size")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    group: str
    page_size: int
    def __init__(self, group: _Optional[str] = ..., page_size: _Optional[int] = ...) -> None: ...

class ListDecisionsResponse(_message.Message):
    __slots__ = ("decision_json",)
    DECISION_JSON_FIELD_NUMBER: _ClassVar[int]
    decision_json: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, decision_json: _Optional[_Iterable[str]] = ...) -> None: ...

class ListRatingsRequest(_message.Message):
    __slots__ = ("group", "page_size")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    group: str
    page_size: int
    def __init__(self, group: _Optional[str] = ..., page_size: _Optional[int] = ...) -> None: ...

class ListRatingsResponse(_message.Message):
    __slots__ = ("rating_json",)
    RATING_JSON_FIELD_NUMBER: _ClassVar[int]
    rating_json: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, rating_json: _Optional[_Iterable[str]] = ...) -> None: ...
