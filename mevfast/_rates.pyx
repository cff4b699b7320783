"""What start tokens are worth in the base token: for gas, minimum profits and ranking.

A rate is the median over all pools that tell, weighted by what they hold. A pool against another
start token tells, too, through what that one is worth by its own pools against the base token. So
neither a forgotten pool with next to nothing in it nor one that was just moved far decides.
"""

from libc.math cimport INFINITY, exp, log
from libc.stdint cimport uint32_t

from mevfast._graph cimport MOST_STARTS, NO_PAIR, Graph, pool_link, token_pair
from mevfast._size cimport swap_way, virtual_of, virtual_pool
from mevfast._slots cimport SLOT_QUARANTINED, SLOT_STALE
from mevfast.types cimport pool_state


cdef double median(rated_pool *rated, uint32_t n) noexcept nogil:
    """The log rate that half of all depth lies on either side of; of none, minus infinity."""
    cdef uint32_t i, j
    cdef rated_pool each
    cdef double half = 0.0
    for i in range(n):
        each = rated[i]
        half += 0.5 * each.depth
        j = i
        while j > 0 and rated[j - 1].log_rate > each.log_rate:
            rated[j] = rated[j - 1]
            j -= 1
        rated[j] = each
    for i in range(n):
        half -= rated[i].depth
        if half <= 0.0:
            return rated[i].log_rate
    return -INFINITY


cdef class Rates(Graph):
    """The graph with what its start tokens are worth, as of the last `settle`."""

    cdef void settle(self, uint32_t most_tokens) noexcept nogil:
        """Puts right what events leave behind: the graph's, and rates where pools that tell moved."""
        Graph.settle(self, most_tokens)
        if self.rates_due:
            self.note_rates()

    def rate(self, bytes token not None):
        """Units of a start token for one of the base token, a float; 0.0: no pool tells."""
        self.settle(self.n_tokens)
        id = self.table.token_id(token)
        return 0.0 if id is None or id >= self.n_tokens else self.price_in_base(id)

    cdef void note_rates(self) noexcept nogil:
        """Every start token's rate."""
        cdef rated_pool rated[MOST_RATED]
        cdef uint32_t n_starts = self.n_starts, rank, other, token, n
        cdef double direct[MOST_STARTS]
        for rank in range(n_starts):
            token = self.start[rank]
            n = self.rated_by(token, self.base_token, 1.0, rated, 0)
            direct[rank] = 1.0 if token == self.base_token else exp(median(rated, n))
        for rank in range(n_starts):
            token = self.start[rank]
            if token == self.base_token:
                self.rates[rank] = 1.0
                continue
            n = self.rated_by(token, self.base_token, 1.0, rated, 0)
            for other in range(n_starts):
                if other != rank and direct[other] > 0.0 and self.start[other] != self.base_token:
                    n = self.rated_by(token, self.start[other], direct[other], rated, n)
            self.rates[rank] = exp(median(rated, n))
        self.rates_due = False

    cdef uint32_t rated_by(self, uint32_t token, uint32_t unit, double unit_rate, rated_pool *rated,
                           uint32_t n) noexcept nogil:
        """Adds what the pools of a pair say a token is worth, to n; `unit_rate` is of the other one.

        Rates are units for one of the base token, depths what the pool holds in base tokens.
        """
        cdef uint32_t pair = self.find_pair(min(token, unit), max(token, unit)), i
        cdef const token_pair *p
        cdef const pool_link *link
        cdef pool_state state
        cdef virtual_pool now, deepest
        cdef swap_way way
        cdef int there
        if pair == NO_PAIR or token == unit:
            return n
        p = &self.pairs[pair]
        there = unit != p.token[0]  # the way from the unit to the token
        for i in range(p.n):
            link = &self.links[self.orders[p.links_at + i]]
            if n == MOST_RATED:
                break
            if link.price[0] == -INFINITY or link.price[1] == -INFINITY \
                    or self.table.t.slots[link.slot].body.flags & (SLOT_STALE | SLOT_QUARANTINED):
                continue
            way.token_in, way.token_out = link.index[there], link.index[1 - there]
            self.view(link.slot, &state, False)
            virtual_of(&state, way, &now, &deepest)
            if not now.reserve_in > 0.0:
                continue
            rated[n].log_rate = log(unit_rate) + 0.5 * (link.price[there] - link.price[1 - there])
            rated[n].depth = now.reserve_in / unit_rate
            n += 1
        return n

    cdef double price_in_base(self, uint32_t token) noexcept nogil:
        """Units of a start token for one of the base token; 0: no pool tells."""
        if token == self.base_token:
            return 1.0
        if self.nodes[token].start_rank < 0:
            return 0.0
        return self.rates[self.nodes[token].start_rank]
