"""List the Redis commands that a lease may have: those that read or write the keys that they name, and no others.

An allow list, since a deny list would miss commands of each new release. Left out on purpose: commands that run code,
list keys or read the server's state; that reach keys which the arguments do not show to the access control (`sort`,
`copy` with `DB`); that change the session (`select`, `auth`, `hello`, `reset`, `multi`, `subscribe`); and that block
(`blpop`, `xread`).
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
"""Commands that change nothing."""

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
"""Commands that change keys."""

COMMANDS: Final = READING | WRITING
PUBLISH: Final = "publish"
