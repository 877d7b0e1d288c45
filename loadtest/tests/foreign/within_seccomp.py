"""Runs PROGRAM with its arguments within a seccomp profile, as a container's runtime would: PROFILE PROGRAM ...

A profile is JSON as Docker, Podman and Kubernetes read it; the filter is made by libseccomp, which they use as well.
"""

import ctypes
import errno
import json
import os
import sys

ALLOW, ERRNO = 0x7FFF0000, 0x00050000
UNKNOWN_CALL = -1  # __NR_SCMP_ERROR
COMPARISONS = {"SCMP_CMP_EQ": 4, "SCMP_CMP_MASKED_EQ": 7}


class Comparison(ctypes.Structure):
    """struct scmp_arg_cmp of seccomp.h."""

    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def action(rule, name="action", number="errnoRet"):
    return ALLOW if rule[name] == "SCMP_ACT_ALLOW" else ERRNO | rule.get(number, errno.EPERM)


def comparison(argument):
    return Comparison(
        argument["index"], COMPARISONS[argument["op"]], argument["value"], argument.get("valueTwo", 0)
    )


profile = json.load(open(sys.argv[1], encoding="utf-8"))
seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
seccomp.seccomp_init.restype = ctypes.c_void_p
context = ctypes.c_void_p(seccomp.seccomp_init(action(profile, "defaultAction", "defaultErrnoRet")))
for rule in profile["syscalls"]:
    arguments = [comparison(argument) for argument in rule.get("args", [])]
    for name in rule["names"]:
        call = seccomp.seccomp_syscall_resolve_name(name.encode())
        if call == UNKNOWN_CALL:
            # Of another machine, or of another time: runtimes pass over them, too.
            print(f"libseccomp knows no call {name}", file=sys.stderr)
            continue
        # By value, in an array: the plain function takes a variable number of structures, which ctypes cannot pass.
        array = (Comparison * len(arguments))(*arguments)
        if seccomp.seccomp_rule_add_array(context, ctypes.c_uint32(action(rule)), call, len(arguments), array):
            sys.exit(f"no rule for {name}")
if seccomp.seccomp_load(context):
    sys.exit("no seccomp filter")
os.execvp(sys.argv[2], sys.argv[2:])
