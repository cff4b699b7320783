from collections.abc import Collection

class Venues:
    def __init__(self, addresses: Collection[bytes], topics: Collection[bytes]) -> None: ...
