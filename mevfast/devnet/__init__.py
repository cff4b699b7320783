"""The embedded chain: anvil with the real DEX contracts, and traders."""
