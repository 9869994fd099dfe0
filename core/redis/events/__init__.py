"""Events of jobs, from the streams that `core/redis/lua/events.lua` writes."""
