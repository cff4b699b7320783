"""Keys, plans, nonces, submission, receipts, risk limits."""
