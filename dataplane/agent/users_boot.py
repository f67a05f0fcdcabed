"""The first thing that runs in users' process, as the text of `python -c`: it gives its rights away, then serves.

It stands alone (standard library only), because the process sees nothing but the bundle. Limits first, which it cannot
raise again; then `no_new_privs`; then Landlock, where the kernel has it: files are read where programs, the bundle and
`/proc` lie, written in the scratch folder only; TCP goes to the allowed ports only, and none is listened on; signals
and abstract sockets stay inside. Landlock's numbers are those of the kernel's `landlock.h`.
"""

import ctypes
import json
import os
import resource
import site
import struct
import sys
from typing import Any

NO_NEW_PRIVS, CHILD_SUBREAPER = 38, 36
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
RULESET_VERSION = 1
PATH_BENEATH, NET_PORT = 1, 2
FS_BY_ABI = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}  # what a version of Landlock can rule on
FS_ALL = 0xFFFF  # from version 5 on
READ, READ_FILE, DEVICE = 0xD, 0x4, 0x8006  # execute, read files, list folders; read; read, write, control
NET_BIND_AND_CONNECT, NET_CONNECT, NET_ABI = 3, 2, 4
SCOPE_SOCKETS_AND_SIGNALS, SCOPE_ABI = 3, 6
READABLE = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/opt", "/etc", "/proc", "/sys/devices/system/cpu")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/random")
OOM_FIRST = "1000"  # when memory runs out, the kernel ends this process before any other


def main() -> None:
    """Arguments: a JSON object (limits, scratch, reads, ports), the site folder, then those of `headrace-runtime`."""
    told = json.loads(sys.argv.pop(1))
    ctypes.CDLL(None).prctl(CHILD_SUBREAPER, 1, 0, 0, 0)  # whoever leaves its parent stays below us, and is counted
    with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123  as few imports as can be
        file.write(OOM_FIRST)
    for limit, most in told["limits"]:
        hard = resource.getrlimit(limit)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (least, least))
    confine([*READABLE, *told["reads"]], told["scratch"], told["ports"])
    site.addsitedir(sys.argv.pop(1))
    from headrace_runtime.command import main as serve

    sys.exit(serve())


def confine(reads: list[str], scratch: str, ports: list[int]) -> int:
    """This thread and all that it starts; the version of Landlock that was used, 0 when the kernel has none."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    abi = int(libc.syscall(CREATE_RULESET, None, 0, RULESET_VERSION))
    if abi < 1:
        return 0
    files = FS_BY_ABI.get(abi, FS_ALL)
    rules = struct.pack(
        "QQQ",
        files,
        NET_BIND_AND_CONNECT if abi >= NET_ABI else 0,
        SCOPE_SOCKETS_AND_SIGNALS if abi >= SCOPE_ABI else 0,
    )
    size = 24 if abi >= SCOPE_ABI else 16 if abi >= NET_ABI else 8
    ruleset = _called(libc, CREATE_RULESET, rules, size, 0)
    for path in reads:
        _allow_path(libc, ruleset, path, READ & files)
    for path in DEVICES:
        _allow_path(libc, ruleset, path, DEVICE & files)
    _allow_path(libc, ruleset, scratch, files)
    for port in ports if abi >= NET_ABI else []:
        _called(libc, ADD_RULE, ruleset, NET_PORT, struct.pack("QQ", NET_CONNECT, port), 0)
    _called(libc, RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return abi


def _allow_path(libc: Any, ruleset: int, path: str, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not os.path.isdir(path):  # noqa: PTH112  as few imports as can be
        access &= DEVICE | READ_FILE | 1
    _called(libc, ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", access, place), 0)
    os.close(place)


def _called(libc: Any, number: int, *arguments: Any) -> int:
    found = int(libc.syscall(number, *arguments))
    if found < 0:
        raise OSError(ctypes.get_errno(), f"landlock: call {number}: {os.strerror(ctypes.get_errno())}")
    return found


if __name__ == "__main__":
    main()
