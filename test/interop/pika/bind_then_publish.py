"""Binds on one node and at once publishes on the other, again and again: the message must be there every time."""

import time

from exchange_space import arguments, connect, declare_space, join, report

LIMIT_SECONDS = 5


def main():
    options = arguments(tries=1000)
    near, far = connect(options.urls[0]), connect(options.urls[1])
    publisher, consumer = near.channel(), far.channel()
    declare_space(publisher, "immediate", options)
    join(publisher, "talk", "immediate", "words", "topic", options)
    join(consumer, "listen", "immediate", "words", "topic", options)

    arrived = []
    queue = consumer.queue_declare("", exclusive=True).method.queue
    consumer.basic_consume(queue, lambda _c, method, _p, _b: arrived.append(method.routing_key), auto_ack=True)
    missing, slowest = [], 0.0
    for number in range(options.tries):
        key = f"word.{number}"
        consumer.queue_bind(queue, "listen", key)
        publisher.basic_publish("talk", key, b"now")
        started = time.monotonic()
        while key not in arrived and time.monotonic() - started < LIMIT_SECONDS:
            far.process_data_events(time_limit=LIMIT_SECONDS)
        if key not in arrived:
            missing.append(key)
        slowest = max(slowest, time.monotonic() - started)
        if number % 2:
            consumer.queue_unbind(queue, "listen", key)
    report(missing=missing, received=len(arrived), slowest_seconds=slowest)


if __name__ == "__main__":
    main()
