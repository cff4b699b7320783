"""The verdict advises what applies to the machine, and nothing else."""

import copy
from typing import Any

import pytest

from mevfast import bench_machine


def figures(p50_us: float, tail: float = 1.5) -> dict[str, int]:
    ns = int(p50_us * 1000)
    return {"min_ns": ns, "p50_ns": ns, "p99_ns": int(ns * tail), "p999_ns": int(ns * tail),
            "samples": 100}  # fmt: skip


def result() -> dict[str, Any]:
    """A quiet machine with nothing in the way, where spinning saves little."""
    stages = {}
    for suffix in ("", "_2000", "_20000"):
        for name, us in (
            ("decode", 0.2),
            ("apply", 0.3),
            ("search", 1.0),
            ("size", 2.0),
            ("transaction", 1.5),
            ("signature", 20.0),
            ("but_signature", 5.0),
        ):
            stages[f"way_{name}{suffix}"] = figures(us)
        stages["frame_to_signed" + suffix] = figures(25.0)
    return {
        "machine": {
            "cores": 8,
            "governor": "performance",
            "mitigations": {"parameter": None, "active": {
                "spectre_v2": "Mitigation: Enhanced / Automatic IBRS; IBPB: conditional"}},
            "isolation": {"isolated": "2-3", "nohz_full": "2-3", "smt": False},
            "timer": {"clocksource": "tsc", "slack_ns": 50000},
            "load_average": 0.3,
            "clock_ns": 20,
            "stolen": 0.0,
            "signature_backend": "libsecp256k1",
        },
        "stages": stages,
        "peers": {f"bare_signature{suffix}": figures(20.0) for suffix in ("", "_2000", "_20000")},
        "end_to_end": {"figures": {
            "bare_signature_beside": figures(20.0),
            "echo_wait": figures(13.0),
            "echo_spin": figures(12.0),
            "socket_to_socket_wait": figures(39.0),
            "socket_to_socket_spin": figures(38.0),
        }},
    }  # fmt: skip


def change(**to: Any) -> list[str]:
    """The verdict where some of the machine is otherwise."""
    made = copy.deepcopy(result())
    made["machine"].update(to)
    return bench_machine.verdict(made)


def test_where_nothing_is_in_the_way_only_what_dominates_is_told() -> None:
    lines = change()
    assert len(lines) == 4
    assert lines[0].startswith("At 2,000 pools") and "signature (20.0 us), then size" in lines[0]
    assert "all but the signature is 5.00 us" in lines[0]
    assert lines[1].startswith("At 20,000 pools")
    assert "What dominates while it sleeps: the signature (20.0 us)" in lines[3]


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ({"governor": "powersave"}, ["governor is powersave", "performance"]),
        ({"load_average": 6.0}, ["was busy (load 6.0 on 8 cores)"]),
        ({"stolen": 0.05}, ["5% of the time to other machines"]),
        ({"signature_backend": "coincurve"}, ["coincurve's Python API"]),
        (
            {"mitigations": {"active": {"meltdown": "Mitigation: PTI",
                                        "mds": "Mitigation: Clear CPU buffers; SMT off"}}},
            ["mds and its like, meltdown", "mitigations=off"],
        ),
        (
            {"timer": {"clocksource": "hpet"}, "clock_ns": 900},
            ["takes 900 ns, its source is hpet", "clocksource=tsc"],
        ),
    ],
)  # fmt: skip
def test_each_thing_in_the_way_is_named_where_it_is(to: dict[str, Any], words: list[str]) -> None:
    new = [line for line in change(**to) if line not in change()]
    assert len(new) == 1
    assert all(each in new[0] for each in words)


def test_an_unreadable_governor_is_not_blamed() -> None:
    assert change(governor=None) == change()


def test_a_clock_of_another_source_that_is_fast_is_let_be() -> None:
    assert change(timer={"clocksource": "kvm-clock"}, clock_ns=25) == change()


def test_spinning_is_advised_where_waking_costs_and_a_core_is_to_be_had() -> None:
    made = result()
    ways = made["end_to_end"]["figures"]
    ways["echo_wait"], ways["socket_to_socket_wait"] = figures(45.0), figures(75.0)
    lines = bench_machine.verdict(made)
    assert "What dominates while it sleeps: waking up (33.0 us)" in lines[3]
    assert '`mode = "spin"` in [loop]' in lines[4] and "37.0 us" in lines[4]
    made["machine"]["cores"] = 1
    made["machine"]["load_average"] = 0.1
    lines = bench_machine.verdict(made)
    assert not any('mode = "spin"' in line for line in lines)
    assert "idle=poll" in lines[4]


def test_what_was_missed_is_told() -> None:
    made = result()
    made["end_to_end"]["counts"] = {
        "socket_to_socket_wait": {"opened": 100, "missed": 0},
        "socket_to_socket_spin": {"opened": 100, "missed": 3},
        "echo_spin": {"opened": 100, "missed": 9},
    }
    assert any("3 of 200 opportunities" in line for line in bench_machine.verdict(made))
    made["end_to_end"]["counts"]["socket_to_socket_spin"]["missed"] = 0
    assert bench_machine.verdict(made) == bench_machine.verdict(result())


def test_isolation_is_advised_for_a_long_tail_on_a_quiet_machine_only() -> None:
    made = result()
    made["stages"]["frame_to_signed_2000"] = figures(25.0, tail=40.0)
    assert not any("isolcpus" in line for line in bench_machine.verdict(made))
    made["machine"]["isolation"]["isolated"] = None
    assert any("isolcpus" in line for line in bench_machine.verdict(made))
    made["machine"]["load_average"] = 7.0
    assert not any("isolcpus" in line for line in bench_machine.verdict(made))


def test_a_neighbour_on_the_core_is_told_of_where_the_cache_does_not_keep() -> None:
    made = result()
    made["peers"] |= {"cache_lines": figures(1.8), "cache_lines_after_idle": figures(2.0)}
    assert bench_machine.verdict(made) == bench_machine.verdict(result())
    made["peers"]["cache_lines_after_idle"] = figures(10.0)
    (line,) = set(bench_machine.verdict(made)) - set(bench_machine.verdict(result()))
    assert "256 lines took 10.0 us (p50), 1.80 us before" in line


def test_a_result_without_sockets_has_a_verdict() -> None:
    made = result()
    made["end_to_end"] = {}
    assert len(bench_machine.verdict(made)) == 3


def test_this_machine_is_read() -> None:
    found = bench_machine.machine(20)
    assert found["cores"] >= 1 and found["cpu"] and found["kernel"]
    assert set(found["timer"]) >= {"clocksource", "slack_ns"}
    ticks = bench_machine.cpu_times()
    assert ticks["all"] > ticks["stolen"] >= 0
    before, after = {"all": 1000, "stolen": 10}, {"all": 2000, "stolen": 60}
    assert bench_machine.stolen_share(before, after) == 0.05
    assert bench_machine.stolen_share(after, after) == 0.0
