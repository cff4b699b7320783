"""What is remembered of a transaction of ours until its receipt is in, and its face in Python."""

from libc.stdint cimport uint32_t

from mevfast._cache cimport Table
from mevfast._math cimport u256_to_pyint
from mevfast.types cimport plan_hop, swap_plan

from mevfast._search import FUNDING_NAMES
from mevfast._slots import KIND_NAMES


cdef uint64_t trade_mark(const swap_plan *plan, const uint64_t *state_block,
                         const uint32_t *state_log_index) noexcept nogil:
    """Tells plans apart: the same swaps of the same amount on the same states have the same mark."""
    cdef uint64_t words[4 * 4 + 4]
    cdef uint64_t mark = 0xcbf29ce484222325  # FNV-1a, by words
    cdef uint32_t i, n = 0
    for i in range(plan.n_hops):
        words[n], words[n + 1] = plan.hop[i].slot, state_block[i]
        words[n + 2] = state_log_index[i]
        words[n + 3] = plan.hop[i].index_in << 8 | plan.hop[i].index_out
        n += 4
    for i in range(4):
        words[n + i] = plan.amount_in.w[i]
    for i in range(n + 4):
        mark = (mark ^ words[i]) * <uint64_t>0x100000001b3
        mark ^= mark >> 29
    return mark


cdef dict trade_dict(const pending_trade *p, Table table, uint32_t gas_units):
    """A transaction under way as `Core.trades` says."""
    cdef const swap_plan *plan = &p.plan
    cdef const plan_hop *hop
    cdef uint32_t i
    predicted = u256_to_pyint(&plan.profit)
    explained = None
    if p.replayed:
        explained = (u256_to_pyint(&p.replay_out) - u256_to_pyint(&plan.amount_out) + predicted)
    hops = []
    for i in range(plan.n_hops):
        hop = &plan.hop[i]
        hops.append({
            "pool": (<const char *>hop.pool)[:20], "kind": KIND_NAMES[hop.kind],
            "token_in": table.token_addresses[hop.token_in],
            "token_out": table.token_addresses[hop.token_out],
            "amount_in": u256_to_pyint(&hop.amount_in),
            "amount_out": u256_to_pyint(&hop.amount_out),
            "state": (p.state_block[i], p.state_log_index[i])})
    return {
        "tx": (<const char *>p.tx_hash)[:32], "nonce": p.nonce, "request_id": p.request_id,
        "block": p.block, "landed_block": p.landed_block if p.landed else None,
        "token": (<const char *>plan.token)[:20], "funding": FUNDING_NAMES[plan.funding],
        "amount_in": u256_to_pyint(&plan.amount_in), "predicted": predicted,
        "explained": explained, "net": p.net, "latency_ns": p.latency_ns, "hops": hops,
        "gas_units": gas_units, "gas_price": p.gas_price,
    }
