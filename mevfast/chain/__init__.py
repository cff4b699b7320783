"""The node: JSON-RPC over WebSocket, subscriptions, gap fill."""
