"""What an application does with pymemcache, through the proxy. Argument: the port."""

import sys

from pymemcache.client.base import Client, PooledClient


def battery(name, client):
    prefix = name + "-"
    keys = [prefix + str(number) for number in range(200)]
    assert client.set(keys[0], b"value", expire=100)
    assert client.get(keys[0]) == b"value"
    assert client.get(prefix + "missing") is None
    assert client.set_many({key: key.encode() for key in keys}) == []
    assert client.get_many(keys) == {key: key.encode() for key in keys}
    assert client.get_many([keys[1], prefix + "missing"]) == {keys[1]: keys[1].encode()}
    value, token = client.gets(keys[2])
    assert value == keys[2].encode()
    assert client.cas(keys[2], b"new", token) is True
    assert client.cas(keys[2], b"newer", token) is False
    assert len(client.gets_many(keys[:20])) == 20
    assert client.add(prefix + "add", b"1", noreply=False) is True
    assert client.add(prefix + "add", b"2", noreply=False) is False
    assert client.replace(prefix + "none", b"2", noreply=False) is False
    assert client.append(prefix + "add", b"2", noreply=False) is True
    assert client.prepend(prefix + "add", b"0", noreply=False) is True
    assert client.get(prefix + "add") == b"012"
    assert client.set(prefix + "n", b"10", noreply=False)
    assert client.incr(prefix + "n", 5) == 15
    assert client.decr(prefix + "n", 1) == 14
    assert client.touch(prefix + "n", expire=100, noreply=False) is True
    assert client.delete(prefix + "n", noreply=False) is True
    assert client.delete(prefix + "n", noreply=False) is False
    # Without a reply, then with one: the replies must not be out of step.
    for number in range(100):
        client.set(prefix + "quiet", str(number).encode(), noreply=True)
        assert client.get(prefix + "quiet") == str(number).encode()
    client.delete_many(keys)
    assert client.get_many(keys) == {}
    binary = bytes(range(256)) * 2000
    assert client.set(prefix + "binary", binary, noreply=False)
    assert client.get(prefix + "binary") == binary
    if hasattr(client, "gat"):
        assert client.gat(prefix + "binary", expire=50) == binary
        assert client.gats(prefix + "binary", expire=50)[0] == binary
    if hasattr(client, "version"):
        assert client.version().startswith(b"1.")
    print(name, "ok")


def main():
    address = ("127.0.0.1", int(sys.argv[1]))
    client = Client(address, connect_timeout=10, timeout=10)
    battery("plain", client)
    assert client.stats()[b"pool"] == b"cache"
    client.flush_all(noreply=False)
    assert client.get("plain-binary") is None
    client.quit()
    battery("pooled", PooledClient(address, max_pool_size=4))
    print("all ok")


main()
