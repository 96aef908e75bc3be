# What an ordinary Ruby app does with a broker. Prints what came of it as JSON; the other stories do and print the same.
#
#   story.rb URL [OTHER-URL SPACE SEED POINT]

require "bunny"
require "json"
require "timeout"

MESSAGES = 20
PREFETCH = 5
LIMIT_SECONDS = 10

def consume_confirmed(channel)
  queue = channel.queue("", exclusive: true)
  channel.confirm_select
  MESSAGES.times { |number| queue.publish(number.to_s) }
  raise "not confirmed" unless channel.wait_for_confirms
  channel.prefetch(PREFETCH)
  bodies = Queue.new
  queue.subscribe(manual_ack: true) do |delivery, _properties, body|
    bodies << body
    channel.ack(delivery.delivery_tag)
  end
  MESSAGES.times.map { within_limit { bodies.pop } }
end

def get(channel)
  queue = channel.queue("", exclusive: true)
  queue.publish("one")
  delivery, _properties, body = queue.pop(manual_ack: true)
  channel.ack(delivery.delivery_tag)
  [!delivery.nil?, body, delivery.routing_key == queue.name, !queue.pop[0].nil?]
end

def headers(channel)
  sent = {
    "text" => "ümläut".b,
    "yes" => true,
    "integer" => -(1 << 40),
    "double" => 2.25,
    "time" => Time.at(1_700_000_000),
    "nothing" => nil,
    "list" => ["one", 2, ["three"]],
    "table" => { "inner" => { "most" => "value" } },
  }
  queue = channel.queue("", exclusive: true)
  queue.publish("", headers: sent)
  _delivery, properties, = queue.pop
  changed = sent.reject { |name, value| properties.headers.key?(name) && properties.headers[name] == value }
  changed.map { |name, value| "#{name}: #{value.inspect} became #{properties.headers[name].inspect}" }
end

def returned(channel)
  returns = Queue.new
  exchange = channel.default_exchange
  exchange.on_return { |back, _properties, body| returns << [back.reply_code, back.reply_text, back.routing_key, body] }
  exchange.publish("back", routing_key: "no such queue", mandatory: true)
  within_limit { returns.pop }
end

def refused(channel)
  channel.queue("no such queue", passive: true)
  raise "not refused"
rescue Bunny::NotFound => error
  [error.channel_close.reply_code, error.channel_close.reply_text]
end

def join_alias(near, far, arguments)
  out, into = [near, far].map { |channel| channel.exchange("ruby", type: "x-exchange", arguments: arguments) }
  bodies = Queue.new
  far.queue("", exclusive: true).bind(into, routing_key: "from.*").subscribe { |_delivery, _properties, body| bodies << body }
  out.publish("across", routing_key: "from.ruby")
  within_limit { bodies.pop }
end

def within_limit(&block)
  Timeout.timeout(LIMIT_SECONDS, &block)
end

def connect(url)
  Bunny.new(url, recover_from_connection_close: false, automatically_recover: false).start
end

url, other_url, space, seed, point = ARGV
connection = connect(url)
story = {
  consumed: consume_confirmed(connection.create_channel),
  got: get(connection.create_channel),
  headers: headers(connection.create_channel),
  returned: returned(connection.create_channel),
  refused: refused(connection.create_channel),
}
if other_url
  other = connect(other_url)
  arguments = {
    exchangespace: { implementation: "dht", space: space, seeds: [seed] },
    exchangename: point,
    exchangetype: "topic",
  }
  story[:alias] = join_alias(connection.create_channel, other.create_channel, arguments)
  other.close
end
connection.close
puts JSON.generate(story)
