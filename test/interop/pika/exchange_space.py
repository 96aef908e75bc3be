"""What the stories share: ordinary pika calls, and the declare arguments of exchange spaces."""

import argparse
import json

import pika


def arguments(**more):
    """URLs of nodes, the first of which declares the space, and how the others get there: the overlay address of that
    node, or with the prototype its host and port."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--implementation", choices=["dht", "prototype"], required=True)
    parser.add_argument("--through", required=True)
    for name, default in more.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("urls", nargs="+")
    return parser.parse_args()


def connect(url):
    return pika.BlockingConnection(pika.URLParameters(url))


def declare_space(channel, space, options):
    arguments = {"implementation": options.implementation}
    channel.exchange_declare(space, exchange_type="x-exchangespace", arguments=arguments)


def join(channel, alias, space, point, point_type, options):
    if options.implementation == "dht":
        way = {"seeds": [options.through]}
    else:
        host, port = options.through.split(":")
        way = {"host": host, "port": int(port)}
    channel.exchange_declare(
        alias,
        exchange_type="x-exchange",
        arguments={
            "exchangespace": {"implementation": options.implementation, "space": space, **way},
            "exchangename": point,
            "exchangetype": point_type,
        },
    )


def bound_queue(channel, exchange, *patterns):
    queue = channel.queue_declare("", exclusive=True).method.queue
    for pattern in patterns:
        channel.queue_bind(queue, exchange, pattern)
    return queue


def report(**result):
    print(json.dumps(result), flush=True)
