"""Which commands of Redis a lease may have: those that read or write the keys that they name, and no others.

A list of what is allowed, because one of what is not would be one command short with each release. Left out on purpose:
whatever runs code, lists keys or reads the server's state, whatever reaches keys that the arguments do not show to the
access control (`sort`, `copy` with `DB`), whatever changes the session (`select`, `auth`, `hello`, `reset`, `multi`,
`subscribe`), and whatever waits (`blpop`, `xread`).
"""

from __future__ import annotations

from typing import Final

READING: Final = frozenset(
    """
    bitcount bitfield_ro bitpos exists expiretime geodist geohash geopos geosearch get getbit getrange hexists hget
    hgetall hkeys hlen hmget hrandfield hscan hstrlen hvals lcs lindex llen lpos lrange mget pexpiretime pfcount pttl
    scard sdiff sinter sintercard sismember smembers smismember srandmember sscan strlen sunion ttl type xlen xpending
    xrange xrevrange zcard zcount zdiff zinter zintercard zlexcount zmscore zrandmember zrange zrangebylex
    zrangebyscore zrank zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion
    """.split()
)
"""What changes nothing."""

WRITING: Final = frozenset(
    """
    append bitfield bitop decr decrby del expire expireat geoadd geosearchstore getdel getex getset hdel hexpire
    hincrby hincrbyfloat hmset hpersist hset hsetnx incr incrby incrbyfloat linsert lmove lmpop lpop lpush lpushx lrem
    lset ltrim mset msetnx persist pexpire pexpireat pfadd pfmerge psetex rename renamenx rpop rpoplpush rpush rpushx
    sadd sdiffstore set setbit setex setnx setrange sinterstore smove spop srem sunionstore touch unlink xack xadd
    xautoclaim xclaim xdel xtrim zadd zdiffstore zincrby zinterstore zmpop zpopmax zpopmin zrangestore zrem
    zremrangebylex zremrangebyrank zremrangebyscore zunionstore
    """.split()
)
"""What changes keys."""

COMMANDS: Final = READING | WRITING
PUBLISH: Final = "publish"
