"""Transactions, hashes, RLP and addresses of ethers, ethereum/tests, noble and coincurve."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import rlp
from coincurve.ecdsa import cdata_to_der, deserialize_compact

from mevfast._tx import (
    Signer,
    encode_type2,
    keccak256,
    rlp_encode,
    to_address_bytes,
    to_checksum_address,
)
from mevfast.execution.transaction import create2_address, create_address, sign_transaction

FOLDER = Path(__file__).parents[2].parent / "shared" / "real" / "signing"
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="no recorded signing data beside the project"),
]


def load(name: str) -> Any:
    content = (FOLDER / name).read_bytes()
    return json.loads(gzip.decompress(content) if name.endswith(".gz") else content)


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def signer_of(key: str) -> Signer:
    return Signer(bytearray(raw(key)))


# ---- ethers: every transaction in each of three types ----

COMMON = {"chainId": 0, "nonce": 0, "gasLimit": 0, "value": 0}
FORMS = {
    "Eip155": (0, ["gasPrice"]),
    "Berlin": (1, ["gasPrice"]),
    "London": (2, ["maxPriorityFeePerGas", "maxFeePerGas"]),
}


def number(value: int | str) -> int:
    return value if isinstance(value, int) else int(value, 16)


def transaction_of(case: dict[str, Any], form: str) -> dict[str, Any]:
    """The fields that a type uses, spelled as JSON-RPC spells them."""
    kind, fees = FORMS[form]
    given = case["transaction"]
    result = {name: number(given.get(name, 0)) for name in (*COMMON, *fees)}
    result["gas"] = result.pop("gasLimit")
    result |= {"type": kind, "to": given.get("to"), "data": given.get("data", "0x")}
    if kind:
        result["accessList"] = given.get("accessList", [])
    return result


@pytest.mark.parametrize(("form", "expected"), [("Eip155", 208), ("Berlin", 400), ("London", 400)])
def test_ethers_transactions_byte_for_byte(form, expected):
    cases = load("ethers_transactions.json.gz")["cases"]
    signed_count = hashes = 0
    for case in cases:
        if not case[f"signed{form}"]:
            assert "chainId" not in case["transaction"]  # ethers records no EIP-155 form without
            continue
        signed_count += 1
        transaction, signer = transaction_of(case, form), signer_of(case["privateKey"])
        signed = sign_transaction(transaction, signer)
        assert signed.hex() == case[f"signed{form}"][2:], case["name"]
        if f"hash{form}" in case:
            hashes += 1
            assert keccak256(signed).hex() == case[f"hash{form}"][2:], case["name"]
    assert (signed_count, hashes) == (expected, 208)


def test_ethers_type2_transactions_through_the_in_place_encoder():
    encoded = 0
    for case in load("ethers_transactions.json.gz")["cases"]:
        fields = transaction_of(case, "London")
        narrow = ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas")
        wide = any(fields[name] >> 64 for name in narrow)
        if fields["to"] is None or fields["accessList"] or wide:
            continue
        signed, tx_hash = encode_type2(
            signer_of(case["privateKey"]),
            chain_id=fields["chainId"],
            nonce=fields["nonce"],
            max_priority_fee=fields["maxPriorityFeePerGas"],
            max_fee=fields["maxFeePerGas"],
            gas_limit=fields["gas"],
            to=fields["to"],
            value=fields["value"],
            data=raw(fields["data"]),
        )
        assert signed.hex() == case["signedLondon"][2:], case["name"]
        assert tx_hash == keccak256(signed)
        encoded += 1
    assert encoded > 0


# ---- ethereum/tests ----


def test_ethereum_basic_transactions():
    # The second one has the high s of before EIP-2: the same signature after s -> order - s.
    low, high = load("ethereum_tests_basic.json")["txtest"]
    for case in (low, high):
        transaction = {
            "nonce": case["nonce"],
            "gasPrice": case["gasprice"],
            "gas": case["startgas"],
            "to": "0x" + case["to"] if case["to"] else None,
            "value": case["value"],
            "data": "0x" + case["data"],
        }
        signed = sign_transaction(transaction, signer_of(case["key"]))
        *fields, v, r, s = rlp.decode(signed)
        *expected, given_v, given_r, given_s = rlp.decode(raw(case["signed"]))
        assert rlp_encode([*fields, 0, 0, 0]).hex() == case["unsigned"]
        assert (fields, r) == (expected, given_r)
        if case is low:
            assert signed.hex() == case["signed"]
        else:
            assert int.from_bytes(s, "big") == ORDER - int.from_bytes(given_s, "big")
            assert v[0] ^ given_v[0] == 27 ^ 28


def test_ethereum_key_addresses_and_signatures():
    for case in load("ethereum_tests_basic.json")["keyaddrtest"]:
        signer = signer_of(case["key"])
        assert keccak256(case["seed"].encode()).hex() == case["key"]
        assert to_address_bytes(signer.address).hex() == case["addr"]


def test_ethereum_valid_transactions_encode_and_hash_back():
    valid = 0
    for group in load("ethereum_tests_transactions.json")["tests"].values():
        for case in group.values():
            outcome = case["result"].get("Cancun") or {}
            if "hash" not in outcome:
                continue
            valid += 1
            signed = raw(case["txbytes"])
            assert keccak256(signed).hex() == outcome["hash"][2:]
            assert rlp_encode(rlp.decode(signed)) == signed
    assert valid == 15


# ---- hashes, RLP, addresses ----


def test_ethers_keccak():
    cases = load("ethers_keccak_sha.json")["cases"]
    for case in cases:
        assert keccak256(raw(case["data"])).hex() == case["keccak256"][2:], case["name"]
    assert len(cases) == 129


def test_ethers_rlp():
    def decoded(item: Any) -> Any:
        return [decoded(part) for part in item] if isinstance(item, list) else raw(item)

    cases = load("ethers_rlp.json")["cases"]
    for case in cases:
        assert rlp_encode(decoded(case["decoded"])).hex() == case["encoded"][2:], case["name"]
    assert len(cases) == 31


def test_ethers_account_addresses():
    cases = load("ethers_accounts.json")["cases"]
    for case in cases:
        assert signer_of(case["privateKey"]).address == case["address"], case["name"]
        assert to_checksum_address(case["address"].lower()) == case["address"]
    assert len(cases) == 130


def test_ethers_create_and_create2_addresses():
    data = load("ethers_create_create2.json")
    checked = 0
    for group in data["create"]:
        for case in group["creates"]:
            assert create_address(group["sender"], case["nonce"]) == case["address"], case["name"]
            checked += 1
    for group in data["create2"]:
        for case in group["creates"]:
            code_hash = keccak256(raw(case["initCode"]))
            assert code_hash == raw(case["initCodeHash"])
            address = create2_address(group["sender"], raw(case["salt"]), code_hash)
            assert address == case["address"], case["name"]
            checked += 1
    assert checked >= 16


# ---- signatures ----


def test_rfc6979_signatures():
    cases = load("rfc6979_ecdsa.json")["cases"]
    for case in cases:
        signature = signer_of(case["d"]).sign_digest(raw(case["m"]))
        assert signature[:64].hex() == case["signature"]
    assert len(cases) == 200


def test_coincurve_signatures():
    cases = load("coincurve_ecdsa_sig.json")["vectors"]
    for case in cases:
        signature = signer_of(case["privkey"]).sign_digest(raw(case["msg"]))
        der = cdata_to_der(deserialize_compact(signature[:64]))
        assert der.hex() + "01" == case["sig"]  # Bitcoin appends its signature hash type
    assert len(cases) == 100
