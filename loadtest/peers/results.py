"""Makes records and one table of the runs that scripts/peers left behind.

    results.py RUNS OUTPUT VERSIONS

RUNS holds one file `LOAD~SUBJECT~ROUND.json` for each run, as `fanout-loadtest --json` printed it. OUTPUT gets one
record `peers-LOAD.json` for each load (the form is `loadtest::tester::record`); the table goes to standard output, with
VERSIONS, a sentence's worth of names and numbers, in its foot.
"""

import collections
import datetime
import itertools
import json
import os
import pathlib
import platform
import statistics
import sys

# Columns of the table, and what is shown of each: the figures of a delivery, or memory alone.
LOADS = {
    "window-1": ("1 000 clients, window 1", "delivery"),
    "window-16": ("1 000 clients, window 16", "delivery"),
    "clients-10000": ("10 000 clients, window 4", "delivery"),
    "users-5000": ("5 000 users, window 64", "delivery"),
    "idle-10000": ("memory per client, 10 000 idle", "memory"),
}
# Rows, in this order.
SUBJECTS = {
    "floor send": "*floor*: bare `send`",
    "floor joined": "*floor*: joined `send`",
    "fanout": "**fanout**",
    "nchan": "nchan (nginx)",
    "nats": "NATS",
    "mqtt": "mosquitto",
    "ws": "Node `ws`",
    "socketio": "Node `socket.io`",
}
# How the tester's reasons begin where it was the limit itself; everything else is the server's failure.
SATURATED = "the tester"
AXES = ("clients", "users", "window", "rate", "size")

Run = collections.namedtuple("Run", "load subject round outcome")


def read_runs(directory):
    """Every run of the directory, in the order in which they were made."""
    runs = []
    for path in sorted(pathlib.Path(directory).glob("*.json"), key=lambda path: path.stat().st_mtime_ns):
        load, subject, number = path.stem.split("~")
        runs.append(Run(load, subject, int(number), json.loads(path.read_text())))
    return runs


def machine():
    """What a reader must know of this machine; nothing that names it."""
    info = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = sum(line.startswith("processor") for line in info)
    congestion_control = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return {
        "kernel": platform.release(),
        "cpu": (names or [""])[0],
        "cores": cores,
        "memory_bytes": memory,
        "congestion_control": congestion_control,
    }


def axes(outcome):
    """The settings that are numbers, for the axes of plots."""
    settings = outcome["settings"]
    return {name: int(settings[name]) for name in AXES if str(settings.get(name, "")).isdigit()}


def write_records(runs, directory):
    """One record for each load, with one line for each run."""
    pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
    for load in dict.fromkeys(run.load for run in runs):
        lines = [
            json.dumps(
                {"subject": run.subject, "round": run.round, "settings": axes(run.outcome), "outcome": run.outcome}
            )
            for run in runs
            if run.load == load
        ]
        row = f"peers-{load}"
        head = f'{{"row": "{row}",\n "date": "{datetime.date.today()}",\n "machine": {json.dumps(machine())},\n'
        text = head + ' "runs": [\n' + ",\n".join(lines) + "\n]}\n"
        (pathlib.Path(directory) / f"{row}.json").write_text(text)


def figure(run):
    """What is compared: processor time per delivery, or memory per client."""
    server = run.outcome["server"] or {}
    name = "rss_bytes_per_connection" if LOADS[run.load][1] == "memory" else "cpu_ns_per_delivery"
    return server.get(name)


def ratios(runs, own):
    """Each round's figure against fanout's figure of the same round."""
    yardsticks = {run.round: figure(run) for run in own}
    return [figure(run) / yardsticks[run.round] for run in runs if figure(run) and yardsticks.get(run.round)]


def rounded(number):
    """Three significant digits, written out."""
    digits = 2 if abs(number) < 10 else 1 if abs(number) < 100 else 0
    return f"{number:.{digits}f}"


def scaled(number, units):
    """A number in the largest of its units that it fills, or in the smallest; with that unit's size and name."""
    size, unit = next((each for each in units if number >= each[0]), units[-1])
    return number / size, size, unit


def with_spread(numbers, units):
    """Median, least and most in one unit; the median alone where there is nothing else."""
    middle, size, unit = scaled(statistics.median(numbers), units)
    if len(numbers) == 1:
        return f"{rounded(middle)} {unit}"
    return f"{rounded(middle)} {unit} ({rounded(min(numbers) / size)}–{rounded(max(numbers) / size)})"


PROCESSOR_TIME = [(1e6, "ms"), (1e3, "µs")]
MEMORY = [(1e3, "KB"), (1, "B")]
RATE = [(1e6, "M/s"), (1e3, "k/s"), (1, "/s")]


def is_saturated(run):
    """Whether the tester was the limit."""
    return any(reason.startswith(SATURATED) for reason in run.outcome["reasons"])


def cell(runs, own):
    """The medians of one subject under one load."""
    figures = [figure(run) for run in runs if figure(run) is not None]
    if not figures:
        return "–"
    against = ratios(runs, own)
    ratio = [f"{rounded(statistics.median(against))} ×"] if against else []
    if LOADS[runs[0].load][1] == "memory":
        return " · ".join([with_spread(figures, MEMORY), *ratio])
    rate, size, unit = scaled(statistics.median(run.outcome["delivered_per_second"] for run in runs), RATE)
    bound = "≥ " if any(map(is_saturated, runs)) else ""
    return " · ".join([with_spread(figures, PROCESSOR_TIME), *ratio, f"{bound}{rounded(rate)} {unit}"])


def by_place(runs):
    """The runs of each load and subject."""
    places = collections.defaultdict(list)
    for run in runs:
        places[run.load, run.subject].append(run)
    return places


def rows_and_columns(runs):
    """The subjects and the loads of which there is any run, in their order."""
    subjects = [subject for subject in SUBJECTS if any(run.subject == subject for run in runs)]
    loads = [load for load in LOADS if any(run.load == load for run in runs)]
    return subjects, loads


def table(runs):
    """One row for each subject, one column for each load that was run."""
    places = by_place(runs)
    subjects, loads = rows_and_columns(runs)
    yield "| server | " + " | ".join(LOADS[load][0] for load in loads) + " |"
    yield "|---|" + "---|" * len(loads)
    for subject in subjects:
        cells = [cell(places[load, subject], places[load, "fanout"]) for load in loads]
        yield f"| {SUBJECTS[subject]} | " + " | ".join(cells) + " |"


def legend(runs, versions):
    """What the table shows."""
    rounds = len({run.round for run in runs})
    yield "- Processor time of the server per delivery, its ratio to fanout's in the same round, deliveries per second."
    if rounds > 1:
        yield f"- Medians of {rounds} rounds; the least and the most in brackets."
    if any(map(is_saturated, runs)):
        yield "- ≥: the tester was the limit in one round at least; the cost per delivery stands, the rate is a bound."
    if any(run.subject == "nchan" and run.load != "window-1" for run in runs):
        yield "- nchan's events come by HTTP: those of one channel one after another, each when the last was answered."
    yield f"- {versions}."


def is_asked_for(load, subject):
    """Whether there is a run of this load for this subject: the floor keeps no connection worth weighing."""
    return LOADS[load][1] != "memory" or not subject.startswith("floor")


def faults(runs):
    """Every run that failed and every run that is missing."""
    places = by_place(runs)
    rounds = len({run.round for run in runs})
    for subject, load in itertools.product(*rows_and_columns(runs)):
        here = places[load, subject]
        name = f"- {SUBJECTS[subject]}, {LOADS[load][0]}"
        if len(here) < rounds and is_asked_for(load, subject):
            yield f"{name}: {len(here)} of {rounds} runs came to their end."
        for run in here:
            reasons = [reason for reason in run.outcome["reasons"] if not reason.startswith(SATURATED)]
            if reasons:
                yield f"{name}, round {run.round}: {'; '.join(reasons)}."


def main():
    runs_directory, output, versions = sys.argv[1:]
    runs = read_runs(runs_directory)
    if not runs:
        sys.exit("no run came to its end: there is no table")
    write_records(runs, output)
    print("\n".join([*table(runs), "", *legend(runs, versions), *faults(runs)]))


main()
