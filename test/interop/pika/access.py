"""What a pika app is told that may not do everything, and one that comes over TLS.

refusals URL                     tries things, and prints what each was refused with, or null
certificate HOST PORT CA CERT KEY   logs in with a certificate, and prints what arrives of a body that it sends
login URL                        logs in, and prints how that was refused, or null
"""

import json
import ssl
import sys

import pika


def refusals(url):
    connection = pika.BlockingConnection(pika.URLParameters(url))
    attempts = {
        "declare": lambda channel: channel.queue_declare("private"),
        "declare_own": lambda channel: channel.queue_declare("alice.q"),
        "bind": lambda channel: channel.queue_bind("alice.q", "amq.direct", "k"),
        "bind_own": lambda channel: channel.queue_bind("alice.q", "amq.topic", "k"),
        "consume": lambda channel: channel.basic_consume("private", print),
        "get_own": lambda channel: channel.basic_get("alice.q"),
        "publish": lambda channel: publish(channel, "amq.direct"),
        "publish_own": lambda channel: publish(channel, "amq.topic"),
        "delete": lambda channel: channel.exchange_delete("private"),
    }
    print(json.dumps({name: refusal(lambda: attempt(connection.channel())) for name, attempt in attempts.items()}))
    connection.close()


def publish(channel, exchange):
    channel.confirm_delivery()
    channel.basic_publish(exchange, "nowhere", b"body")


def refusal(attempt):
    try:
        attempt()
        return None
    except pika.exceptions.AMQPConnectionError as error:
        # pika tells of a refused login in the cause.
        return f"{type(error).__name__} {error}"
    except pika.exceptions.ChannelClosedByBroker as error:
        return f"{error.reply_code} {error.reply_text}"


def certificate(host, port, authority, certificate_file, key_file):
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate_file, key_file)
    parameters = pika.ConnectionParameters(
        host,
        int(port),
        ssl_options=pika.SSLOptions(context, host),
        credentials=pika.credentials.ExternalCredentials(),
    )
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    body = bytes(range(256)) * 4096
    channel.confirm_delivery()
    channel.basic_publish("", queue, body, pika.BasicProperties(user_id="alice"))
    _, properties, received = channel.basic_get(queue, auto_ack=True)
    print(json.dumps({"equal": received == body, "user": properties.user_id}))
    connection.close()


def login(url):
    print(json.dumps(refusal(lambda: pika.BlockingConnection(pika.URLParameters(url)).close())))


def main():
    verb, *arguments = sys.argv[1:]
    {"refusals": refusals, "certificate": certificate, "login": login}[verb](*arguments)


main()
