"""What runs in Redis: each script is one step that nothing comes between. Times are in milliseconds, Redis' own.

A rate is two keys, the window before and the current one, as the library `limits` keeps them
(`acquire_sliding_window.lua`). A slot is a sorted set of leases by their end.
"""

_WINDOWS = """
local span = tonumber(ARGV[1])
-- What is left of the current window and one window more; where it is over it becomes the one before.
local function rolled(previous, current)
    local ttl = redis.call('pttl', current)
    if ttl > 0 and ttl < span then
        redis.call('rename', current, previous)
        ttl = ttl + span
        redis.call('set', current, 0, 'PX', ttl)
    end
    return math.max(ttl, 0)
end
local function milliseconds()
    local now = redis.call('time')
    return now[1] * 1000 + math.floor(now[2] / 1000)
end
"""

# KEYS: the window before and the current one of each rate, then the slots.
# ARGV: window and lease in ms, lease name, number of rates, (limit, amount) of each rate, limit of each slot.
TAKE = (
    _WINDOWS
    + """
local lease, name, rates = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local granted, answer, argument = 1, {}, 5
for rate = 1, rates do
    local previous, current = KEYS[2 * rate - 1], KEYS[2 * rate]
    local current_ttl = rolled(previous, current)
    local before = tonumber(redis.call('get', previous)) or 0
    local previous_ttl = math.max(redis.call('pttl', previous), 0)
    local counted = tonumber(redis.call('get', current)) or 0
    local used = math.floor(before * previous_ttl / span) + counted
    if used + tonumber(ARGV[argument + 1]) > tonumber(ARGV[argument]) then granted = 0 end
    for _, value in ipairs({before, previous_ttl, counted, current_ttl}) do table.insert(answer, value) end
    argument = argument + 2
end
local now = milliseconds()
for slot = 2 * rates + 1, #KEYS do
    redis.call('zremrangebyscore', KEYS[slot], '-inf', now)
    local in_use = redis.call('zcard', KEYS[slot])
    if in_use >= tonumber(ARGV[argument]) then granted = 0 end
    table.insert(answer, in_use)
    argument = argument + 1
end
if granted == 1 then
    for rate = 1, rates do
        local previous, current, amount = KEYS[2 * rate - 1], KEYS[2 * rate], ARGV[4 + 2 * rate]
        if redis.call('exists', current) == 1 then
            redis.call('incrby', current, amount)
        else
            redis.call('set', current, amount, 'PX', 2 * span)
        end
    end
    for slot = 2 * rates + 1, #KEYS do
        redis.call('zadd', KEYS[slot], now + lease, name)
        redis.call('pexpire', KEYS[slot], 2 * lease)
    end
end
table.insert(answer, granted)
return answer
"""
)

# KEYS: the windows of each difference, then the slots.
# ARGV: window in ms, lease name, age of the take in ms, each difference.
GIVE_BACK = (
    _WINDOWS
    + """
local name, age = ARGV[2], tonumber(ARGV[3])
local differences = #ARGV - 3
for index = 1, differences do
    local previous, current = KEYS[2 * index - 1], KEYS[2 * index]
    local ttl = rolled(previous, current)
    local counted_in = (age > 2 * span - ttl) and previous or current
    if redis.call('exists', counted_in) == 1 then
        local left = redis.call('incrby', counted_in, ARGV[3 + index])
        if left < 0 then redis.call('incrby', counted_in, -left) end
    end
end
for slot = 2 * differences + 1, #KEYS do
    redis.call('zrem', KEYS[slot], name)
end
"""
)

# KEYS: slots. ARGV: window and lease in ms, and the lease name in each slot. A slot that Redis forgot comes back.
RENEW = (
    _WINDOWS
    + """
local lease, now = tonumber(ARGV[2]), milliseconds()
for slot = 1, #KEYS do
    redis.call('zadd', KEYS[slot], now + lease, ARGV[2 + slot])
    redis.call('pexpire', KEYS[slot], 2 * lease)
end
"""
)

ALL = (TAKE, GIVE_BACK, RENEW)
