"""Pinned npm packages: contract artifacts, the Solidity compiler, the anvil binary.

Owns the cache of unpacked packages, one folder each, `.cache/npm/NAME@VERSION`. Packages are
fetched one at a time with `npm pack`, because the dependency trees of some of them name git
repositories, and none of their dependencies is needed. Nothing of a package is ever executed
here except anvil, whose tarball like every other must have the SHA-512 in the table below.
"""

import base64
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mevfast.errors import DevnetError

ANVIL_VERSION = "1.7.1"
_NPM_TIMEOUT_S = 300


@dataclass(frozen=True)
class Pin:
    """One package: its exact version and the integrity string of its tarball."""

    version: str
    integrity: str
    name: str = ""
    """In the registry, where two versions of a package are pinned and the key is an alias."""


PINS: Mapping[str, Pin] = {
    "@uniswap/v2-core": Pin(
        "1.0.1",
        "sha512-MtybtkUPSyysqLY2U210NBDeCHX+ltHt3oADGdjqoThZaFRDKwM6k1Nb3F0A3hk5hwuQvytFWhrWHOEq6nVJ8Q==",
    ),
    "@uniswap/v2-periphery": Pin(
        "1.1.0-beta.0",
        "sha512-6dkwAMKza8nzqYiXEr2D86dgW3TTavUvCR0w2Tu33bAbM8Ah43LKAzH7oKKPRT5VJQaMi1jtkGs1E8JPor1n5g==",
    ),
    "@sushiswap/sushiswap": Pin(
        "0.1.1",
        "sha512-//SnivIpaGeFerBgKrApiQDTreR7VXhCQd+RwEMF7Yv3F/mCzi83sB8BmQjG3Vj+YoiQHFzE2YfWP5b4aDZoYg==",
    ),
    "@uniswap/v3-core": Pin(
        "1.0.1",
        "sha512-7pVk4hEm00j9tc71Y9+ssYpO6ytkeI0y7WE9P6UcmNzhxPePwyAxImuhVsTqWK9YFvzgtvzJHi64pBl4jUzKMQ==",
    ),
    "@uniswap/v3-periphery": Pin(
        "1.4.4",
        "sha512-S4+m+wh8HbWSO3DKk4LwUCPZJTpCugIsHrWR86m/OrUyvSqGDTXKFfc2sMuGXCZrD1ZqO3rhQsKgdWg3Hbb2Kw==",
    ),
    "@balancer-labs/v2-deployments": Pin(
        "3.2.0",
        "sha512-pghD7qyTVp1832d7F7yHgAeh/EZvS2/GLvUx9ieM671NMh1KTprYZOBCpEVVC9JnE1Vpru5rc9DDNlFw3capVw==",
    ),
    "@aave/core-v3": Pin(
        "1.19.3",
        "sha512-Xr7+VcoU5b4mPwM4IUCnskw3lciwrnL4Xloyad8GOddYeixnri2lZYobNmErm1LwE50vqjI0O+9QGNKY2TDkeQ==",
    ),
    "@pancakeswap-libs/pancake-swap-core": Pin(
        "0.1.0",
        "sha512-2jYiD1Ec3xAbP4JTa/Ozylx0xI4VwC7diCm5ak4AtGrIRhfRLSanaZSQdVpLigUnIFszma/4nVWtt3cup4Poxw==",
    ),
    "@traderjoe-xyz/core": Pin(
        "2.4.6",
        "sha512-YmDEkxa8avXRlILFNT3p87vkXrQ1ONK/Hb3XJiUZxGktTPf4gaAHjAPtETn1LwDBAqLvs2ZhiZDSgHSdDivhNw==",
    ),
    "@pancakeswap/v3-core": Pin(
        "1.0.2",
        "sha512-9aZU8I1J6SbZOSW7NcNxuyaAC17tGkOaZJM9aJgvl6MMUOExpq0i0EC/jc3HxWbpC8sbZL+8eG544NEJs8CS+w==",
    ),
    "@cryptoalgebra/core": Pin(
        "2.0.0",
        "sha512-0IYRzqxtMpA2ZuxRCe6r/gK+3I94AQ8Sg/57QtFGkTCls4JewtMW4HlnIIgz1xRvjb5mUWVK+hHG/vXMdcz8gw==",
    ),
    "@cryptoalgebra/core-limit-orders": Pin(
        "3.0.0",
        "sha512-yTWD8yYHlnSQ22BIH15fCb1OfAUMKseykQvr3Y3CGuy5akqzjjTHn4C7FGfiQJkTxrUxzrXhBqjaisNj9QzAEg==",
        "@cryptoalgebra/core",
    ),
    "@cryptoalgebra/integral-core": Pin(
        "1.2.10",
        "sha512-L6A09tSmcsmZZEwLG3W5ve1RzPManARHiDdkbLq8F7mQa+C6hegq+w1FICHNFKNtkfo+eChZF97Du6SVfJkeUQ==",
    ),
    "@uniswap/v4-core": Pin(
        "1.0.2",
        "sha512-X15Tm2wWd+USAzEExMbo+g9naA6QN6mPgWm0MzDwRNlOfaNlepfUpSyt9RSrUfEODspwbyWbcLg6t5nwc/e7lg==",
    ),
    "sphere-mezo-solidity-files": Pin(
        "1.2.0",
        "sha512-slDQvcqBgUQKzVLo5uHVKH3E367t07TPXNcHzxuSXaH/1iVWWDPnmXD6Z+BlvcI+QPcOTq/6PSpqS+zu4krT/g==",
    ),
    "@openzeppelin/contracts": Pin(
        "5.0.2",
        "sha512-ytPc6eLGcHHnapAZ9S+5qsdomhjo6QBHTDRRBFfTxXIpsicMhVPouPgmUPebZZZGX7vt9USA+Z+0M0dSVtSUEA==",
    ),
    "viem": Pin(
        "2.57.20",
        "sha512-LSvREzKT7xFXpmxW2YFJ/OtcZRkSGLp5zywSgadBf0qQCeqh2+FxHHWyrS2zEG7ZfBWQQvk8HI1i4HPzSMD14g==",
    ),
    "@foundry-rs/anvil-linux-amd64": Pin(
        ANVIL_VERSION,
        "sha512-+XmShybEaxfCrr0OUUZwYEy2OnYZt5pHH9TzBtLv3+VrK0O/ANuNSVEahqNhKHlgX7GRJ59383ofNhxkRWIYTg==",
    ),
    "solc": Pin(
        "0.8.30",
        "sha512-9Srk/gndtBmoUbg4CE6ypAzPQlElv8ntbnl6SigUBAzgXKn35v87sj04uZeoZWjtDkdzT0qKFcIo/wl63UMxdw==",
    ),
}

# The only machine anvil 1.7.1 is published for on Linux; the arm64 package that its wrapper
# names does not exist.
_ANVIL_PACKAGES = {"x86_64": "@foundry-rs/anvil-linux-amd64"}

_AAVE = "artifacts/contracts/"
_BALANCER = "dist/tasks/"

ARTIFACTS: Mapping[str, tuple[str, str]] = {
    "WETH9": ("@uniswap/v2-periphery", "build/WETH9.json"),
    "MintableERC20": ("@aave/core-v3", _AAVE + "mocks/tokens/MintableERC20.sol/MintableERC20.json"),
    "MockFlashLoanSimpleReceiver": (
        "@aave/core-v3",
        _AAVE + "mocks/flashloan/MockSimpleFlashLoanReceiver.sol/MockFlashLoanSimpleReceiver.json",
    ),
    "UniswapV2Factory": ("@uniswap/v2-core", "build/UniswapV2Factory.json"),
    "UniswapV2Pair": ("@uniswap/v2-core", "build/UniswapV2Pair.json"),
    "UniswapV2Router02": ("@uniswap/v2-periphery", "build/UniswapV2Router02.json"),
    "SushiV2Factory": (
        "@sushiswap/sushiswap",
        "artifacts/contracts/UniswapV2Factory.sol/UniswapV2Factory.json",
    ),
    "SushiV2Pair": (
        "@sushiswap/sushiswap",
        "artifacts/contracts/UniswapV2Pair.sol/UniswapV2Pair.json",
    ),
    "SushiV2Router02": (
        "@sushiswap/sushiswap",
        "artifacts/contracts/UniswapV2Router02.sol/UniswapV2Router02.json",
    ),
    "PancakeFactory": ("@pancakeswap-libs/pancake-swap-core", "build/PancakeFactory.json"),
    "JoeFactory": (
        "@traderjoe-xyz/core",
        "artifacts/contracts/traderjoe/JoeFactory.sol/JoeFactory.json",
    ),
    "UniswapV3Factory": (
        "@uniswap/v3-core",
        "artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json",
    ),
    "UniswapV3Pool": (
        "@uniswap/v3-core",
        "artifacts/contracts/UniswapV3Pool.sol/UniswapV3Pool.json",
    ),
    "PancakeV3Pool": (
        "@pancakeswap/v3-core",
        "artifacts/contracts/PancakeV3Pool.sol/PancakeV3Pool.json",
    ),
    **{
        f"{name}{contract}": (package_name, f"artifacts/contracts/{contract}.sol/{contract}.json")
        for name, package_name in {
            "V1": "@cryptoalgebra/core",
            "LimitOrders": "@cryptoalgebra/core-limit-orders",
            "Integral": "@cryptoalgebra/integral-core",
        }.items()
        for contract in ("AlgebraPool", "DataStorageOperator")
        if (name, contract) != ("Integral", "DataStorageOperator")
    },
    "PoolManager": ("@uniswap/v4-core", "out/PoolManager.sol/PoolManager.json"),
    "NonfungiblePositionManager": (
        "@uniswap/v3-periphery",
        "artifacts/contracts/NonfungiblePositionManager.sol/NonfungiblePositionManager.json",
    ),
    "SwapRouter": ("@uniswap/v3-periphery", "artifacts/contracts/SwapRouter.sol/SwapRouter.json"),
    "QuoterV2": ("@uniswap/v3-periphery", "artifacts/contracts/lens/QuoterV2.sol/QuoterV2.json"),
    "Vault": ("@balancer-labs/v2-deployments", _BALANCER + "20210418-vault/artifact/Vault.json"),
    "Authorizer": (
        "@balancer-labs/v2-deployments",
        _BALANCER + "20210418-authorizer/artifact/Authorizer.json",
    ),
    "ProtocolFeePercentagesProvider": (
        "@balancer-labs/v2-deployments",
        _BALANCER
        + "20220725-protocol-fee-percentages-provider/artifact/ProtocolFeePercentagesProvider.json",
    ),
    "WeightedPoolFactory": (
        "@balancer-labs/v2-deployments",
        _BALANCER + "20230206-weighted-pool-v3/artifact/WeightedPoolFactory.json",
    ),
    "WeightedPool": (
        "@balancer-labs/v2-deployments",
        _BALANCER + "20230206-weighted-pool-v3/artifact/WeightedPool.json",
    ),
    **{
        name: ("@balancer-labs/v2-deployments", f"{_BALANCER}{task}.json")
        for name, task in {
            "WeightedPool2021Factory": (
                "deprecated/20210418-weighted-pool/artifact/WeightedPoolFactory"
            ),
            "WeightedPool2TokensFactory": (
                "deprecated/20210418-weighted-pool/artifact/WeightedPool2TokensFactory"
            ),
            "WeightedPoolV2Factory": "20220908-weighted-pool-v2/artifact/WeightedPoolFactory",
            "StablePool2021Factory": "deprecated/20210624-stable-pool/artifact/StablePoolFactory",
            "StablePhantomPoolFactory": (
                "deprecated/20211208-stable-phantom-pool/artifact/StablePhantomPoolFactory"
            ),
            "StablePoolV2Factory": "20220609-stable-pool-v2/artifact/StablePoolFactory",
            "ComposableStablePoolV1Factory": (
                "deprecated/20220906-composable-stable-pool/artifact/ComposableStablePoolFactory"
            ),
            "ComposableStablePoolV2Factory": (
                "20221122-composable-stable-pool-v2/artifact/ComposableStablePoolFactory"
            ),
            "ComposableStablePoolFactory": (
                "20230206-composable-stable-pool-v3/artifact/ComposableStablePoolFactory"
            ),
        }.items()
    },
    **{
        name: ("@aave/core-v3", f"{_AAVE}protocol/{folder}/{name}.sol/{name}.json")
        for name, folder in {
            "Pool": "pool",
            "PoolConfigurator": "pool",
            "DefaultReserveInterestRateStrategy": "pool",
            "PoolAddressesProvider": "configuration",
            "ACLManager": "configuration",
            "AToken": "tokenization",
            "StableDebtToken": "tokenization",
            "VariableDebtToken": "tokenization",
            "BorrowLogic": "libraries/logic",
            "BridgeLogic": "libraries/logic",
            "ConfiguratorLogic": "libraries/logic",
            "EModeLogic": "libraries/logic",
            "FlashLoanLogic": "libraries/logic",
            "LiquidationLogic": "libraries/logic",
            "PoolLogic": "libraries/logic",
            "SupplyLogic": "libraries/logic",
        }.items()
    },
}


def cache_root() -> Path:
    """The one ignored folder everything fetched or built for the devnet lives in.

    `MEVFAST_CACHE` overrides it; else `.cache` beside the source tree's pyproject.toml, or, when
    installed, `mevfast` under the user's cache folder.
    """
    override = os.environ.get("MEVFAST_CACHE")
    if override:
        return Path(override).absolute()
    root = Path(__file__).resolve().parents[2]
    if (root / "pyproject.toml").is_file():
        return root / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "mevfast"


def _require_tool(tool: str) -> str:
    path = shutil.which(tool)
    if path is None:
        raise DevnetError(
            f"{tool} not found on PATH: install Node.js 18 or later with npm "
            "(Debian: apt-get install nodejs npm)"
        )
    return path


def node_binary() -> str:
    """Path of the Node.js interpreter; DevnetError with what to install where there is none."""
    return _require_tool("node")


def _pack(name: str, version: str, into: Path) -> Path:
    """Fetches one tarball with npm and returns its path."""
    node_binary()  # npm is a node script and fails obscurely without it
    command = [
        _require_tool("npm"), "pack", f"{name}@{version}", "--pack-destination", str(into),
        "--ignore-scripts", "--prefer-offline", "--loglevel=error",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, cwd=into, capture_output=True, text=True, timeout=_NPM_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DevnetError(f"npm pack {name}@{version}: no end after {_NPM_TIMEOUT_S} s") from error
    tarballs = list(into.glob("*.tgz"))
    if done.returncode != 0 or len(tarballs) != 1:
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        reason = lines[0] if lines else f"exit code {done.returncode}, {len(tarballs)} tarballs"
        raise DevnetError(
            f"npm pack {name}@{version} failed: {reason}: check that npm reaches its registry"
        )
    return tarballs[0]


def verify_integrity(name: str, tarball: Path, expected: str) -> None:
    """Compares a tarball with its pinned SHA-512; DevnetError names package, both values."""
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    actual = f"sha512-{digest}"
    if actual != expected:
        raise DevnetError(f"npm package {name}: expected integrity {expected}, was {actual}")


def unpack(name: str, tarball: Path, into: Path) -> None:
    """Writes the regular files of a package tarball under `into`, its first folder stripped.

    A member that is a link or that points outside is a DevnetError: no package here has one.
    """
    with tarfile.open(tarball) as archive:
        for member in archive:
            parts = Path(member.name).parts[1:]
            if member.isdir() or not parts:
                continue
            source = archive.extractfile(member) if member.isreg() else None
            if source is None or ".." in parts or Path(member.name).is_absolute():
                raise DevnetError(f"npm package {name}: unsafe member {member.name!r} in tarball")
            target = into.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with source, target.open("wb") as out:
                shutil.copyfileobj(source, out)


def package(name: str) -> Path:
    """Folder of the unpacked package `name` (a key of PINS), fetched first where missing.

    Safe beside other processes: each unpacks aside and renames, the first rename stays.
    """
    pin = PINS.get(name)
    if pin is None:
        raise DevnetError(f"npm package {name} is not pinned: expected one of {', '.join(PINS)}")
    folder = cache_root() / "npm" / f"{name}@{pin.version}"
    if folder.is_dir():
        return folder
    print(f"mevfast: fetching {name}@{pin.version} from npm", file=sys.stderr, flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache_root() / "npm") as aside:
        tarball = _pack(pin.name or name, pin.version, Path(aside))
        verify_integrity(f"{name}@{pin.version}", tarball, pin.integrity)
        unpacked = Path(aside) / "unpacked"
        unpack(name, tarball, unpacked)
        try:
            unpacked.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was first, with the same bytes
                raise
    return folder


def anvil_binary() -> Path:
    """The anvil executable, from npm where it is published for this machine, else from PATH."""
    name = _ANVIL_PACKAGES.get(platform.machine())
    if name is None:
        found = shutil.which("anvil")
        if found is None:
            raise DevnetError(
                f"no anvil package for machine {platform.machine()} (expected "
                f"{', '.join(_ANVIL_PACKAGES)}): put anvil {ANVIL_VERSION} on PATH"
            )
        return Path(found)
    binary = package(name) / "bin" / "anvil"
    if not os.access(binary, os.X_OK):
        binary.chmod(0o755)
    return binary


def soljson() -> Path:
    """The Solidity compiler as one JavaScript file for `node_binary()`, no dependencies.

    `require(PATH).cwrap('solidity_compile', 'string', ['string', 'number', 'number'])` gives
    the function from standard JSON (then 0, 0) to standard JSON.
    """
    return package("solc") / "soljson.js"


@dataclass(frozen=True)
class Artifact:
    """A compiled contract: `bytecode` is creation code in hex, no 0x, unlinked places as __$..$__.

    `links` maps a library's name to the byte offsets its 20-byte address goes to.
    """

    name: str
    abi: tuple[dict[str, Any], ...]
    bytecode: str
    links: Mapping[str, tuple[int, ...]]

    def linked(self, libraries: Mapping[str, str]) -> bytes:
        """Creation code with every library's address in place (`libraries`: name -> 0x address)."""
        code = self.bytecode
        for library, offsets in self.links.items():
            if library not in libraries:
                raise DevnetError(f"artifact {self.name}: no address for its library {library}")
            address = libraries[library].removeprefix("0x").lower()
            for offset in offsets:
                code = code[: 2 * offset] + address + code[2 * offset + 40 :]
        return bytes.fromhex(code)


def artifact(name: str) -> Artifact:
    """Loads a contract of the ARTIFACTS table, in any of the shapes the packages use."""
    if name not in ARTIFACTS:
        raise DevnetError(f"unknown artifact {name}: expected one of {', '.join(ARTIFACTS)}")
    package_name, relative = ARTIFACTS[name]
    path = package(package_name) / relative
    try:
        raw = json.loads(path.read_bytes())
        code = raw["bytecode"]
        links = raw.get("linkReferences", {})
        if isinstance(code, dict):  # as Foundry writes it
            code, links = code["object"], code.get("linkReferences", {})
        return Artifact(
            name,
            tuple(raw["abi"]),
            code.removeprefix("0x"),
            {
                library: tuple(place["start"] for place in places)
                for by_name in links.values()
                for library, places in by_name.items()
            },
        )
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise DevnetError(f"{path}: expected a contract artifact: {error!r}") from error


def multicall3() -> bytes:
    """Creation code of Multicall3, which viem carries as a constant."""
    path = package("viem") / "_cjs" / "constants" / "contracts.js"
    found = re.search(r"multicall3Bytecode = ['\"]0x([0-9a-f]+)['\"]", path.read_text())
    if found is None:
        raise DevnetError(f"{path}: expected multicall3Bytecode, was not there")
    return bytes.fromhex(found[1])
