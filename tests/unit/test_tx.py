"""Signer, RLP, transactions, calldata and request: known answers, eth-account, eth-abi."""

import copy
import hashlib
import json
import logging
import os
import pickle
import re
import shutil
import subprocess
from pathlib import Path

import coincurve
import pytest
from eth_abi import encode as abi_encode
from eth_account import Account
from eth_utils import function_signature_to_4byte_selector
from hypothesis import given, settings
from hypothesis import strategies as st

from mevfast._tx import (
    Signer,
    encode_type2,
    execute_calldata,
    keccak256,
    rlp_encode,
    send_raw_request,
    to_address_bytes,
    to_checksum_address,
)
from mevfast.execution.transaction import create2_address, create_address, sign_transaction

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/signing.json").read_text())
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = 0xAC0974BEC39A17E36BA4A6B4D238FF944BACB478CBED5EFCAE784D7BF4F2FF80  # anvil's first test key
KEY_HEX = f"{KEY:064x}"


def signer_of(key: int | str, library: str | None = None) -> Signer:
    number = key if isinstance(key, int) else int(key, 16)
    return Signer(bytearray(number.to_bytes(32, "big")), library)


SIGNER = signer_of(KEY)
NO_SECP256K1 = ["/nonexistent.so", "libc.so.6"]

u64 = st.integers(0, 2**64 - 1)
u128 = st.integers(0, 2**128 - 1) | st.sampled_from([0, 1, 2**64, 2**128 - 1])
u256 = st.integers(0, 2**256 - 1) | st.sampled_from([0, 1, 127, 128, 2**255, 2**256 - 1])
addresses = st.binary(min_size=20, max_size=20)


# ---- Signer ----


@pytest.mark.parametrize("library", [None, *NO_SECP256K1])
@pytest.mark.parametrize("case", VECTORS["signatures"], ids=lambda case: case["message"][:20])
def test_signatures_are_the_published_rfc6979_ones(case, library):
    signer = signer_of(case["key"], library)
    assert signer.backend == ("coincurve" if library else "libsecp256k1")
    digest = hashlib.sha256(case["message"].encode()).digest()
    signature = signer.sign_digest(digest)
    assert signature[:64].hex() == case["signature"][2:]
    public = coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)
    assert keccak256(public.format(compressed=False)[1:])[12:] == to_address_bytes(signer.address)


@pytest.mark.parametrize("library", [None, *NO_SECP256K1])
@pytest.mark.parametrize("case", VECTORS["addresses"], ids=lambda case: case["address"])
def test_address_of_a_key(case, library):
    assert signer_of(case["key"], library).address == case["address"]


@given(key=st.integers(1, ORDER - 1), digest=st.binary(min_size=32, max_size=32))
@settings(max_examples=50)
def test_fast_and_fallback_signatures_are_equal_and_low_s(key, digest):
    signature = signer_of(key).sign_digest(digest)
    assert signature == signer_of(key, NO_SECP256K1[0]).sign_digest(digest)
    assert int.from_bytes(signature[32:64], "big") <= ORDER // 2
    assert signature[64] in (0, 1)


@pytest.mark.parametrize("wrong", ["signature", "address"])
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_library_that_misses_the_known_answer_is_not_used(tmp_path, wrong):
    # The real library behind one function that changes its answer.
    functions = {
        "signature": "int secp256k1_ecdsa_recoverable_signature_serialize_compact("
        "const void *c, unsigned char *out, int *recid, const unsigned char *s)"
        "{ (void)c; for (int i = 0; i < 64; i++) out[i] = s[i]; *recid = s[64]; return 1; }",
        "address": "int secp256k1_ec_pubkey_serialize("
        "const void *c, unsigned char *out, unsigned long *n, const void *p, unsigned int f)"
        "{ (void)c; (void)p; (void)f; for (int i = 0; i < 65; i++) out[i] = 4; "
        "*n = 65; return 1; }",
    }
    source, library = tmp_path / "wrong.c", tmp_path / "wrong.so"
    source.write_text(functions[wrong])
    real = coincurve._libsecp256k1.__file__
    subprocess.run(
        ["cc", "-shared", "-fPIC", source, "-Wl,--no-as-needed", real, "-o", library], check=True
    )
    signer = signer_of(KEY, str(library))
    assert signer.backend == "coincurve"
    digest = keccak256(b"any")
    assert signer.sign_digest(digest) == SIGNER.sign_digest(digest)
    assert signer.address == SIGNER.address


@pytest.mark.parametrize("library", [None, NO_SECP256K1[0]])
@pytest.mark.parametrize("key", [0, ORDER, ORDER + 1, 2**256 - 1])
def test_key_out_of_range_is_refused_and_wiped(key, library):
    secret = bytearray(key.to_bytes(32, "big"))
    with pytest.raises(ValueError, match="expected a number of 1 to the group order - 1"):
        Signer(secret, library)
    assert secret == bytes(32)


@pytest.mark.parametrize("n", [0, 1, 31, 33, 64])
def test_key_of_another_length_is_refused_and_wiped(n):
    secret = bytearray(b"\x07" * n)
    with pytest.raises(ValueError, match=f"expected 32 bytes, was {n}"):
        Signer(secret)
    assert secret == bytes(n)


def test_key_must_be_a_bytearray_and_is_wiped_on_success():
    secret = bytearray.fromhex(KEY_HEX)
    Signer(secret)
    assert secret == bytes(32)
    for unwipeable in (bytes.fromhex(KEY_HEX), KEY_HEX, None):
        with pytest.raises(TypeError) as info:
            Signer(unwipeable)
        assert KEY_HEX not in str(info.value)


def test_nothing_shows_the_key(caplog):
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").warning("%s %r", SIGNER, SIGNER)
    public = {name: getattr(SIGNER, name) for name in dir(SIGNER) if not name.startswith("__")}
    shown = f"{SIGNER} {SIGNER!r} {SIGNER:} {caplog.text} {public!r}"
    assert SIGNER.address in shown
    secret = bytes.fromhex(KEY_HEX)
    for form in (KEY_HEX, str(KEY), repr(secret)[2:-1], repr(secret)[2:20]):
        assert form not in shown
    assert not hasattr(SIGNER, "__dict__")
    for copier in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            copier(SIGNER)
    with pytest.raises(AttributeError):
        SIGNER.address = "0x"


def guarded_bytes() -> int:
    """Size of this process's mappings that are locked (lo), left out of core dumps (dd) and empty
    for children (wf)."""
    mappings = re.findall(
        r"^Size: +(\d+) kB$.*?^VmFlags:(.*?)$",
        Path("/proc/self/smaps").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    return sum(
        int(size) * 1024 for size, flags in mappings if {"lo", "dd", "wf"} <= set(flags.split())
    )


def test_key_has_a_locked_page_outside_core_dumps_and_children_and_gives_it_back():
    if not SIGNER.locked:
        pytest.skip("mlock is not allowed here (RLIMIT_MEMLOCK)")
    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("the address sanitizer makes mlock do nothing")
    before = guarded_bytes()
    signer = signer_of(1)
    assert guarded_bytes() == before + 4096
    assert signer.undumped
    del signer
    assert guarded_bytes() == before


def test_digest_must_have_32_bytes():
    with pytest.raises(ValueError, match="expected 32 bytes, was 31"):
        SIGNER.sign_digest(bytes(31))


# ---- RLP and addresses ----


def as_bytes(item):
    if isinstance(item, list):
        return [as_bytes(part) for part in item]
    return item.encode() if isinstance(item, str) else item


@pytest.mark.parametrize("case", VECTORS["rlp"], ids=lambda case: case["encoded"][:20])
def test_rlp_known_answers(case):
    assert rlp_encode(as_bytes(case["item"])).hex() == case["encoded"][2:]


@pytest.mark.parametrize("n", [55, 56, 255, 256, 65535, 65536])
def test_rlp_heads_at_the_edges_of_their_lengths(n):
    length = n.to_bytes((n.bit_length() + 7) // 8, "big")
    for item, short, long in ((b"\x80" * n, 0x80, 0xB7), ([b"\x01"] * n, 0xC0, 0xF7)):
        head = bytes([short + n]) if n < 56 else bytes([long + len(length)]) + length
        assert rlp_encode(item)[:-n] == head


@pytest.mark.parametrize("item", [-1, None, "dog", 1.0, True, [b"", -1]])
def test_rlp_refuses_what_has_no_encoding(item):
    with pytest.raises(TypeError, match="RLP: expected"):
        rlp_encode(item)


@pytest.mark.parametrize("address", VECTORS["checksums"])
def test_checksums(address):
    assert to_checksum_address(address.lower()) == to_checksum_address(address) == address
    assert to_checksum_address(bytes.fromhex(address[2:])) == address


@pytest.mark.parametrize(
    "address", ["", "0x", "0x" + "0" * 39, "0x" + "g" * 40, "0" * 42, b"\0" * 19, 7, None]
)
def test_bad_addresses_are_refused(address):
    with pytest.raises(ValueError, match="expected 20 bytes or 0x and 40 hex digits"):
        to_checksum_address(address)


def test_wrong_checksum_is_refused():
    address = VECTORS["checksums"][2]
    with pytest.raises(ValueError, match="wrong EIP-55 checksum"):
        to_checksum_address(address.replace("A", "a", 1))


@pytest.mark.parametrize("case", VECTORS["create2"], ids=lambda case: case["address"])
def test_create2_addresses(case):
    salt, init_code = bytes.fromhex(case["salt"][2:]), bytes.fromhex(case["init_code"][2:])
    assert create2_address(case["sender"], salt, keccak256(init_code)) == case["address"]


def test_create_address_is_where_anvils_first_account_deploys_first():
    # Published with every tutorial: nonce 0 of 0xf39F...2266.
    assert create_address(SIGNER.address, 0) == "0x5FbDB2315678afecb367f032d93F642f64180aa3"


# ---- transactions ----


@pytest.mark.parametrize("case", VECTORS["transactions"], ids=lambda case: case["name"])
def test_transactions_known_answers(case):
    raw = sign_transaction(case["transaction"], signer_of(case["key"]))
    assert raw.hex() == case["raw"][2:]
    assert keccak256(raw).hex() == case["hash"][2:]


TYPE2 = [
    case
    for case in VECTORS["transactions"]
    if case["transaction"].get("type") == 2
    and case["transaction"]["to"]
    and not case["transaction"].get("accessList")
]


def in_place(transaction: dict, signer: Signer, **how) -> tuple[bytes, bytes]:
    return encode_type2(
        signer,
        **how,
        chain_id=transaction["chainId"],
        nonce=transaction["nonce"],
        max_priority_fee=transaction["maxPriorityFeePerGas"],
        max_fee=transaction["maxFeePerGas"],
        gas_limit=transaction["gas"],
        to=transaction["to"],
        value=transaction["value"],
        data=bytes.fromhex(transaction["data"][2:]),
    )


@pytest.mark.parametrize("case", TYPE2, ids=lambda case: case["name"])
def test_in_place_encoder_known_answers(case):
    raw, tx_hash = in_place(case["transaction"], signer_of(case["key"]))
    assert raw.hex() == case["raw"][2:]
    assert tx_hash.hex() == case["hash"][2:]


type2 = st.fixed_dictionaries(
    {
        "type": st.just(2),
        "chainId": u64,
        "nonce": u64,
        "maxPriorityFeePerGas": u64,
        "maxFeePerGas": u64,
        "gas": u64,
        "to": addresses,
        "value": u256,
        "data": st.binary(max_size=700).map(lambda data: "0x" + data.hex()),
    }
)


@given(transaction=type2, key=st.integers(1, ORDER - 1))
@settings(max_examples=300, deadline=None)
def test_in_place_encoder_equals_eth_account(transaction, key):
    signer = signer_of(key)
    signed = Account.sign_transaction(
        {**transaction, "to": to_checksum_address(transaction["to"])}, f"0x{key:064x}"
    )
    raw, tx_hash = in_place(transaction, signer)
    assert raw == signed.raw_transaction
    assert tx_hash == signed.hash
    assert sign_transaction(transaction, signer) == raw


@pytest.mark.parametrize("n", [0, 1, 55, 56, 135, 136, 255, 256, 65_535, 65_536, 200_000])
def test_in_place_encoder_at_the_edges_of_data_lengths(n):
    transaction = {**TYPE2[0]["transaction"], "data": "0x" + "80" * n}
    raw, tx_hash = in_place(transaction, SIGNER)
    assert raw == sign_transaction(transaction, SIGNER)
    assert tx_hash == keccak256(raw)
    assert in_place(transaction, SIGNER, hash_later=True) == (raw, tx_hash)


def test_in_place_encoder_signs_the_same_without_the_c_api():
    transaction = TYPE2[-1]["transaction"]
    assert in_place(transaction, signer_of(KEY, NO_SECP256K1[1])) == in_place(transaction, SIGNER)


@pytest.mark.parametrize("field", ["chainId", "nonce", "maxFeePerGas", "gas", "value"])
@pytest.mark.parametrize("value", [-1, 2**256, 1.5, "1", True])
def test_numbers_that_do_not_fit_are_refused(field, value):
    transaction = {**TYPE2[0]["transaction"], field: value}
    with pytest.raises(ValueError, match="expected an integer of 0 to"):
        sign_transaction(transaction, SIGNER)
    with pytest.raises(ValueError, match="expected an integer of 0 to"):
        in_place(transaction, SIGNER)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blobVersionedHashes": []}, "unknown key 'blobVersionedHashes'"),
        ({"type": 3}, "expected 0, 1 or 2, was 3"),
        ({"gasPrice": 1}, "type 2 has no gasPrice"),
        ({"type": 1}, "type 1 has no maxFeePerGas"),
        ({"data": "60"}, "data: expected bytes or 0x and hex digits"),
        ({"data": "0x6"}, "data: expected bytes or 0x and hex digits"),
        ({"to": "0x12"}, "expected 20 bytes"),
        ({"accessList": [{"address": bytes(20), "storageKeys": [bytes(31)]}]}, "was 31"),
    ],
)
def test_transactions_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        sign_transaction({**TYPE2[0]["transaction"], **change}, SIGNER)


# ---- calldata ----

ABI_TYPES = ["uint256", "uint256", "uint256[4]"]
SIGNATURE = f"execute({','.join(ABI_TYPES)})"
V2, V3 = 1, 2
hops = st.tuples(addresses, st.sampled_from([V2, V3]), st.booleans(), st.integers(0, 2**24 - 1))


def hop_word(pool: bytes, kind: int, zero_for_one: bool, fee_pips: int) -> int:
    fee = fee_pips if kind == V2 else 0
    return int.from_bytes(pool, "big") | fee << 160 | zero_for_one << 184 | kind << 192


plans = st.fixed_dictionaries(
    {
        "deadline": u64,
        "funding": st.integers(0, 3),
        "token": addresses,
        "amount_in": u128,
        "min_profit": u128,
        "hops": st.lists(hops, min_size=2, max_size=4),
    }
)


@given(plan=plans)
def test_execute_calldata_equals_eth_abi(plan):
    calldata = execute_calldata(**plan)
    words = [hop_word(*hop) for hop in plan["hops"]]
    words += [0] * (4 - len(words))
    terms = int.from_bytes(plan["token"], "big") | plan["funding"] << 160 | plan["deadline"] << 168
    amounts = plan["min_profit"] | plan["amount_in"] << 128
    assert calldata[:4] == function_signature_to_4byte_selector(SIGNATURE)
    assert calldata[4:] == abi_encode(ABI_TYPES, [terms, amounts, words])


HOP = (b"\x11" * 20, V2, True, 3000)


@pytest.mark.parametrize(
    "change",
    [
        {"hops": []},
        {"hops": [HOP]},
        {"hops": [HOP] * 5},
        {"funding": 4},
        {"hops": [HOP, (HOP[0], 0, True, 0)]},
        {"hops": [HOP, (HOP[0], 3, True, 0)]},
        {"hops": [HOP, (HOP[0], V2, True, 2**24)]},
        {"amount_in": 2**128},
        {"min_profit": 2**128},
        {"deadline": -1},
    ],
    ids=repr,
)
def test_what_is_no_plan_is_refused(change):
    plan = {"deadline": 1, "funding": 0, "token": bytes(20), "amount_in": 1, "min_profit": 1}
    assert len(execute_calldata(**plan, hops=[HOP, HOP])) == 196
    with pytest.raises(ValueError, match="expected"):
        execute_calldata(**{**plan, "hops": [HOP, HOP], **change})


# ---- request ----


@given(request_id=u64, raw=st.binary(max_size=600))
def test_send_raw_request_is_json_rpc(request_id, raw):
    request = send_raw_request(request_id, raw)
    assert json.loads(request) == {
        "jsonrpc": "2.0",
        "id": request_id,
        "method": "eth_sendRawTransaction",
        "params": ["0x" + raw.hex()],
    }
    assert b" " not in request


@pytest.mark.parametrize("request_id", [0, 9, 10, 99, 2**63, 2**64 - 1])
def test_send_raw_request_ids(request_id):
    assert json.loads(send_raw_request(request_id, bytes(range(256))))["id"] == request_id
