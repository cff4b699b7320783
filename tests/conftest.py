"""What every test may use: where things are, and how long Hypothesis may take."""

import os
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import is_hypothesis_test, settings

ROOT = Path(__file__).resolve().parents[1]

SETTINGS = "_hypothesis_internal_use_settings"
"""Where Hypothesis keeps what @settings said; it has no other way to change that."""

# Times are never asserted here: these machines run 1.4 times slower for seconds at a time.
settings.register_profile("mevfast", deadline=None)
settings.load_profile("mevfast")

MOST_EXAMPLES = int(os.environ.get("MEVFAST_MOST_EXAMPLES", "0"))
"""What no test of Hypothesis goes beyond in slow builds, whatever it asks for; 0 for no limit."""
MOST_SEEDS = 2
"""Where there is that limit: the seeds that are left of a test with a parameter of that name."""


def fewer_seeds(items: list[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Items to run and to leave: of each test with a parameter `seed` its first ones stay."""
    seeds: dict[str, list[object]] = defaultdict(list)
    chosen: tuple[list[pytest.Item], list[pytest.Item]] = [], []
    for item in items:
        seed = getattr(getattr(item, "callspec", None), "params", {}).get("seed")
        known = seeds[item.nodeid.partition("[")[0]]
        if seed is not None and seed not in known:
            known.append(seed)
        chosen[seed is not None and known.index(seed) >= MOST_SEEDS].append(item)
    return chosen


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Applies MOST_EXAMPLES and, where it is given, MOST_SEEDS."""
    if not MOST_EXAMPLES:
        return
    items[:], left = fewer_seeds(items)
    config.hook.pytest_deselected(items=left)
    for item in items:
        test = getattr(item, "obj", None)
        if is_hypothesis_test(test):
            asked: settings = getattr(test, SETTINGS, settings())
            fewer = settings(asked, max_examples=min(asked.max_examples, MOST_EXAMPLES))
            setattr(test, SETTINGS, fewer)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Recorded mainnet data beside the repository; the test is skipped where there is none."""
    folder = ROOT.parent / "shared" / "real"
    if not folder.is_dir():
        pytest.skip(f"no recorded mainnet data at {folder}")
    return folder
