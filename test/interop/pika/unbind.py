"""Unbinding stops the traffic where it starts: the publisher's node sends no byte of a message that nobody wants.
Observed from outside, by the kernel's counters of that node's overlay connections."""

import re
import subprocess
import time

from exchange_space import arguments, connect, declare_space, join, report

MESSAGES = 2_000
BODY = b"x" * 1_000
LIMIT_SECONDS = 10


def main():
    options = arguments(pid=0)
    publisher, far = connect(options.urls[0]).channel(), connect(options.urls[1])
    consumer = far.channel()
    publisher.confirm_delivery()
    declare_space(publisher, "wire")
    join(publisher, "out", "wire", "goods", "topic", options.seed)
    join(consumer, "in", "wire", "goods", "topic", options.seed)
    amqp_port = int(options.urls[0].rsplit(":")[-1])

    def sent_while_publishing(key, count):
        before = overlay_bytes_sent(options.pid, amqp_port)
        for _ in range(count):
            publisher.basic_publish("out", key, BODY)
        return overlay_bytes_sent(options.pid, amqp_port) - before

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


def overlay_bytes_sent(pid, amqp_port):
    """Bytes that the process has sent on its connections, those of AMQP clients left out."""
    table = subprocess.run(["ss", "-tinpHO", "state", "established"], capture_output=True, text=True, check=True)
    rows = [row for row in table.stdout.splitlines() if f"pid={pid}," in row and f":{amqp_port} " not in row]
    return sum(int(count) for row in rows for count in re.findall(r"bytes_sent:(\d+)", row))


if __name__ == "__main__":
    main()
