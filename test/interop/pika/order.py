"""Three nodes, one topic point under three names. The first node's app publishes, the other two apps and one beside
the publisher consume, each in a process of its own: every message once, in order, and nothing comes back."""

import multiprocessing

from exchange_space import arguments, bound_queue, connect, declare_space, join, report

ALIASES = ["orders", "bestellungen", "pedidos"]


def consume(url, alias, pattern, ready, results):
    """Consumes until the closing message, and reports what was wrong with the messages before it."""
    connection = connect(url)
    channel = connection.channel()
    queue = bound_queue(channel, alias, pattern)
    faults = {"alias": alias, "received": 0, "duplicates": 0, "out_of_order": 0, "strangers": 0}
    seen, newest = set(), -1

    def take(_channel, method, _properties, body):
        nonlocal newest
        if body == b"end":
            channel.stop_consuming()
            return
        number = int(body)
        faults["received"] += 1
        faults["duplicates"] += number in seen
        faults["out_of_order"] += number <= newest
        faults["strangers"] += method.exchange != alias or method.routing_key != f"order.{number % 10}.new"
        seen.add(number)
        newest = number

    channel.basic_consume(queue, take, auto_ack=True)
    ready.release()
    channel.start_consuming()
    results.put(faults)
    connection.close()


def main():
    options = arguments(count=100_000)
    connection = connect(options.urls[0])
    channel = connection.channel()
    declare_space(channel, "ordering", options)
    for url, alias in zip(options.urls, ALIASES):
        join(connect(url).channel(), alias, "ordering", "all orders", "topic", options)

    ready, results = multiprocessing.Semaphore(0), multiprocessing.Queue()
    for url, alias in zip(options.urls, ALIASES):
        multiprocessing.Process(target=consume, args=(url, alias, "order.#", ready, results), daemon=True).start()
    for _ in options.urls:
        ready.acquire()

    for number in range(options.count):
        channel.basic_publish(ALIASES[0], f"order.{number % 10}.new", str(number).encode())
        if number % 10 == 0:
            channel.basic_publish(ALIASES[0], "other.new", b"-1")
    channel.basic_publish(ALIASES[0], "order.end", b"end")
    report(consumers=[results.get(timeout=60) for _ in options.urls])


if __name__ == "__main__":
    main()
