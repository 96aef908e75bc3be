import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.LongString;
import com.rabbitmq.client.ShutdownSignalException;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;

/**
 * What an ordinary Java app does with a broker. Prints what came of it as JSON; the other stories do and print the same.
 *
 * <pre>Story URL [OTHER-URL SPACE SEED POINT]</pre>
 */
public class Story {
  private static final int MESSAGES = 20;
  private static final int PREFETCH = 5;
  private static final int LIMIT_SECONDS = 10;

  public static void main(String[] arguments) throws Exception {
    try (Connection connection = connect(arguments[0])) {
      Map<String, Object> story = new TreeMap<>();
      story.put("consumed", consumeConfirmed(connection.createChannel()));
      story.put("got", get(connection.createChannel()));
      story.put("headers", headers(connection.createChannel()));
      story.put("returned", returned(connection.createChannel()));
      story.put("refused", refused(connection.createChannel()));
      if (arguments.length > 1) {
        try (Connection other = connect(arguments[1])) {
          Map<String, Object> space = Map.of(
              "implementation", "dht", "space", arguments[2], "seeds", List.of(arguments[3]));
          Map<String, Object> alias =
              Map.of("exchangespace", space, "exchangename", arguments[4], "exchangetype", "topic");
          story.put("alias", alias(connection.createChannel(), other.createChannel(), alias));
        }
      }
      System.out.println(json(story));
    }
  }

  private static List<String> consumeConfirmed(Channel channel) throws Exception {
    String queue = channel.queueDeclare().getQueue();
    channel.confirmSelect();
    for (int number = 0; number < MESSAGES; number++) publish(channel, "", queue, null, String.valueOf(number));
    channel.waitForConfirmsOrDie(LIMIT_SECONDS * 1000);
    channel.basicQos(PREFETCH);
    BlockingQueue<String> bodies = consume(channel, queue);
    List<String> consumed = new ArrayList<>();
    while (consumed.size() < MESSAGES) consumed.add(within(bodies));
    return consumed;
  }

  private static List<Object> get(Channel channel) throws IOException {
    String queue = channel.queueDeclare().getQueue();
    publish(channel, "", queue, null, "one");
    GetResponse message = channel.basicGet(queue, false);
    Envelope envelope = message.getEnvelope();
    channel.basicAck(envelope.getDeliveryTag(), false);
    boolean another = channel.basicGet(queue, true) != null;
    return List.of(true, text(message.getBody()), envelope.getRoutingKey().equals(queue), another);
  }

  private static List<String> headers(Channel channel) throws IOException {
    Map<String, Object> sent = new TreeMap<>();
    sent.put("text", "ümläut");
    sent.put("bytes", new byte[] {0, 1, -2, -1});
    sent.put("yes", true);
    sent.put("byte", (byte) -8);
    sent.put("short", (short) -16);
    sent.put("int", -32);
    sent.put("long", -(1L << 40));
    sent.put("float", 1.5f);
    sent.put("double", 2.25);
    sent.put("decimal", new BigDecimal("3.14"));
    sent.put("time", new Date(1_700_000_000_000L));
    sent.put("nothing", null);
    sent.put("list", Arrays.asList("one", 2, Arrays.asList(true)));
    sent.put("table", Map.of("inner", Map.of("most", "value")));
    String queue = channel.queueDeclare().getQueue();
    publish(channel, "", queue, new AMQP.BasicProperties.Builder().headers(sent).build(), "");
    Map<String, Object> got = channel.basicGet(queue, true).getProps().getHeaders();
    List<String> changed = new ArrayList<>();
    for (Map.Entry<String, Object> header : sent.entrySet()) {
      String before = json(header.getValue());
      String after = got.containsKey(header.getKey()) ? json(got.get(header.getKey())) : "missing";
      if (!after.equals(before)) changed.add(header.getKey() + ": " + before + " became " + after);
    }
    return changed;
  }

  private static List<Object> returned(Channel channel) throws Exception {
    BlockingQueue<List<Object>> returns = new LinkedBlockingQueue<>();
    channel.addReturnListener(
        (code, text, exchange, key, properties, body) -> returns.add(List.of(code, text, key, text(body))));
    channel.basicPublish("", "no such queue", true, null, "back".getBytes(StandardCharsets.UTF_8));
    return within(returns);
  }

  private static List<Object> refused(Channel channel) {
    try {
      channel.queueDeclarePassive("no such queue");
      throw new IllegalStateException("not refused");
    } catch (IOException refusal) {
      ShutdownSignalException shutdown = (ShutdownSignalException) refusal.getCause();
      AMQP.Channel.Close close = (AMQP.Channel.Close) shutdown.getReason();
      return List.of(close.getReplyCode(), close.getReplyText());
    }
  }

  private static String alias(Channel near, Channel far, Map<String, Object> arguments) throws Exception {
    for (Channel channel : List.of(near, far)) {
      channel.exchangeDeclare("java", "x-exchange", false, false, arguments);
    }
    String queue = far.queueDeclare().getQueue();
    far.queueBind(queue, "java", "from.*");
    BlockingQueue<String> bodies = consume(far, queue);
    publish(near, "java", "from.java", null, "across");
    return within(bodies);
  }

  private static BlockingQueue<String> consume(Channel channel, String queue) throws IOException {
    BlockingQueue<String> bodies = new LinkedBlockingQueue<>();
    channel.basicConsume(queue, false, new DefaultConsumer(channel) {
      @Override
      public void handleDelivery(String tag, Envelope envelope, AMQP.BasicProperties properties, byte[] body)
          throws IOException {
        bodies.add(text(body));
        channel.basicAck(envelope.getDeliveryTag(), false);
      }
    });
    return bodies;
  }

  private static void publish(
      Channel channel, String exchange, String key, AMQP.BasicProperties properties, String body) throws IOException {
    channel.basicPublish(exchange, key, properties, body.getBytes(StandardCharsets.UTF_8));
  }

  private static <T> T within(BlockingQueue<T> queue) throws Exception {
    T item = queue.poll(LIMIT_SECONDS, TimeUnit.SECONDS);
    if (item == null) throw new TimeoutException("nothing came");
    return item;
  }

  private static Connection connect(String url) throws Exception {
    ConnectionFactory factory = new ConnectionFactory();
    factory.setUri(url);
    return factory.newConnection();
  }

  private static String text(byte[] octets) {
    return new String(octets, StandardCharsets.UTF_8);
  }

  private static String json(Object value) {
    if (value instanceof Map) {
      return new TreeMap<>((Map<?, ?>) value).entrySet().stream()
          .map(entry -> json(entry.getKey()) + ":" + json(entry.getValue()))
          .collect(Collectors.joining(",", "{", "}"));
    }
    if (value instanceof List) {
      return ((List<?>) value).stream().map(Story::json).collect(Collectors.joining(",", "[", "]"));
    }
    if (value instanceof byte[]) return json(Arrays.toString((byte[]) value));
    if (value == null || value instanceof Number || value instanceof Boolean) return String.valueOf(value);
    if (value instanceof LongString || value instanceof String || value instanceof Date) {
      return '"' + value.toString().replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }
    throw new IllegalArgumentException("unexpected: " + value.getClass());
  }
}
