"""Job storage in Redis: Lua scripts, the clients that run them, and durability of writes."""
