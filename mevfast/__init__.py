"""mevfast: an arbitrage engine for EVM chains."""

__version__ = "0.1.0"
