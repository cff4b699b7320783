"""From candidates to plans: exact size, funding, net profit, ranking.

What the edge scan of `_graph` lets through is sized by `_size` for every allowed way to fund the
first hop, priced net of gas and lender's fee in the base token, and taken best first; plans
returned together share no pool. Same table, same calls: same plans in the same order.
"""

import heapq

from libc.math cimport INFINITY, exp, fmax, fmin
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from mevfast._graph cimport NO_SLOT, advanced_pool, token_of
from mevfast._math cimport u256_from_pyint, u256_to_pyint
from mevfast._pool cimport pool_apply_after, pool_quote_exact
from mevfast._scan cimport (
    DROP_BELOW_MINIMUM,
    DROP_CANDIDATE_LIMIT,
    DROP_NO_FUNDING,
    DROP_NO_PRICE,
    DROP_PLAN_LIMIT,
    DROP_REFUSED_QUOTE,
    DROP_SHARES_POOL,
    DROP_UNPROFITABLE,
    MAX_HOPS,
    Scan,
    candidate,
)
from mevfast._size cimport (
    chain_quote,
    finish_cycle,
    lender_fee,
    polish_cycle,
    size_cycle,
    sized_cycle,
)
from mevfast._slots cimport kind_is_concentrated, slot_body
from mevfast.types cimport (
    FUNDING_AAVE,
    FUNDING_BALANCER,
    FUNDING_FLASH_SWAP,
    FUNDING_OWN,
    POOL_UNISWAP_V2,
    QUOTE_OK,
    plan_hop,
    pool_quote,
    pool_state,
    swap_plan,
)
from mevfast.u256 cimport (
    u128_make,
    u256,
    u256_fits_u128,
    u256_from_double,
    u256_from_u128,
    u256_from_u64,
    u256_is_zero,
    u256_lt,
    u256_to_double,
)

from mevfast._pool import KIND_NUMBERS
from mevfast._slots import KIND_NAMES

# Without fee or limit first, so that what it sizes serves the others.
cdef uint32_t[4] FUNDING_ORDER = [
    <uint32_t>FUNDING_FLASH_SWAP, <uint32_t>FUNDING_OWN, <uint32_t>FUNDING_BALANCER,
    <uint32_t>FUNDING_AAVE]

cdef enum:
    NONE_LEFT = -2  # of next_cycle, beside the reasons, which are not negative

cdef uint64_t ONE_ETHER = 1000000000000000000

FUNDING_NAMES = ("own", "flash_swap", "balancer", "aave")


cdef class Search(Scan):
    """The scan with prices on top: what a cycle nets, and which plans to send."""

    def __cinit__(self, *args):
        self.plans_on = <uint16_t *>calloc(self.table.t.capacity, sizeof(uint16_t))
        self.advances = <advanced_pool *>malloc(MAX_ADVANCED * sizeof(advanced_pool))
        if self.plans_on == NULL or self.advances == NULL:
            raise MemoryError(f"search over {self.table.t.capacity} pools")
        memset(&self.settings, 0, sizeof(search_settings))
        self.settings.max_sized = 64
        self.settings.max_plans = 4
        self.settings.allowed[<int>FUNDING_FLASH_SWAP] = True
        self.unload()

    def __dealloc__(self):
        free(self.lenders)
        free(self.plans_on)
        free(self.advances)

    cdef lender_terms *lender(self, uint32_t token) except NULL:
        """The terms for a token id; nothing to be had until `lend` says otherwise."""
        cdef uint32_t i
        if token >= self.n_lenders:
            lenders = realloc(self.lenders, (token + 1) * sizeof(lender_terms))
            if lenders == NULL:
                raise MemoryError(f"{token + 1} tokens")
            self.lenders = <lender_terms *>lenders
            for i in range(self.n_lenders, token + 1):
                memset(&self.lenders[i], 0, sizeof(lender_terms))
            self.n_lenders = token + 1
        return &self.lenders[token]

    def configure(self, *, uint32_t max_hops=4, uint32_t max_sized=64, uint32_t max_plans=4,
                  double min_log_gain=0.0, fundings=("flash_swap",), min_profit=0, max_input=0,
                  uint32_t gas_base=0, gas_hops=None, gas_funding=(0, 0, 0, 0)):
        """Settings of the search; `min_profit` (after gas) and `max_input` (0: no limit) are in base
        token wei, gas in units.

        `gas_hops` is by the pool's kind, `gas_funding` by FUNDING_NAMES. Raises ValueError on values outside their range.
        """
        cdef uint32_t i
        if not 2 <= max_hops <= MAX_HOPS:
            raise ValueError(f"max_hops: expected 2 to {MAX_HOPS}, was {max_hops}")
        if not 1 <= max_plans <= MAX_PLANS:
            raise ValueError(f"max_plans: expected 1 to {MAX_PLANS}, was {max_plans}")
        if not min_log_gain >= 0.0:
            raise ValueError(f"min_log_gain: expected 0 or more, was {min_log_gain}")
        self.max_hops, self.min_log_gain = max_hops, min_log_gain
        self.settings.max_sized, self.settings.max_plans = max_sized, max_plans
        for i, name in enumerate(FUNDING_NAMES):
            self.settings.allowed[i] = name in fundings
            self.settings.gas_funding[i] = gas_funding[i]
        u256_from_pyint(&self.settings.min_profit, min_profit)
        self.min_net = u256_to_double(&self.settings.min_profit)
        self.settings.max_input = max_input
        self.settings.gas_base = gas_base
        for name, units in (gas_hops or {}).items():
            self.settings.gas_hop[<uint32_t>KIND_NUMBERS[name]] = units

    def lend(self, bytes token, *, own=0, balancer=0, aave=0, uint64_t fee_balancer=0,
             uint32_t fee_aave=0, bint aave_rounds_up=False):
        """What can be had of a start token: own balance and lenders' liquidity, token units.

        Fees as the contracts hold them: Balancer's in 1e-18, Aave's premium in 1e-4.
        """
        cdef uint32_t id = self.table.add_token(token)
        cdef lender_terms *terms = self.lender(id)
        u256_from_pyint(&terms.available[<int>FUNDING_OWN], own)
        u256_from_pyint(&terms.available[<int>FUNDING_BALANCER], balancer)
        u256_from_pyint(&terms.available[<int>FUNDING_AAVE], aave)
        terms.fee_balancer, terms.fee_aave = fee_balancer, fee_aave
        terms.aave_rounds_up = aave_rounds_up

    cdef list _slots(self, slots):
        """Every slot of the graph, or those named, each once. IndexError where one is not in it."""
        cdef uint32_t slot
        if slots is None:
            return [slot for slot in range(self.table.t.head.n_slots) if self.knows(slot)]
        slots = list(dict.fromkeys(slots))
        for number in slots:
            if not 0 <= number < self.table.t.head.n_slots or not self.knows(number):
                raise IndexError(f"slot {number}: expected one that add_pool was called with")
        return slots

    def find(self, slots=None, uint64_t gas_price=0, uint64_t deadline=0, uint32_t rounds=1):
        """Every plan through any of `slots` (all of the graph by default), best net first.

        `gas_price` in wei. The plans of a round share no pool. Those of the next `rounds` are made
        of the pools as the plans before leave them, until nothing is left that pays. Each plan is a
        dict: token, funding, amount_in, amount_out, profit (after the lender's fee, token units),
        min_profit, net (base token wei after gas), gas_units, deadline, round, hops; each hop: pool,
        slot, kind, zero_for_one, index_in and index_out (of the tokens among the pool's), fee_pips,
        token_in, token_out, amount_in, amount_out. Addresses are bytes, amounts token units. What
        else was found is counted by `dropped`. IndexError where a slot is not in the graph.
        """
        cdef uint32_t n = 0, i, turn = 0
        cdef uint32_t *wanted
        slots = self._slots(slots)
        plans = []
        n = len(slots)
        wanted = <uint32_t *>malloc(max(n, MAX_ADVANCED) * sizeof(uint32_t))
        if wanted == NULL:
            raise MemoryError(f"{n} slots")
        try:
            for i in range(n):
                wanted[i] = slots[i]
            self.bloom = NULL
            self.unhurried = True
            with nogil:
                self.settle(self.n_tokens)
            while turn < rounds and n:
                with nogil:
                    self.begin()
                    self.collect(wanted, n)
                    n = self.solve(gas_price, deadline)
                plans += [self.plan_dict(&self.plans[i]) | {"net": self.plan_net[i], "round": turn}
                          for i in range(n)]
                turn += 1
                if turn == rounds or n == 0 or not self.advance():
                    break
                n = self.n_advanced
                for i in range(n):
                    wanted[i] = self.advanced[i].slot
        finally:
            free(wanted)
            self.unhurried = False
            self.retreat()
        return plans

    def cycles(self, slots=None, uint64_t gas_price=0, most=None):
        """Every cycle through any of `slots` that pays on the table as it is, best net first.

        For looking at a market: unlike the plans of `find`, cycles may share pools, and the table
        holds for each as if it were alone. The entries are those of `find`; with `most` only so many
        of the best. A pool's candidates beyond max_sized are counted by `dropped`.
        """
        cdef uint32_t slot, sized
        cdef int why
        cdef double net = 0.0, floor = self.min_net
        best = []  # a heap of (net, - place in the order of finding, plan)
        found = 0
        slots = self._slots(slots)
        self.settle(self.n_tokens)
        try:
            self.unhurried = True
            for slot in slots:
                self.bloom = NULL
                self.begin()
                self.collect(&slot, 1)
                self.scanned[slot] = True  # its cycles are not found again from their other pools
                self.appraise(gas_price)
                sized = 0
                while sized < self.settings.max_sized:
                    with nogil:
                        why = self.next_cycle(&net)
                    if why == NONE_LEFT:
                        break
                    sized += 1
                    if why >= 0:
                        self.drops[why] += 1
                        continue
                    found += 1
                    entry = (net, -found, self.plan_dict(&self.scratch) | {"net": net})
                    if most is None or len(best) < most:
                        heapq.heappush(best, entry)
                    else:
                        heapq.heappushpop(best, entry)
                    if len(best) == most:  # what cannot get among them is not sized
                        self.min_net = fmax(floor, best[0][0])
                self.drops[<int>DROP_CANDIDATE_LIMIT] += self.n_found - self.next_found
        finally:
            self.min_net, self.unhurried = floor, False
            for slot in slots:
                self.scanned[slot] = False
        return [plan for _, _, plan in sorted(best, reverse=True)]

    # ---- pools as plans leave them ----

    cdef bint advance(self) noexcept nogil:
        """Puts the pools of the plans as they are after them in place of the table's; False where there
        is no room for more. Until `retreat`, all that looks at a pool sees it so."""
        cdef const plan_hop *hop
        cdef pool_state state
        cdef pool_quote quote
        cdef uint32_t i, j, k
        for i in range(self.n_plans):
            for j in range(self.plans[i].n_hops):
                hop = &self.plans[i].hop[j]
                k = 0
                while k < self.n_advanced and self.advances[k].slot != hop.slot:
                    k += 1
                if k == MAX_ADVANCED:
                    return False
                self.view(hop.slot, &state, False)
                if pool_quote_exact(&state, hop.index_in, hop.index_out, True, &hop.amount_in,
                                    &quote) != QUOTE_OK:
                    return False
                pool_apply_after(&state, hop.index_in, hop.index_out, &quote)
                if kind_is_concentrated(state.kind):
                    state.v3.window = NULL  # the table's is at another price
                self.advances[k].slot, self.advances[k].state = hop.slot, state
                self.n_advanced = max(self.n_advanced, k + 1)
                self.advanced = self.advances
                self.refresh(hop.slot)
        return True

    cdef void retreat(self) noexcept nogil:
        """Back to the table's own states."""
        cdef uint32_t i, n = self.n_advanced
        self.advanced, self.n_advanced = NULL, 0
        for i in range(n):
            self.refresh(self.advances[i].slot)

    cdef dict plan_dict(self, const swap_plan *plan):
        """A plan as `find` says, without what it nets."""
        cdef const plan_hop *hop
        cdef uint32_t i
        hops = []
        for i in range(plan.n_hops):
            hop = &plan.hop[i]
            hops.append({
                "pool": (<const char *>hop.pool)[:20], "slot": hop.slot,
                "kind": KIND_NAMES[hop.kind], "zero_for_one": bool(hop.zero_for_one),
                "index_in": hop.index_in, "index_out": hop.index_out,
                "fee_pips": hop.fee_pips, "token_in": self.table.token_addresses[hop.token_in],
                "token_out": self.table.token_addresses[hop.token_out],
                "amount_in": u256_to_pyint(&hop.amount_in),
                "amount_out": u256_to_pyint(&hop.amount_out)})
        return {
            "token": (<const char *>plan.token)[:20], "funding": FUNDING_NAMES[plan.funding],
            "amount_in": u256_to_pyint(&plan.amount_in),
            "amount_out": u256_to_pyint(&plan.amount_out), "profit": u256_to_pyint(&plan.profit),
            "min_profit": u256_to_pyint(&plan.min_profit), "gas_units": self.gas_limit(plan),
            "deadline": plan.deadline, "hops": hops,
        }

    # ---- sizing, funding, ranking ----

    cdef void unload(self) noexcept nogil:
        """Forgets `states`: the table may have changed."""
        cdef uint32_t i
        for i in range(MAX_HOPS):
            self.loaded[i], self.pools[i] = NO_SLOT, &self.states[i]

    cdef void load(self, uint32_t i, uint32_t slot, uint8_t index_in, uint8_t index_out) noexcept nogil:
        """Puts a swap's pool and way in place i, where the pool is not there already."""
        if self.loaded[i] != slot:
            self.view(slot, &self.states[i], True)
            self.loaded[i] = slot
        self.ways[i].token_in, self.ways[i].token_out = index_in, index_out

    cdef void load_plan(self, const swap_plan *plan) noexcept nogil:
        cdef uint32_t i
        for i in range(plan.n_hops):
            self.load(i, plan.hop[i].slot, plan.hop[i].index_in, plan.hop[i].index_out)

    cdef double gas_units(self, const candidate *c, uint32_t funding) noexcept nogil:
        cdef double units = self.settings.gas_base + self.settings.gas_funding[funding]
        cdef uint32_t i
        for i in range(c.n_hops):
            units += self.settings.gas_hop[self.table.t.slots[c.hop[i].slot].body.kind]
        return units

    cdef bint terms(self, uint32_t token, uint32_t funding, lender_fee *fee,
                    u256 *cap) noexcept nogil:
        """Fee and limit of one way to fund the first hop; False where it is not to be had."""
        cdef lender_terms *t = NULL
        cdef u256 limit
        memset(fee, 0, sizeof(lender_fee))
        if not self.settings.allowed[funding]:
            return False
        if funding != <uint32_t>FUNDING_FLASH_SWAP:
            if token >= self.n_lenders:
                return False
            t = &self.lenders[token]
            cap[0] = t.available[funding]
        if t == NULL or not u256_fits_u128(cap):  # more than the executor's calldata holds
            u256_from_u128(cap, u128_make(~<uint64_t>0, ~<uint64_t>0))
        if self.settings.max_input > 0.0 and u256_from_double(
                &limit, self.settings.max_input * self.price_in_base(token)) == 0 \
                and u256_lt(&limit, cap):
            cap[0] = limit
        if funding == <uint32_t>FUNDING_BALANCER and t.fee_balancer != 0:
            u256_from_u64(&fee.numerator, t.fee_balancer)
            u256_from_u64(&fee.denominator, ONE_ETHER)
            fee.rate = t.fee_balancer * 1e-18
        elif funding == <uint32_t>FUNDING_AAVE:
            u256_from_u64(&fee.numerator, t.fee_aave)
            u256_from_u64(&fee.denominator, 10000)
            fee.half_up = not t.aave_rounds_up
            fee.rate = t.fee_aave * 1e-4
        return not u256_is_zero(cap)

    cdef int fund(self, const candidate *c, swap_plan *plan, double *net) noexcept nogil:
        """Sizes a candidate by each way to fund it and fills the plan that nets most.

        Returns -1 with `plan` filled, or the drop_reason.
        """
        cdef uint32_t token = c.hop[0].token_in, funding, i
        cdef double rate = self.price_in_base(token), value, gas, best = -INFINITY
        cdef double margin = exp(c.log_gain) - 1.0, most = INFINITY
        cdef lender_fee fee
        cdef u256 cap, floor
        cdef sized_cycle sized, free_sized
        cdef int status, why = <int>DROP_NO_FUNDING
        cdef bint have_free = False
        if rate <= 0.0:
            return <int>DROP_NO_PRICE
        for i in range(c.n_hops):
            self.load(i, c.hop[i].slot, c.hop[i].index_in, c.hop[i].index_out)
        for i in range(N_FUNDINGS):
            funding = FUNDING_ORDER[i]
            if not self.terms(token, funding, &fee, &cap):
                continue
            gas = self.gas_units(c, funding) * self.gas_price
            # Profit is concave: no input up to the cap earns more than the margin on all of it.
            if margin * fmin(u256_to_double(&cap), most) / rate - gas < best:
                continue
            if have_free and fee.rate == 0.0 and not u256_lt(&cap, &free_sized.amount[0]):
                sized = free_sized  # the same problem as before: only the gas differs
            else:
                status = size_cycle(self.pools, self.ways, c.n_hops, &fee, &cap,
                                    not self.unhurried, &c.whole, &sized)
                self.n_quotes += sized.quotes
                if status != 0:
                    if why == <int>DROP_NO_FUNDING:
                        why = <int>DROP_REFUSED_QUOTE if status < 0 else <int>DROP_UNPROFITABLE
                    continue
                # The peak itself and not the end of a purse: no lender's money earns more.
                if fee.rate == 0.0 and not have_free and \
                        2.0 * u256_to_double(&sized.amount[0]) < u256_to_double(&cap):
                    free_sized, have_free = sized, True
                    most = u256_to_double(&sized.profit) / margin
            value = u256_to_double(&sized.profit) / rate - gas
            if value > best:
                best = value
                self.fill(c, &sized, funding, plan)
        if best == -INFINITY:
            return why
        if best < u256_to_double(&self.settings.min_profit):
            return <int>DROP_BELOW_MINIMUM
        # The executor's own floor: what it takes to come out even with gas and the minimum.
        if u256_from_double(&floor, (self.gas_units(c, plan.funding) * self.gas_price
                                     + u256_to_double(&self.settings.min_profit)) * rate) != 0:
            return <int>DROP_BELOW_MINIMUM
        plan.min_profit = plan.profit if u256_lt(&plan.profit, &floor) else floor
        if not u256_fits_u128(&plan.min_profit):
            return <int>DROP_BELOW_MINIMUM  # nor does it hold that
        net[0] = best
        return -1

    cdef void fill(self, const candidate *c, const sized_cycle *sized, uint32_t funding,
                   swap_plan *plan) noexcept nogil:
        cdef uint32_t i
        cdef slot_body *body
        cdef plan_hop *hop
        plan.funding, plan.n_hops = <uint8_t>funding, <uint8_t>c.n_hops
        plan.finished = sized.finished
        plan.amount_in, plan.amount_out = sized.amount[0], sized.amount[c.n_hops]
        plan.profit = sized.profit
        for i in range(c.n_hops):
            body = &self.table.t.slots[c.hop[i].slot].body
            hop = &plan.hop[i]
            memcpy(hop.pool, body.address, 20)
            hop.kind, hop.zero_for_one = body.kind, c.hop[i].index_in < c.hop[i].index_out
            hop.index_in, hop.index_out = c.hop[i].index_in, c.hop[i].index_out
            hop.fee_pips = body.v2.fee_pips if body.kind == <uint8_t>POOL_UNISWAP_V2 else 0
            hop.slot, hop.token_in = c.hop[i].slot, c.hop[i].token_in
            hop.token_out = token_of(body, c.hop[i].index_out)
            hop.amount_in, hop.amount_out = sized.amount[i], sized.amount[i + 1]
            hop.price_after = sized.price_after[i]

    cdef uint32_t solve(self, uint64_t gas_price, uint64_t deadline) noexcept nogil:
        """Sizes what `collect` found since `begin`; returns how many plans it made of it.

        `gas_price` in wei. plans[0..n) share no pool, best net profit first; every other
        candidate is counted under a drop reason. Candidates are taken by their estimate; one whose
        bound does not beat what is there is not sized.
        """
        cdef uint32_t sized = 0, i
        cdef const candidate *c
        cdef double net = 0.0
        cdef int why
        self.appraise(gas_price)
        for i in range(self.n_found):
            c = &self.found[i]
            why = self.outdone(c)
            if why < 0 and sized == self.settings.max_sized:
                why = <int>DROP_CANDIDATE_LIMIT
            if why < 0:
                sized += 1
                why = self.fund(c, &self.scratch, &net)
            if why < 0:
                self.scratch.deadline = deadline
                self.mark(False)
                why = self.take(net)
                self.mark(True)
            if why >= 0:
                self.drops[why] += 1
        for i in range(self.n_plans):
            if self.unhurried or not self.plans[i].finished:
                self.finish(&self.plans[i], &self.plan_net[i])
        self.mark(False)
        self.sort_plans()
        for i in range(self.n_plans):
            memcpy(self.plans[i].token, self.table.t.tokens + 20 * self.plans[i].hop[0].token_in, 20)
        return self.n_plans

    cdef void appraise(self, uint64_t gas_price) noexcept nogil:
        """Sorts what was found, best estimate first, notes the most that each can net, and that there
        are no plans yet."""
        cdef uint32_t i, cheapest = 0
        self.gas_price = <double>gas_price
        self.n_plans = self.next_found = 0
        self.unload()
        for i in range(N_FUNDINGS):
            if self.settings.allowed[i] and (
                    not self.settings.allowed[cheapest]
                    or self.settings.gas_funding[i] < self.settings.gas_funding[cheapest]):
                cheapest = i
        for i in range(self.n_found):
            self.found[i].most = self.found[i].bound \
                - self.gas_units(&self.found[i], cheapest) * self.gas_price
        self.sort()

    cdef int outdone(self, const candidate *c) noexcept nogil:
        """Why a candidate cannot beat the plans taken so far, a drop_reason; -1 where it may."""
        cdef uint32_t shared = 0, j
        cdef double taken = 0.0
        if c.most < self.min_net:
            return <int>DROP_BELOW_MINIMUM
        for j in range(c.n_hops):
            shared |= self.plans_on[c.hop[j].slot]
        if shared:
            for j in range(self.n_plans):
                if shared >> j & 1:
                    taken += self.plan_net[j]
            return <int>DROP_SHARES_POOL if c.most <= taken else -1
        if self.n_plans == self.settings.max_plans \
                and c.most <= self.plan_net[self.poorest_plan()]:
            return <int>DROP_PLAN_LIMIT
        return -1

    cdef int next_cycle(self, double *net) noexcept nogil:
        """Sizes the next candidate by estimate, alone, into `scratch`.

        Returns -1 with it and what it nets, the drop_reason, or NONE_LEFT.
        """
        cdef const candidate *c
        cdef int why
        if self.next_found == self.n_found:
            return NONE_LEFT
        c = &self.found[self.next_found]
        self.next_found += 1
        why = self.outdone(c)
        if why < 0:
            why = self.fund(c, &self.scratch, net)
        if why >= 0:
            return why
        self.scratch.deadline = 0
        self.finish(&self.scratch, net)
        memcpy(self.scratch.token, self.table.t.tokens + 20 * self.scratch.hop[0].token_in, 20)
        return why

    cdef void finish(self, swap_plan *plan, double *net) noexcept nogil:
        """Takes a plan that will be returned from nearly to exactly the best input."""
        cdef lender_fee fee
        cdef u256 cap
        cdef sized_cycle sized
        cdef uint32_t i
        self.load_plan(plan)
        for i in range(plan.n_hops):
            sized.amount[i], sized.price_after[i] = plan.hop[i].amount_in, plan.hop[i].price_after
        sized.amount[plan.n_hops] = plan.amount_out
        sized.profit = plan.profit
        sized.quotes = 0
        self.terms(plan.hop[0].token_in, plan.funding, &fee, &cap)
        finish_cycle(self.pools, self.ways, plan.n_hops, &fee, &cap, not self.unhurried, &sized)
        if self.unhurried:
            polish_cycle(self.pools, self.ways, plan.n_hops, &fee, &cap, &sized)
        self.n_quotes += sized.quotes
        net[0] += (u256_to_double(&sized.profit) - u256_to_double(&plan.profit)) \
            / self.price_in_base(plan.hop[0].token_in)
        plan.amount_in, plan.amount_out = sized.amount[0], sized.amount[plan.n_hops]
        plan.profit = sized.profit
        for i in range(plan.n_hops):
            plan.hop[i].amount_in, plan.hop[i].amount_out = sized.amount[i], sized.amount[i + 1]
            plan.hop[i].price_after = sized.price_after[i]

    cdef int take(self, double net) noexcept nogil:
        """Adds the scratch plan, in place of those it shares pools with where it nets more than
        they do together, else in place of the poorest where there is no room. Returns -1, or the
        drop_reason of what loses."""
        cdef uint32_t i, kept = 0, lost = 0, poorest
        cdef double taken = 0.0
        for i in range(self.n_plans):
            if share_pool(&self.plans[i], &self.scratch):
                taken += self.plan_net[i]
                lost += 1
        if lost and net <= taken:
            return <int>DROP_SHARES_POOL
        if not lost and self.n_plans == self.settings.max_plans:
            poorest = self.poorest_plan()
            if net <= self.plan_net[poorest]:
                return <int>DROP_PLAN_LIMIT
            self.drops[<int>DROP_PLAN_LIMIT] += 1
            self.plans[poorest] = self.scratch
            self.plan_net[poorest] = net
            return -1
        for i in range(self.n_plans):
            if not share_pool(&self.plans[i], &self.scratch):
                self.plans[kept] = self.plans[i]
                self.plan_net[kept] = self.plan_net[i]
                kept += 1
        self.drops[<int>DROP_SHARES_POOL] += lost
        self.plans[kept] = self.scratch
        self.plan_net[kept] = net
        self.n_plans = kept + 1
        return -1

    cdef void mark(self, bint on) noexcept nogil:
        """Notes for each pool which plans use it, or forgets it again."""
        cdef uint32_t i, j
        for i in range(self.n_plans):
            for j in range(self.plans[i].n_hops):
                self.plans_on[self.plans[i].hop[j].slot] = <uint16_t>(1 << i) if on else 0

    cdef uint32_t poorest_plan(self) noexcept nogil:
        cdef uint32_t i, poorest = 0
        for i in range(1, self.n_plans):
            if self.plan_net[i] < self.plan_net[poorest]:
                poorest = i
        return poorest

    cdef void sort_plans(self) noexcept nogil:
        cdef uint32_t i, j
        for i in range(1, self.n_plans):
            j = i
            while j > 0 and self.plan_net[j - 1] < self.plan_net[j]:
                self.scratch = self.plans[j]
                self.plans[j] = self.plans[j - 1]
                self.plans[j - 1] = self.scratch
                self.plan_net[j - 1], self.plan_net[j] = self.plan_net[j], self.plan_net[j - 1]
                j -= 1

    cdef int replay(self, const swap_plan *plan, u256 *out) noexcept nogil:
        """What the plan's input would pay on the table as it is now: 0, or -1 where refused."""
        cdef u256 amounts[MAX_HOPS + 1]
        self.unload()
        self.load_plan(plan)
        if chain_quote(self.pools, self.ways, plan.n_hops, &plan.amount_in, amounts) != 0:
            return -1
        out[0] = amounts[plan.n_hops]
        return 0

    cdef uint32_t gas_limit(self, const swap_plan *plan) noexcept nogil:
        """Gas a plan is expected to use, units."""
        cdef uint32_t units = self.settings.gas_base + self.settings.gas_funding[plan.funding], i
        for i in range(plan.n_hops):
            units += self.settings.gas_hop[plan.hop[i].kind]
        return units


cdef bint share_pool(const swap_plan *a, const swap_plan *b) noexcept nogil:
    cdef uint32_t i, j
    for i in range(a.n_hops):
        for j in range(b.n_hops):
            if a.hop[i].slot == b.hop[j].slot:
                return True
    return False
