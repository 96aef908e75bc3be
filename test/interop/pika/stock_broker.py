"""The stock RabbitMQ of a member of a `prototype` space: what its administrator tells it, and the outlets.

An app publishes to the exchange `<point>.publish`, and binds its queues to the exchange `<point>`:

    apps ──▶ bids.publish ──▶ bids ──▶ queues of apps      the virtual host of the apps
                  │            ▲
               Outlets       relays of this member
                  ▼            │
               outlet      outlets of other members        the virtual host of the outlets; other brokers
"""

import base64
import json
import random
import re
import threading
from urllib import error, parse, request

import pika

HEARTBEAT_SECONDS = 5
API_SECONDS = 5
MAX_BODY_BYTES = 16 * 2**20
EVERYTHING = {"configure": ".*", "write": ".*", "read": ".*"}
# Of queues of relays: octets that wait for one that does not read, and how long one without a reader is kept, in ms.
QUEUE_LIMITS = {"max-length-bytes": 32 * 2**20, "expires": 30_000}
# One is enough; others may not have been noticed yet to be gone.
MAX_CONNECTIONS_OF_A_RELAY = 4


class StockBroker:
    """What its administrator does with it."""

    def __init__(self, url, api, virtual_host):
        """The URL is an administrator's, with the virtual host of apps; the other virtual host is for outlets alone."""
        self.apps, self.outlets = login(pika.URLParameters(url)), login(pika.URLParameters(url))
        self.outlets.virtual_host = self.virtual_host = virtual_host
        self.user, password = self.outlets.credentials.username, self.outlets.credentials.password
        self.api = f"{api}/api/"
        basic = base64.b64encode(f"{self.user}:{password}".encode()).decode()
        self.headers = {"authorization": f"Basic {basic}", "content-type": "application/json"}

    def call(self, method, *path, **body):
        """The answer, or None for what is not there."""
        url = self.api + "/".join(parse.quote(part, safe="") for part in path)
        asked = request.Request(url, json.dumps(body).encode(), self.headers, method=method)
        try:
            with request.urlopen(asked, timeout=API_SECONDS) as answer:
                return json.loads(answer.read() or "null")
        except error.HTTPError as problem:
            if problem.code != 404:
                raise
            return None

    def open(self):
        self.close()  # what an earlier run has left is of another member id
        self.call("PUT", "vhosts", self.virtual_host)
        self.call("PUT", "permissions", self.virtual_host, self.user, **EVERYTHING)
        policy = {"pattern": "", "apply-to": "queues", "definition": QUEUE_LIMITS}
        self.call("PUT", "policies", self.virtual_host, "relays", **policy)

    def close(self):
        for account in self.call("GET", "vhosts", self.virtual_host, "permissions") or []:
            if account["user"] != self.user:
                self.shut_out(account["user"])
        self.call("DELETE", "vhosts", self.virtual_host)

    @property
    def endpoint(self):
        at = self.outlets
        return {"host": at.host, "port": at.port, "tls": bool(at.ssl_options), "virtualHost": at.virtual_host}

    def let_in(self, relay, password, outlets):
        """The relay may have queues whose names begin with its own and a dot, and bind them to these outlets."""
        own = rf"{re.escape(relay)}\."
        readable = "|".join([rf"{own}.*", *(rf"{re.escape(outlet['exchange'])}(\.all)?" for outlet in outlets)])
        self.call("PUT", "users", relay, password=password, tags="")
        self.call("PUT", "user-limits", relay, "max-connections", value=MAX_CONNECTIONS_OF_A_RELAY)
        patterns = {"configure": f"^{own}", "write": f"^{own}", "read": f"^({readable})$"}
        self.call("PUT", "permissions", self.virtual_host, relay, **patterns)

    def shut_out(self, relay):
        """Its connections are closed with it."""
        self.call("DELETE", "users", relay)

    def interest(self, point):
        """Routing keys, and arguments as JSON, that apps have bound queues with: AMQP has no way to ask for that."""
        found = self.call("GET", "exchanges", self.apps.virtual_host, point, "bindings", "source") or []
        return {(binding["routing_key"], json.dumps(binding["arguments"])) for binding in found}


class Worker(threading.Thread):
    """Works while its connections hold, and makes new ones when they do not."""

    def __init__(self, name):
        super().__init__(name=name, daemon=True)
        self.stopping, self.attempts = threading.Event(), 0

    def run(self):
        while not self.stopping.wait(random.random() * min(0.1 * 2**self.attempts, 5)):
            self.attempts = min(self.attempts + 1, 10)
            try:
                self.work()
            except (pika.exceptions.AMQPError, OSError) as problem:
                say("failed", worker=self.name, cause=repr(problem))

    def stop(self):
        self.stopping.set()
        self.join()


class Outlets(Worker):
    """Hands what apps publish to the outlets of the points."""

    def __init__(self, broker, points):
        super().__init__("outlets")
        self.broker, self.points, self.open = broker, points, threading.Event()

    def work(self):
        with pika.BlockingConnection(self.broker.apps) as here, pika.BlockingConnection(self.broker.outlets) as there:
            apps, outlets = here.channel(), there.channel()
            for point in self.points:
                name, everything, exchange = point["name"], point["outlet"]["everything"], point["outlet"]["exchange"]
                for channel, source, target in (apps, f"{name}.publish", name), (outlets, everything, exchange):
                    channel.exchange_declare(source, "fanout", durable=True)
                    channel.exchange_declare(target, point["type"], durable=True)
                    channel.exchange_bind(target, source)
                queue = apps.queue_declare("", exclusive=True).method.queue
                apps.queue_bind(queue, f"{name}.publish")
                apps.basic_consume(queue, forwarding_to(outlets, everything), auto_ack=True)
            self.attempts = 0
            self.open.set()
            while not self.stopping.is_set():
                here.process_data_events(time_limit=0.1)
                there.process_data_events(time_limit=0)


def forwarding_to(channel, exchange):
    """A consumer's callback. Larger messages would end a link, and no other broker can verify a user id."""

    def forward(_channel, method, properties, body):
        properties.user_id = None
        if len(body) <= MAX_BODY_BYTES:
            channel.basic_publish(exchange, method.routing_key, body, properties)

    return forward


def login(parameters):
    parameters.heartbeat = HEARTBEAT_SECONDS
    return parameters


def say(event, **fields):
    # One string: of several threads, none writes into the line of another.
    print(json.dumps({"event": event, **fields}) + "\n", end="", flush=True)
