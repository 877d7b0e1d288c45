"""Compares instruction counts with those that were accepted: reads what gungraun prints as JSON, a line per bench.

    counts.py show|gate|accept ACCEPTED.json <lines

`show` prints what was counted. `gate` compares: exit 1 where a step costs over 2 % more, or has no accepted count.
`accept` writes the file. Counts are per unit: the first number in a case's name says how many there are. Large copies
look dearer than they are: from 2 KiB on the C library uses `rep movsb`, which valgrind counts once per byte.

Counts depend on the compiler and on what the processor and the C library offer. Where those differ from what the counts
were accepted with, the gate says so and judges all the same: a gate that lets things pass is none.
"""

import json
import platform
import re
import subprocess
import sys
from pathlib import Path

MORE_PERCENT_MAX = 2


def read_counts(lines):
    """Instructions per unit of every case, by its name."""
    counts = {}
    for line in lines:
        bench = json.loads(line)
        instructions = bench["profiles"][0]["data"]["total"]["metrics"]["Ir"]["values"]["new"]
        name = f"{bench['function_name']}/{bench['id']}"
        counts[name] = round(instructions / units(name)[0], 2)
    return counts


def units(name):
    """How many units a run of this case serves, and the word for one.

    >>> units("flush/to_1000_clients_of_16_frames"), units("path/of_1_delivery_over_8_shards")
    ((1000, 'client'), (1, 'delivery'))
    """
    number, word = re.search(r"_(\d+)_([a-z]+)", name.split("/")[1]).groups()
    return int(number), {"deliveries": "delivery"}.get(word, word.removesuffix("s"))


def verdict(accepted, counted):
    """What has become of a case; a word in capitals fails the gate.

    >>> [verdict(50, counted) for counted in (49, 51, 51.1, 48.9, None)]
    ['', '', 'WORSE', 'better', 'GONE']
    >>> verdict(None, 50)
    'NEW'
    """
    if accepted is None:
        return "NEW"
    if counted is None:
        return "GONE"
    change = round(change_percent(accepted, counted), 6)
    if change > MORE_PERCENT_MAX:
        return "WORSE"
    return "better" if change < -MORE_PERCENT_MAX else ""


def change_percent(accepted, counted):
    return (counted / accepted - 1) * 100


def environment():
    """What counts depend on beside the code."""
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    vectors = {"avx", "avx2"} & set(flags[1].split() if flags else [])
    return {
        "rustc": output_of("rustc", "--version"),
        "valgrind": output_of("valgrind", "--version"),
        "libc": " ".join(platform.libc_ver()),
        "processor": " ".join([platform.machine(), *sorted(vectors)]),
    }


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def print_row(name, accepted, counted, remark):
    numbers = [f"{number:11.2f}" if number else f"{'-':>11}" for number in (accepted, counted)]
    change = f"{change_percent(accepted, counted):+8.1f}%" if accepted and counted else f"{'-':>9}"
    print(f"{name:<50}{''.join(numbers)}{change}  per {units(name)[1]:<9} {remark}".rstrip())


def show(accepted, counted):
    """What every case costs, beside what it cost."""
    print(f"{'instructions':<50}{'accepted':>11}{'now':>11}{'change':>9}")
    for name in counted:
        print_row(name, accepted.get(name), counted[name], "")


def gate(stored, counted):
    """Prints the comparison and what to do about it; the exit code."""
    accepted = stored["instructions"]
    verdicts = {name: verdict(accepted.get(name), counted.get(name)) for name in counted | accepted}
    print(f"{'instructions':<50}{'accepted':>11}{'now':>11}{'change':>9}")
    for name in verdicts:
        print_row(name, accepted.get(name), counted.get(name), verdicts[name])
    print_differences(stored["environment"], environment())
    if "better" in verdicts.values():
        print(f"Some steps are better by over {MORE_PERCENT_MAX} %: `scripts/bench --accept` holds that.")
    if any(word.isupper() for word in verdicts.values()):
        print(f"FAILED: a step costs over {MORE_PERCENT_MAX} % more, is new or is gone.")
        print("If that is meant: `scripts/bench --accept`, and the commit says why.")
        return 1
    print(f"passed: no step costs over {MORE_PERCENT_MAX} % more.")
    return 0


def print_differences(accepted_with, counted_with):
    for name, value in accepted_with.items():
        if counted_with[name] != value:
            print(f"! {name}: accepted with {value}, counted with {counted_with[name]}")
            print("  Changes may come from that: run `scripts/bench --accept` on the commit you started from.")


def main(command, path):
    path = Path(path)
    counted = read_counts(sys.stdin)
    if not counted:
        sys.exit("nothing was counted")
    stored = json.loads(path.read_text()) if path.exists() else {"environment": {}, "instructions": {}}
    if command == "gate":
        sys.exit(gate(stored, counted))
    show(stored["instructions"], counted)
    if command == "accept":
        path.write_text(json.dumps({"environment": environment(), "instructions": counted}, indent=2) + "\n")
        print(f"accepted: {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
