"""What every test may use: where things are, and how long Hypothesis may take."""

from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# Times are never asserted here: these machines run 1.4 times slower for seconds at a time.
settings.register_profile("mevfast", deadline=None)
settings.load_profile("mevfast")


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
