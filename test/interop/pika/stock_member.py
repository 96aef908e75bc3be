"""A member of a `prototype` space whose broker is a stock RabbitMQ: what docs/prototype-protocol.md asks of one.

Prints what happens as a JSON object per line, and leaves the space at SIGTERM.
"""

import argparse
import base64
import hmac
import json
import secrets
import signal
import ssl
import time

import pika
from stock_broker import Outlets, StockBroker, Worker, forwarding_to, login, say

RENEW_SECONDS = 10
GRACE_SECONDS = 30
REPLY_SECONDS = 5
MANY_BINDINGS = 1_000


class Refused(ConnectionError):
    """By the tracker. As if it could not be reached: the connection ends, and after a while there is another one."""

    def __init__(self, code, text, point=None):
        super().__init__(f"{code}: {text}")
        self.code, self.point = code, point


class Member(Worker):
    """What the tracker is told, and what is made of what it tells."""

    def __init__(self, tracker, space, broker, points):
        super().__init__("member")
        self.id, self.instance, self.relay_key = secrets.token_hex(16), secrets.token_hex(16), secrets.token_bytes(32)
        self.tracker, self.space, self.broker = login(pika.URLParameters(tracker)), space, broker
        self.points = {name: self.offer(number, name, kind) for number, (name, kind) in enumerate(points)}
        self.interest = {name: set() for name in self.points}
        self.relays = {}  # by the other member's id
        self.missing = {}  # by member id: when one that the tracker does not know counts as gone
        self.gone = set()  # their passwords are good until the relay key is another one
        self.channel, self.sequence, self.reply = None, 0, None

    def offer(self, number, name, kind):
        exchange = f"{self.id}.x.{number}"
        outlet = {"number": number, "exchange": exchange, "everything": f"{exchange}.all"}
        return {"name": name, "type": kind, "arguments": "{}", "outlet": outlet}

    def work(self):
        with pika.BlockingConnection(self.tracker) as connection:
            self.channel = connection.channel()
            self.channel.exchange_declare(self.space, passive=True)
            self.channel.add_on_return_callback(self.returned)
            self.channel.basic_consume("amq.rabbitmq.reply-to", self.take, auto_ack=True)
            self.register()
            self.attempts, renew_at = 0, time.monotonic() + RENEW_SECONDS
            while not self.stopping.is_set():
                connection.process_data_events(time_limit=0.2)
                self.interest.update((name, self.broker.interest(name)) for name in self.points)
                for peer in [peer for peer, at in self.missing.items() if time.monotonic() >= at]:
                    self.forget(peer)
                if time.monotonic() >= renew_at:
                    self.renew()
                    renew_at = time.monotonic() + RENEW_SECONDS
            self.ask("unregister")

    # Requests

    def ask(self, request, **fields):
        """Asks until there is a reply. What that says has been done by then, in its order among the events."""
        self.reply = None
        while self.reply is None or self.reply.get("code") == "replayed":
            self.sequence, self.reply = self.sequence + 1, None
            body = {"version": 1, "request": request, "member": self.id, "sequence": self.sequence, **fields}
            properties = pika.BasicProperties(correlation_id=str(self.sequence), reply_to="amq.rabbitmq.reply-to")
            properties.user_id = self.tracker.credentials.username
            self.channel.basic_publish(self.space, "tracker", json.dumps(body), properties, mandatory=True)
            late = time.monotonic() + REPLY_SECONDS
            while self.reply is None and time.monotonic() < late:
                self.channel.connection.process_data_events(time_limit=0.1)
        if self.reply["reply"] != "ok":
            raise Refused(self.reply["code"], self.reply["text"], self.reply.get("point"))

    def register(self):
        about = {"instance": self.instance, "endpoint": self.broker.endpoint, "relayKey": self.relay_key.hex()}
        try:
            self.ask("register", points=list(self.points.values()), **about)
            say("registered", member=self.id)
        except Refused as refused:
            if refused.code == "conflict":
                del self.points[refused.point]
            raise

    def renew(self):
        gone, key = set(self.gone), secrets.token_bytes(32)
        try:
            self.ask("renew", **({"relayKey": key.hex()} if gone else {}))
        except Refused as refused:
            if refused.code != "unknown-member":
                raise
            self.register()
            return
        if gone:
            self.relay_key = key
            self.gone -= gone
            for relay in self.relays.values():
                self.let_in(relay)

    # Replies and events

    def returned(self, _channel, method, _properties, _body):
        self.reply = {"reply": "error", "code": "no tracker", "text": method.reply_text}

    def take(self, _channel, _method, properties, body):
        message = json.loads(body)
        if message["version"] != 1:
            return
        if properties.correlation_id is None:
            self.told(message)
        elif properties.correlation_id == str(self.sequence):
            self.reply = message
            if "points" in message:
                self.registered(message["points"])

    def registered(self, points):
        there = {(other["member"], point["point"]) for point in points for other in point["participants"]}
        present = {peer for peer, _point in there}
        for peer, relay in list(self.relays.items()):
            if peer not in present:
                self.missing.setdefault(peer, time.monotonic() + GRACE_SECONDS)
            for point in [point for point in relay.outlets if peer in present and (peer, point) not in there]:
                self.left(peer, point)
        for point in points:
            for other in point["participants"]:
                self.joined(point["point"], other)

    def told(self, message):
        event, point, peer = message["event"], message.get("point"), message.get("member")
        if event == "joined":
            self.joined(point, message["participant"])
        elif event == "left":
            self.left(peer, point)
        elif event == "gone":
            self.forget(peer)
        elif event == "password" and peer in self.relays:
            self.relays[peer].password = message["password"]
        elif event == "point-deleted":
            for peer in list(self.relays):
                self.left(peer, point)
            self.points.pop(point, None)
        elif event in ("space-deleted", "dropped"):
            for peer in list(self.relays):
                self.forget(peer)
            raise Refused(event, message["reason"])

    # Other members

    def joined(self, point, other):
        peer = other["member"]
        relay = self.relays.setdefault(peer, Relay(self, peer))
        relay.endpoint, relay.password = other["endpoint"], other["password"]
        relay.outlets = {**relay.outlets, point: other["outlet"]}
        self.missing.pop(peer, None)
        self.gone.discard(peer)
        self.let_in(relay)
        if not relay.is_alive():
            relay.start()

    def left(self, peer, point):
        relay = self.relays.get(peer)
        if relay is None or point not in relay.outlets:
            return
        relay.outlets = {name: outlet for name, outlet in relay.outlets.items() if name != point}
        if relay.outlets:
            self.let_in(relay)
        else:
            self.shut_out(peer)

    def forget(self, peer):
        say("gone", peer=peer)
        self.gone.add(peer)
        self.missing.pop(peer, None)
        if peer in self.relays:
            self.shut_out(peer)

    def let_in(self, relay):
        mac = hmac.digest(self.relay_key, relay.peer.encode(), "sha256")
        outlets = [self.points[point]["outlet"] for point in relay.outlets]
        self.broker.let_in(f"{self.id}.{relay.peer}", base64.urlsafe_b64encode(mac).decode().rstrip("="), outlets)

    def shut_out(self, peer):
        self.relays.pop(peer).stop()
        self.broker.shut_out(f"{self.id}.{peer}")


class Relay(Worker):
    """Reads the outlets of one other member."""

    def __init__(self, member, peer):
        super().__init__(f"{peer}.{member.id}")
        self.member, self.peer = member, peer
        self.endpoint, self.password, self.outlets = None, None, {}

    def work(self):
        at = self.endpoint
        there = login(pika.ConnectionParameters(at["host"], at["port"], at["virtualHost"]))
        there.credentials = pika.PlainCredentials(self.name, self.password)
        there.ssl_options = pika.SSLOptions(ssl.create_default_context(), at["host"]) if at["tls"] else None
        with pika.BlockingConnection(there) as source, pika.BlockingConnection(self.member.broker.apps) as target:
            apps, readers = target.channel(), {}
            self.attempts = 0
            while self.endpoint == at and not self.stopping.is_set():
                outlets = {outlet["exchange"]: (point, outlet) for point, outlet in self.outlets.items()}
                for left in readers.keys() - outlets.keys():
                    readers.pop(left)[0].close()
                for name, (point, outlet) in outlets.items():
                    readers[name] = self.read(source, apps, point, outlet, readers.get(name))
                source.process_data_events(time_limit=0.1)
                target.process_data_events(time_limit=0)

    def read(self, source, apps, point, outlet, reader):
        """Has a queue that is bound to what is wanted now. New bindings come first, so that nothing falls between."""
        queue = f"{self.name}.{outlet['number']}.{secrets.token_hex(8)}"
        channel, queue, bound = reader or (source.channel(), queue, set())
        wanted = self.wanted(point, outlet)
        if reader is None:
            channel.queue_declare(queue, exclusive=True, auto_delete=True)
        for exchange, key, arguments in wanted - bound:
            channel.queue_bind(queue, exchange, key, json.loads(arguments))
        for exchange, key, arguments in bound - wanted:
            channel.queue_unbind(queue, exchange, key, json.loads(arguments))
        if reader is None:
            channel.basic_consume(queue, forwarding_to(apps, point), auto_ack=True)
        if reader is None or wanted != bound:
            say("reading", peer=self.peer, point=point, keys=sorted(key for _, key, _ in wanted))
        return channel, queue, wanted

    def wanted(self, point, outlet):
        bindings = self.member.interest[point]
        if len(bindings) > MANY_BINDINGS:
            return {(outlet["everything"], "", "{}")}
        return {(outlet["exchange"], key, arguments) for key, arguments in bindings}


def main():
    parser = argparse.ArgumentParser(description="a member of a `prototype` space whose broker is a stock RabbitMQ")
    parser.add_argument("--tracker", required=True, help="amqp://user:password@host:port/virtual-host of the space")
    parser.add_argument("--space", required=True)
    parser.add_argument("--broker", required=True, help="amqp://administrator:password@host:port/virtual-host of apps")
    parser.add_argument("--api", required=True, help="http://host:port of the same broker")
    parser.add_argument("--outlets", default="xspace-relay", help="a virtual host that this program makes and deletes")
    parser.add_argument("points", nargs="+", metavar="point:type")
    options = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    broker = StockBroker(options.broker, options.api, options.outlets)
    member = Member(options.tracker, options.space, broker, [point.split(":") for point in options.points])
    outlets = Outlets(broker, list(member.points.values()))
    broker.open()
    outlets.start()
    outlets.open.wait()
    member.start()
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    for worker in member, outlets, *member.relays.values():
        worker.stop()
    broker.close()


if __name__ == "__main__":
    main()
