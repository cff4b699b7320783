"""What the bench's figures depend on, and what would make them better here.

Owns the reading of the machine (CPU, governor, mitigations, isolation, timer, load) and the verdict
in plain words, each piece of advice only where it applies. Measures nothing.
"""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from mevfast._tx import Signer
from mevfast.bench_tables import duration

KEY = b"\x00" * 31 + b"\x01"
"""The key everybody knows: nothing is ever sent."""
RESULTS = "bench/results"
SYSTEM = Path("/sys/devices/system")
COSTLY_MITIGATIONS = {
    "PTI": "meltdown",
    "Clear CPU buffers": "mds and its like",
    "untrained return thunk": "retbleed",
    "Safe RET": "spec_rstack_overflow",
    "Retpolines": "spectre_v2",
    "Mitigation: IBRS": "spectre_v2",
}
"""Words of the kernel about what every system call pays for; enhanced IBRS is next to free."""
BUSY_LOAD = 0.5
"""Of the cores: from there on other work is in the figures."""
STOLEN = 0.01
"""Share of the time that the hypervisor gave to others, from which on it is worth a word."""
WAKING = 1.15
"""How much longer the sleeping loop must take before spinning is advised."""
SOCKET_WAYS = ("socket_to_socket_wait", "socket_to_socket_spin")
LONG_TAIL = 4.0
"""p99.9 over p50, beyond which something else has the core now and then."""
SLOW_CLOCK_NS = 60
LOST_CACHE = 1.5
"""How much longer lines of the second-level cache may take after the core did nothing for 1 ms."""


def _read(path: str | Path) -> str | None:
    """A small file's text; None where it cannot be read or says nothing."""
    try:
        return Path(path).read_text().strip() or None
    except OSError:
        return None


def _cpu() -> str:
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _words(name: str) -> str | None:
    """What follows `name=` among the kernel's parameters."""
    for word in (_read("/proc/cmdline") or "").split():
        if word.startswith(name + "="):
            return word.partition("=")[2]
    return None


def source_commit() -> str | None:
    """The commit of the source tree, `+` where more than results changed; None outside of one."""
    folder = Path(__file__).resolve().parents[1]
    try:
        made = [
            subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=True)
            for words in (
                ["rev-parse", "--short=12", "HEAD"],
                ["status", "--porcelain", "--untracked-files=no", "--", ":/", f":!/{RESULTS}"],
            )
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    return made[0].stdout.decode().strip() + ("+" if made[1].stdout else "")


def cpu_times() -> dict[str, int]:
    """Ticks of all cores since the start: `all` of them, and those that were `stolen`."""
    line = (_read("/proc/stat") or "cpu 0").splitlines()[0].split()[1:9]
    ticks = [int(each) for each in line]
    return {"all": sum(ticks), "stolen": ticks[7] if len(ticks) > 7 else 0}


def stolen_share(before: dict[str, int], after: dict[str, int]) -> float:
    """Share of the cores' time between two looks that the hypervisor gave to others."""
    return round((after["stolen"] - before["stolen"]) / max(1, after["all"] - before["all"]), 4)


def machine(clock_ns: int) -> dict[str, Any]:
    """The machine as it is now; None for what it does not tell."""
    weaknesses = sorted((SYSTEM / "cpu/vulnerabilities").glob("*"))
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "governor": _read(SYSTEM / "cpu/cpu0/cpufreq/scaling_governor"),
        "mitigations": {
            "parameter": _words("mitigations"),
            "active": {
                path.name: text
                for path in weaknesses
                if (text := _read(path)) and text.startswith("Mitigation")
            },
        },
        "isolation": {
            "isolated": _read(SYSTEM / "cpu/isolated"),
            "nohz_full": (_read(SYSTEM / "cpu/nohz_full") or "(null)").replace("(null)", "")
            or None,
            "smt": _read(SYSTEM / "cpu/smt/active") == "1",
        },
        "timer": {
            "clocksource": _read(SYSTEM / "clocksource/clocksource0/current_clocksource"),
            "slack_ns": int(_read("/proc/self/timerslack_ns") or 0) or None,
            "idle_driver": _read(SYSTEM / "cpu/cpuidle/current_driver"),
            "idle_governor": _read(SYSTEM / "cpu/cpuidle/current_governor"),
        },
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
        "clock_ns": clock_ns,
        "signature_backend": Signer(bytearray(KEY)).backend,
    }


# ---- the verdict ----


def busy(m: dict[str, Any]) -> bool:
    """Whether a machine did other things when the bench began."""
    return bool(m.get("load_average", 0.0) > BUSY_LOAD * m.get("cores", 1))


def verdict(result: dict[str, Any]) -> list[str]:
    """What dominates, and what would help, in plain words; a line each."""
    lines = []
    for suffix, where in (
        ("_2000", "At 2,000 pools"),
        ("_20000", "At 20,000 pools"),
        ("", "On the recorded chain"),
    ):
        lines += _path(result, suffix, where)
    lines += _socket(result)
    lines += _kernel(result)
    return lines


def _path(result: dict[str, Any], suffix: str, where: str) -> list[str]:
    """Which stage takes longest in memory."""
    stages, peers = result["stages"], result["peers"]
    whole, bare = stages.get("frame_to_signed" + suffix), peers.get("bare_signature" + suffix)
    if not whole or not bare:
        return []
    prefix, end = "way_", suffix
    parts = {
        name[len(prefix) : len(name) - len(end)]: figures["p50_ns"]
        for name, figures in stages.items()
        if name.startswith(prefix) and name.endswith(end) and (end or not name[-1].isdigit())
    }
    rest = parts.pop("but_signature", None)
    if rest is None or not parts:
        return []
    most, second = sorted(parts, key=parts.__getitem__, reverse=True)[:2]
    return [
        f"{where} a read becomes a signed transaction in {duration(whole['p50_ns'])} (p50), "
        f"{whole['p50_ns'] / bare['p50_ns']:.2f} times the bare signature of "
        f"{duration(bare['p50_ns'])}; all but the signature is {duration(rest)}. What takes "
        f"longest: {most} ({duration(parts[most])}), then {second} ({duration(parts[second])})."
    ]


def _socket(result: dict[str, Any]) -> list[str]:
    """What dominates from socket to socket, and whether spinning would help."""
    ways = result["end_to_end"].get("figures", {})
    if not {"socket_to_socket_wait", "socket_to_socket_spin", "echo_wait", "echo_spin",
            "bare_signature_beside"} <= set(ways):  # fmt: skip
        return []
    m = result["machine"]
    wait, spin, echo, signature = (
        ways[name]["p50_ns"]
        for name in ("socket_to_socket_wait", "socket_to_socket_spin", "echo_spin",
                     "bare_signature_beside")
    )  # fmt: skip
    # What the kernel takes to wake a sleeping process: the same echo, asleep and awake.
    parts = {
        "waking up": max(0, ways["echo_wait"]["p50_ns"] - echo),
        "the kernel's sockets and the loop": echo,
        "the signature": signature,
        "the engine but the signature": max(0, spin - echo - signature),
    }
    most = max(parts, key=parts.__getitem__)
    lines = [
        f"From socket to socket it takes {duration(wait)} (p50) where the loop sleeps and "
        f"{duration(spin)} where it spins. What dominates while it sleeps: {most} "
        f"({duration(parts[most])})."
    ]
    counts = result["end_to_end"].get("counts", {})
    missed, opened = (
        sum(counts.get(way, {}).get(key, 0) for way in SOCKET_WAYS) for key in ("missed", "opened")
    )
    if missed:
        lines.append(
            f"{missed} of {opened} opportunities were over before the engine had a core to look at "
            "them on: they are in no quantile."
        )
    if wait < WAKING * spin:
        return lines
    if m["cores"] > 1:
        lines.append(
            f'`mode = "spin"` in [loop] of the config would save {duration(wait - spin)} of each '
            "transaction, and costs one core."
        )
    else:
        lines.append(
            "Waking up costs much of that; spinning needs a core of its own, and there is one. "
            "`idle=poll` among the kernel's parameters helps instead."
        )
    return lines


def _kernel(result: dict[str, Any]) -> list[str]:
    """What of the machine is in the way."""
    m = result["machine"]
    lines = []
    if m["governor"] not in (None, "performance"):
        lines.append(
            f"The CPU governor is {m['governor']}: set it to performance "
            "(`cpupower frequency-set -g performance`)."
        )
    costly = sorted({
        name
        for text in m["mitigations"]["active"].values()
        for words, name in COSTLY_MITIGATIONS.items()
        if words in text
    })  # fmt: skip
    if costly:
        lines.append(
            f"Each system call pays for mitigations ({', '.join(costly)}): on a machine that runs "
            "nothing else, `mitigations=off` among the kernel's parameters shortens the way "
            "through the sockets."
        )
    if m["timer"]["clocksource"] not in (None, "tsc") and m["clock_ns"] > SLOW_CLOCK_NS:
        lines.append(
            f"Reading the clock takes {m['clock_ns']} ns, its source is "
            f"{m['timer']['clocksource']}: `clocksource=tsc tsc=reliable` among the kernel's "
            "parameters, where the CPU has an invariant one."
        )
    if m["signature_backend"] != "libsecp256k1":
        lines.append(
            "Signatures go through coincurve's Python API, for the library's own could not be "
            "used: `python -m mevfast check` says why."
        )
    other_work = busy(m)
    whole = result["stages"].get("frame_to_signed_2000")
    tail = whole["p999_ns"] / whole["p50_ns"] if whole else 0.0
    if tail > LONG_TAIL and not other_work and not m["isolation"]["isolated"] and m["cores"] > 1:
        lines.append(
            f"p99.9 is {tail:.0f} times p50, though the machine was quiet: `isolcpus=` and "
            "`nohz_full=` among the kernel's parameters, and CPUAffinity= in the unit "
            "(systemd/README.md), keep other work and the timer off the engine's core."
        )
    at_once, later = (
        result["peers"].get(name, {"p50_ns": 0})["p50_ns"]
        for name in ("cache_lines", "cache_lines_after_idle")
    )
    if later > LOST_CACHE * at_once:
        lines.append(
            f"What lay in the core's second-level cache was gone after 1 ms in which nothing ran: "
            f"256 lines took {duration(later)} (p50), {duration(at_once)} before. Something else "
            "uses the same core, mostly a neighbour on the host, and all but the signature waits "
            "for memory instead: only a whole core of your own helps."
        )
    if m.get("stolen", 0) > STOLEN:
        lines.append(
            f"The hypervisor gave {m['stolen']:.0%} of the time to other machines: p99 and p99.9 "
            "tell of them; only a machine with cores of its own helps."
        )
    if other_work:
        lines.append(
            f"The machine was busy (load {m['load_average']} on {m['cores']} cores): p99 and "
            "p99.9 tell of its other work. Read minima and ratios, or run it again on a quiet one."
        )
    return lines
