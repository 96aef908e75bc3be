"""Unbinding stops the traffic where it starts: the publisher's node sends no byte of a message that nobody wants.
Observed from outside, by the kernel's counters of that node's connections to the other one."""

import re
import subprocess
import time

from exchange_space import arguments, connect, declare_space, join, report

MESSAGES = 2_000
BODY = b"x" * 1_000
LIMIT_SECONDS = 10


def main():
    options = arguments(near=0, far=0)
    publisher, far = connect(options.urls[0]).channel(), connect(options.urls[1])
    consumer = far.channel()
    publisher.confirm_delivery()
    declare_space(publisher, "wire", options)
    join(publisher, "out", "wire", "goods", "topic", options)
    join(consumer, "in", "wire", "goods", "topic", options)

    def sent_while_publishing(key, count):
        before = bytes_sent(options.near, options.far)
        for _ in range(count):
            publisher.basic_publish("out", key, BODY)
        return bytes_sent(options.near, options.far) - before

    queue = consumer.queue_declare("", exclusive=True).method.queue
    consumer.queue_bind(queue, "in", "wanted")
    unwanted = sent_while_publishing("unwanted", MESSAGES)
    wanted = sent_while_publishing("wanted", MESSAGES)
    received = take(consumer, queue, MESSAGES)

    consumer.queue_unbind(queue, "in", "wanted")
    # unbind-ok does not wait for the network: publish a little until the other node has heard of it.
    deadline = time.monotonic() + LIMIT_SECONDS
    while sent_while_publishing("wanted", 10) >= len(BODY) and time.monotonic() < deadline:
        pass
    after_unbind = sent_while_publishing("wanted", MESSAGES)
    report(unwanted=unwanted, wanted=wanted, received=received, after_unbind=after_unbind)


def take(channel, queue, count):
    """Consumes `count` messages, or what has come when no more does."""
    received = 0
    for method, _properties, _body in channel.consume(queue, auto_ack=True, inactivity_timeout=LIMIT_SECONDS):
        if method is None:
            break
        received += 1
        if received == count:
            break
    channel.cancel()
    return received


def bytes_sent(near, far):
    """Bytes that one process has sent on its connections to the other."""
    table = subprocess.run(["ss", "-tinpHO", "state", "established"], capture_output=True, text=True, check=True)
    rows = table.stdout.splitlines()
    ends_of_far = {local_port(row) for row in rows if f"pid={far}," in row}
    to_far = [row for row in rows if f"pid={near}," in row and peer_port(row) in ends_of_far]
    return sum(int(count) for row in to_far for count in re.findall(r"bytes_sent:(\d+)", row))


def local_port(row):
    return row.split()[2].rsplit(":")[-1]


def peer_port(row):
    return row.split()[3].rsplit(":")[-1]


if __name__ == "__main__":
    main()
