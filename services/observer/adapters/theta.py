"""Theta sketches: sets of event ids in a few kilobytes, exact while they are small, with known error beyond."""

from collections.abc import Sequence

from datasketches import compact_theta_sketch, theta_a_not_b, theta_union

from services.observer.domain.loss import Comparison
from shared.domain.errors import InvalidInput

LG_K = 14  # a union is exact up to about 16,384 ids if its parts are
SKETCH_BYTES_MAX = 512 * 1024


def checked_sketch(data: bytes) -> bytes:
    """Give the bytes back if they are a compact Theta sketch."""
    if len(data) > SKETCH_BYTES_MAX:
        raise InvalidInput(f"sketch: {len(data)} bytes are more than {SKETCH_BYTES_MAX}", field="sketch")
    try:
        compact_theta_sketch.deserialize(data)
    except (RuntimeError, ValueError, IndexError) as e:
        raise InvalidInput(f"sketch: it is not a compact Theta sketch ({e})", field="sketch") from e
    return data


def _union(sketches: Sequence[bytes]) -> compact_theta_sketch:
    union = theta_union(LG_K)
    for data in sketches:
        union.update(compact_theta_sketch.deserialize(data))
    return union.get_result()


def compare_sketches(source: Sequence[bytes], target: Sequence[bytes], dropped: int) -> Comparison:
    """Union over nodes at both points, then both set differences."""
    sent, seen = _union(source), _union(target)
    lost = theta_a_not_b().compute(sent, seen)
    unexpected = theta_a_not_b().compute(seen, sent)
    error = lost.get_upper_bound(1) - lost.get_estimate() if lost.is_estimation_mode() else 0.0
    return Comparison(sent.get_estimate(), lost.get_estimate(), unexpected.get_estimate(), float(dropped), error)


def size_of(sketches: Sequence[bytes]) -> float:
    """Distinct ids."""
    return float(_union(sketches).get_estimate())
