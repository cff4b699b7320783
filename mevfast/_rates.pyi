from mevfast._graph import Graph

class Rates(Graph):
    def rate(self, token: bytes) -> float: ...
