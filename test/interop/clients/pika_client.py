"""The calls of an ordinary pika app, one per run:

declare URL EXCHANGE TYPE ARGUMENTS-AS-JSON
publish URL EXCHANGE                messages as JSON lines on standard input; waits for the confirms
subscribe URL EXCHANGE PATTERN...   prints 'consuming', then a JSON line per message, until standard input ends
"""

import json
import select
import sys

import pika

PROPERTIES = [
    "content_type", "content_encoding", "headers", "delivery_mode", "priority", "correlation_id", "reply_to",
    "expiration", "message_id", "timestamp", "type", "user_id", "app_id", "cluster_id",
]


def declare(channel, exchange, exchange_type, arguments):
    channel.exchange_declare(exchange, exchange_type=exchange_type, arguments=json.loads(arguments))


def publish(channel, exchange):
    channel.confirm_delivery()
    for line in sys.stdin:
        message = json.loads(line)
        properties = pika.BasicProperties(**message["properties"])
        channel.basic_publish(exchange, message["routing_key"], message["body"].encode(), properties)


def subscribe(channel, exchange, *patterns):
    queue = channel.queue_declare("", exclusive=True).method.queue
    for pattern in patterns:
        channel.queue_bind(queue, exchange, pattern)
    channel.basic_consume(queue, print_message)
    print("consuming", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        channel.connection.process_data_events(time_limit=0.02)


def print_message(channel, method, properties, body):
    values = {name: getattr(properties, name) for name in PROPERTIES}
    message = {
        "exchange": method.exchange,
        "routing_key": method.routing_key,
        "body": body.decode(),
        "properties": {name: value for name, value in values.items() if value is not None},
    }
    print(json.dumps(message), flush=True)
    channel.basic_ack(method.delivery_tag)


def main():
    verb, url, *arguments = sys.argv[1:]
    connection = pika.BlockingConnection(pika.URLParameters(url))
    {"declare": declare, "publish": publish, "subscribe": subscribe}[verb](connection.channel(), *arguments)
    connection.close()


main()
