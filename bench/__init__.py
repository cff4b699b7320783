"""Measurements that are run by hand; nothing of the engine imports them."""
