"""The committed artifacts are what the sources compile to, and the check sees any difference."""

import json
from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from contracts import build
from mevfast.errors import DataError
from mevfast.execution import artifacts

pytestmark = pytest.mark.devnet  # the compiler comes from npm

EIP170, EIP3860 = 24_576, 49_152


@pytest.fixture(scope="module")
def built() -> dict[str, str]:
    return build.build()


def test_committed_artifacts_are_what_the_sources_give(built: dict[str, str]) -> None:
    assert build.differences(built) == []


def test_check_names_each_file_and_field_that_differs(
    built: dict[str, str], tmp_path: Path
) -> None:
    for name, text in built.items():
        (tmp_path / name).write_text(text)
    assert build.differences(built, tmp_path) == []
    artifact = json.loads(built["Executor.json"])
    artifact["bytecode"] = artifact["bytecode"][:-2] + "00"
    (tmp_path / "Executor.json").write_text(json.dumps(artifact))
    (tmp_path / "PairReader.json").unlink()
    (tmp_path / "TickReader.json").write_text("not json")
    (tmp_path / "TokenReader.json").write_text(built["TokenReader.json"] + "\n")
    (tmp_path / "Other.json").write_text("{}")
    assert build.differences(built, tmp_path) == [
        "Executor.json: differs in bytecode",
        "Other.json: no contract of this name is built",
        "PairReader.json: missing",
        "TickReader.json: differs in syntax: not JSON",
        "TokenReader.json: differs in layout",
    ]


def test_the_command_exits_1_on_a_difference(
    built: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(build, "build", lambda: built)
    assert build.main(["--check"]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(build, "build", lambda: {**built, "Executor.json": "{}"})
    assert build.main(["--check"]) == 1
    assert "contracts/artifacts/Executor.json: differs in" in capsys.readouterr().err


def test_a_source_that_does_not_compile_is_named() -> None:
    with pytest.raises(build.CompileError, match=r"Broken\.sol:1"):
        build.compile_sources({"Broken.sol": "contract"})


def test_contracts_keep_the_limits_of_the_chain() -> None:
    executor = artifacts.load("Executor")
    assert len(executor.bytecode) < EIP170
    for name in ("PairReader", "TickReader", "TokenReader"):
        assert len(artifacts.load(name).bytecode) + 32 * 260 < EIP3860


def test_only_what_an_override_places_has_its_runtime_code(built: dict[str, str]) -> None:
    for name in built:
        contract = artifacts.load(name.removesuffix(".json"))
        assert bool(contract.runtime) == (contract.name in build.PLACED)
        # No constructor, no immutables: the code that is placed is the code as compiled.
        assert contract.bytecode.endswith(contract.runtime)


def test_the_executor_delegates_nothing_and_keeps_no_storage(built: dict[str, str]) -> None:
    """Looks at opcodes, not at the source: DELEGATECALL, CALLCODE, SELFDESTRUCT, SSTORE."""
    code = bytes.fromhex(json.loads(built["Executor.json"])["bytecode"][2:])
    opcodes, at = set(), 0
    while at < len(code):
        opcodes.add(code[at])
        push = code[at] - 0x5F
        at += 1 + (push if 1 <= push <= 32 else 0)
    assert opcodes & {0xF4, 0xF2, 0xFF, 0x55} == set()
    assert 0x5D in opcodes  # TSTORE: the walk reads real opcodes


def test_the_loader_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Executor\.json: expected the compiled contract"):
        artifacts.load("Executor", tmp_path)
    path = tmp_path / "Executor.json"
    for text, message in (
        ("{", "expected JSON"),
        ("[]", "field abi"),
        ('{"abi": []}', "field bytecode"),
        ('{"abi": [], "bytecode": "0xzz"}', "field bytecode"),
    ):
        path.write_text(text)
        artifacts.load.cache_clear()
        with pytest.raises(DataError, match=message):
            artifacts.load("Executor", tmp_path)


def test_an_unknown_function_or_error_is_said_so() -> None:
    executor = artifacts.load("Executor")
    with pytest.raises(DataError, match="no function sweep"):
        executor.call("sweep")
    assert executor.error(b"\1\2\3\4") == "0x01020304"
    assert executor.error(b"") == "0x"
    expired = keccak(text="Expired(uint256,uint256)")[:4] + encode(["uint256"] * 2, [7, 6])
    assert executor.error(expired) == "Expired(blockNumber=7, deadline=6)"
    assert executor.error(expired[:-1]) == f"0x{expired[:-1].hex()}"
