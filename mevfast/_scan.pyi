from mevfast._rates import Rates

DROP_NAMES: tuple[str, ...]
BLOOM_EVENTS: tuple[str, ...]

class Scan(Rates):
    @property
    def n_candidates(self) -> int: ...
    def dropped(self) -> dict[str, int]: ...
