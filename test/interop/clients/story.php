<?php
// What an ordinary PHP app does with a broker. Prints what came of it as JSON; the other stories do and print the same.
//
//   story.php URL [OTHER-URL SPACE SEED POINT]

require_once 'PhpAmqpLib/autoload.php';

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPProtocolChannelException;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPAbstractCollection as Type;
use PhpAmqpLib\Wire\AMQPTable;

const MESSAGES = 20;
const PREFETCH = 5;
const LIMIT_SECONDS = 10;

function consumeConfirmed(AMQPChannel $channel): array
{
    $queue = ownQueue($channel);
    $channel->confirm_select();
    $channel->set_nack_handler(function () {
        throw new RuntimeException('refused by the broker');
    });
    for ($number = 0; $number < MESSAGES; $number++) {
        $channel->basic_publish(new AMQPMessage((string) $number), '', $queue);
    }
    $channel->wait_for_pending_acks(LIMIT_SECONDS);
    $channel->basic_qos(0, PREFETCH, false);
    $bodies = [];
    $channel->basic_consume($queue, '', false, false, false, false, function (AMQPMessage $message) use (&$bodies) {
        $bodies[] = $message->getBody();
        $message->ack();
    });
    while (count($bodies) < MESSAGES) {
        $channel->wait(null, false, LIMIT_SECONDS);
    }
    return $bodies;
}

function get(AMQPChannel $channel): array
{
    $queue = ownQueue($channel);
    $channel->basic_publish(new AMQPMessage('one'), '', $queue);
    $message = $channel->basic_get($queue);
    $message->ack();
    $another = $channel->basic_get($queue);
    return [$message !== null, $message->getBody(), $message->getRoutingKey() === $queue, $another !== null];
}

function headers(AMQPChannel $channel): array
{
    $sent = new AMQPTable();
    $sent->set('text', 'ümläut');
    $sent->set('yes', true);
    $sent->set('int8', -8, Type::T_INT_SHORTSHORT);
    $sent->set('uint8', 200, Type::T_INT_SHORTSHORT_U);
    $sent->set('int16', -16, Type::T_INT_SHORT);
    $sent->set('int32', -32, Type::T_INT_LONG);
    $sent->set('uint32', 4_000_000_000, Type::T_INT_LONG_U);
    $sent->set('int64', -(1 << 40), Type::T_INT_LONGLONG);
    $sent->set('time', 1_700_000_000, Type::T_TIMESTAMP);
    $sent->set('nothing', null);
    $sent->set('list', ['one', 2, [true]]);
    $sent->set('table', ['inner' => ['most' => 'value']]);
    $queue = ownQueue($channel);
    $channel->basic_publish(new AMQPMessage('', ['application_headers' => $sent]), '', $queue);
    $got = $channel->basic_get($queue, true)->get('application_headers')->getNativeData();
    $changed = [];
    foreach ($sent->getNativeData() as $name => $value) {
        if (!array_key_exists($name, $got) || $got[$name] != $value) {
            $changed[] = "$name: " . json_encode($value) . ' became ' . json_encode($got[$name] ?? 'missing');
        }
    }
    return $changed;
}

function returned(AMQPChannel $channel): array
{
    $returned = [];
    $channel->set_return_listener(function ($code, $text, $exchange, $key, AMQPMessage $message) use (&$returned) {
        $returned = [$code, $text, $key, $message->getBody()];
    });
    $channel->basic_publish(new AMQPMessage('back'), '', 'no such queue', true);
    while ($returned === []) {
        $channel->wait(null, false, LIMIT_SECONDS);
    }
    return $returned;
}

function refused(AMQPChannel $channel): array
{
    try {
        $channel->queue_declare('no such queue', true);
    } catch (AMQPProtocolChannelException $refusal) {
        return [$refusal->amqp_reply_code, $refusal->amqp_reply_text];
    }
    throw new RuntimeException('not refused');
}

function joinAlias(AMQPChannel $near, AMQPChannel $far, AMQPTable $arguments): string
{
    foreach ([$near, $far] as $channel) {
        $channel->exchange_declare('php', 'x-exchange', false, false, false, false, false, $arguments);
    }
    $queue = ownQueue($far);
    $far->queue_bind($queue, 'php', 'from.*');
    $body = null;
    $far->basic_consume($queue, '', false, true, false, false, function (AMQPMessage $message) use (&$body) {
        $body = $message->getBody();
    });
    $near->basic_publish(new AMQPMessage('across'), 'php', 'from.php');
    while ($body === null) {
        $far->wait(null, false, LIMIT_SECONDS);
    }
    return $body;
}

function ownQueue(AMQPChannel $channel): string
{
    return $channel->queue_declare('', false, false, true)[0];
}

function connect(string $url): AMQPStreamConnection
{
    ['host' => $host, 'port' => $port, 'user' => $user, 'pass' => $password] = parse_url($url);
    return new AMQPStreamConnection($host, $port, $user, $password);
}

$connection = connect($argv[1]);
$story = [
    'consumed' => consumeConfirmed($connection->channel()),
    'got' => get($connection->channel()),
    'headers' => headers($connection->channel()),
    'returned' => returned($connection->channel()),
    'refused' => refused($connection->channel()),
];
if ($argc > 2) {
    $other = connect($argv[2]);
    $story['alias'] = joinAlias($connection->channel(), $other->channel(), new AMQPTable([
        'exchangespace' => ['implementation' => 'dht', 'space' => $argv[3], 'seeds' => [$argv[4]]],
        'exchangename' => $argv[5],
        'exchangetype' => 'topic',
    ]));
    $other->close();
}
$connection->close();
echo json_encode($story), "\n";
