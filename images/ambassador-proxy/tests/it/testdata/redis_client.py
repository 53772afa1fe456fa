"""What an application does with redis-py, through the proxy.

Arguments: the port of a pool that speaks RESP2 only, and of one that grants RESP3.
"""

import sys
import time

import redis

VERSION = int(redis.__version__.split(".")[0])


def battery(name, port, **options):
    client = redis.Redis(host="127.0.0.1", port=port, **options)
    prefix = name + ":"
    keys = [prefix + str(number) for number in range(200)]
    assert client.ping() is True
    assert client.echo("hello") in (b"hello", "hello")
    assert client.set(keys[0], "value", ex=100) is True
    assert client.get(keys[0]) == b"value"
    assert 0 < client.ttl(keys[0]) <= 100
    assert client.get(prefix + "missing") is None
    assert client.mset({key: key for key in keys}) is True
    assert client.mget(keys) == [key.encode() for key in keys]
    assert client.mget([keys[3], prefix + "missing", keys[1]]) == [
        keys[3].encode(),
        None,
        keys[1].encode(),
    ]
    assert client.exists(*keys[:50]) == 50
    assert client.touch(*keys[:50]) == 50
    assert client.delete(*keys[:100]) == 100
    assert client.unlink(*keys[100:]) == 100
    assert client.incr(prefix + "n", 5) == 5
    assert client.hset(prefix + "h", "field", "1") == 1
    assert client.hset(prefix + "h", mapping={"a": "2", "b": "3"}) == 2
    assert client.hget(prefix + "h", "field") == b"1"
    assert client.hgetall(prefix + "h") == {b"field": b"1", b"a": b"2", b"b": b"3"}
    assert dict(client.hscan_iter(prefix + "h")) == client.hgetall(prefix + "h")
    assert client.rpush(prefix + "l", "x", "y", "z") == 3
    assert client.lrange(prefix + "l", 0, -1) == [b"x", b"y", b"z"]
    assert client.sadd(prefix + "s", "m") == 1
    assert client.smembers(prefix + "s") == {b"m"}
    assert client.zadd(prefix + "z", {"one": 1, "two": 2.5}) == 2
    scores = client.zrange(prefix + "z", 0, -1, withscores=True)
    assert [tuple(pair) for pair in scores] == [(b"one", 1.0), (b"two", 2.5)], scores
    assert client.zscore(prefix + "z", "two") == 2.5
    assert client.eval("return {KEYS[1], ARGV[1]}", 1, prefix + "e", "a") == [
        (prefix + "e").encode(),
        b"a",
    ]
    assert client.setbit(prefix + "bits", 7, 1) == 0
    assert client.type(prefix + "z") == b"zset"
    binary = bytes(range(256)) * 400
    assert client.set(prefix + "binary", binary) is True
    assert client.get(prefix + "binary") == binary
    pipeline = client.pipeline(transaction=False)
    for number in range(300):
        pipeline.set(prefix + "p" + str(number), number)
        pipeline.get(prefix + "p" + str(number))
    answers = pipeline.execute()
    assert answers[1::2] == [str(number).encode() for number in range(300)]
    pipeline = client.pipeline(transaction=False)
    pipeline.set(prefix + "t", "text")
    pipeline.incr(prefix + "t")
    pipeline.get(prefix + "t")
    answers = pipeline.execute(raise_on_error=False)
    assert answers[0] is True and answers[2] == b"text", answers
    assert isinstance(answers[1], redis.ResponseError), answers
    try:
        client.execute_command("NOSUCH", "x")
        raise AssertionError("an unknown command was answered")
    except redis.ResponseError as error:
        assert "unknown command" in str(error), error
    assert client.get(prefix + "t") == b"text"
    assert client.info()["redis_mode"] == "standalone"
    assert abs(client.time()[0] - time.time()) < 60, client.time()
    if VERSION >= 5:
        assert client.client_id() > 0
        assert client.client_setname("worker") is True
    for _ in range(3):
        client.connection_pool.disconnect()
        assert client.get(prefix + "t") == b"text"
    client.close()
    print(name, "ok")


def main():
    plain, resp3 = int(sys.argv[1]), int(sys.argv[2])
    # From version 8 on the default is RESP3, without a way back: the pool must grant it, or the
    # client must be told.
    resp2 = {"protocol": 2} if VERSION >= 8 else {}
    battery("default", resp3)
    battery("default-2", plain, **resp2)
    battery("db0", plain, db=0, client_name="worker", **resp2)
    battery("pool", plain, connection_pool=redis.BlockingConnectionPool(
        host="127.0.0.1", port=plain, max_connections=2, **resp2))
    if VERSION >= 5:
        battery("protocol-3", resp3, protocol=3)
        battery("protocol-2", resp3, protocol=2)
        try:
            redis.Redis(host="127.0.0.1", port=plain, protocol=3).ping()
            raise AssertionError("a pool that speaks RESP2 granted RESP3")
        except redis.RedisError as error:
            assert "unsupported protocol version" in str(error), error
    secret = int(sys.argv[3])
    battery("password", secret, password="secret", **resp2)
    battery("user", secret, username="default", password="secret", **resp2)
    try:
        redis.Redis(host="127.0.0.1", port=secret, password="wrong", **resp2).ping()
        raise AssertionError("the wrong password was taken")
    except redis.RedisError as error:
        assert "invalid" in str(error), error
    try:
        redis.Redis(host="127.0.0.1", port=secret, **resp2).ping()
        raise AssertionError("no password was needed")
    except redis.RedisError as error:
        assert "Authentication required" in str(error), error
    print("all ok", redis.__version__)


main()
