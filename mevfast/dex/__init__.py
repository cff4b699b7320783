"""Protocol families: discovery, state loading, events, calldata."""
