// What an ordinary Go app does with a broker. Prints what came of it as JSON; the other stories do and print the same.
//
//	story URL [OTHER-URL SPACE SEED POINT]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"reflect"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	messages = 20
	prefetch = 5
	limit    = 10 * time.Second
)

type story map[string]interface{}

func main() {
	connection := connect(os.Args[1])
	result := story{
		"consumed": consumeConfirmed(channelOf(connection)),
		"got":      get(channelOf(connection)),
		"headers":  headers(channelOf(connection)),
		"returned": returned(channelOf(connection)),
		"refused":  refused(channelOf(connection)),
	}
	if len(os.Args) > 2 {
		result["alias"] = alias(channelOf(connection), channelOf(connect(os.Args[2])), amqp.Table{
			"exchangespace": amqp.Table{
				"implementation": "dht",
				"space":          os.Args[3],
				"seeds":          []interface{}{os.Args[4]},
			},
			"exchangename": os.Args[5],
			"exchangetype": "topic",
		})
	}
	check(connection.Close())
	check(json.NewEncoder(os.Stdout).Encode(result))
}

func consumeConfirmed(channel *amqp.Channel) []string {
	queue := ownQueue(channel)
	check(channel.Confirm(false))
	confirms := channel.NotifyPublish(make(chan amqp.Confirmation, messages))
	for number := 0; number < messages; number++ {
		publish(channel, "", queue, amqp.Publishing{Body: []byte(strconv.Itoa(number))})
	}
	for number := 0; number < messages; number++ {
		select {
		case confirm := <-confirms:
			if !confirm.Ack {
				log.Fatal("refused by the broker: ", confirm.DeliveryTag)
			}
		case <-time.After(limit):
			log.Fatal("not confirmed")
		}
	}
	check(channel.Qos(prefetch, 0, false))
	bodies := []string{}
	for delivery := range consume(channel, queue, false) {
		bodies = append(bodies, string(delivery.Body))
		check(delivery.Ack(false))
		if len(bodies) == messages {
			break
		}
	}
	return bodies
}

func get(channel *amqp.Channel) []interface{} {
	queue := ownQueue(channel)
	publish(channel, "", queue, amqp.Publishing{Body: []byte("one")})
	message, found, err := channel.Get(queue, false)
	check(err)
	check(message.Ack(false))
	_, foundAnother, err := channel.Get(queue, true)
	check(err)
	return []interface{}{found, string(message.Body), message.RoutingKey == queue, foundAnother}
}

func headers(channel *amqp.Channel) []string {
	sent := amqp.Table{
		"text":     "ümläut",
		"bytes":    []byte{0, 1, 254, 255},
		"yes":      true,
		"octet":    byte(200),
		"int8":     int8(-8),
		"int16":    int16(-16),
		"int32":    int32(-32),
		"int64":    int64(-1) << 40,
		"float":    float32(1.5),
		"double":   2.25,
		"decimal":  amqp.Decimal{Scale: 2, Value: 314},
		"time":     time.Unix(1_700_000_000, 0),
		"nothing":  nil,
		"list":     []interface{}{"one", int32(2), []interface{}{true}},
		"table":    amqp.Table{"inner": amqp.Table{"most": "value"}},
	}
	queue := ownQueue(channel)
	publish(channel, "", queue, amqp.Publishing{Headers: sent})
	message, _, err := channel.Get(queue, true)
	check(err)
	changed := []string{}
	for name, value := range sent {
		if got, there := message.Headers[name]; !there || !reflect.DeepEqual(got, value) {
			changed = append(changed, fmt.Sprintf("%s: %#v became %#v", name, value, got))
		}
	}
	return changed
}

func returned(channel *amqp.Channel) []interface{} {
	returns := channel.NotifyReturn(make(chan amqp.Return, 1))
	message := amqp.Publishing{Body: []byte("back")}
	check(channel.PublishWithContext(context.Background(), "", "no such queue", true, false, message))
	select {
	case back := <-returns:
		return []interface{}{back.ReplyCode, back.ReplyText, back.RoutingKey, string(back.Body)}
	case <-time.After(limit):
		log.Fatal("not returned")
		return nil
	}
}

func refused(channel *amqp.Channel) []interface{} {
	_, err := channel.QueueDeclarePassive("no such queue", false, false, false, false, nil)
	var refusal *amqp.Error
	if !errors.As(err, &refusal) {
		log.Fatal("not refused: ", err)
	}
	return []interface{}{refusal.Code, refusal.Reason}
}

func alias(near, far *amqp.Channel, arguments amqp.Table) string {
	for _, channel := range []*amqp.Channel{near, far} {
		check(channel.ExchangeDeclare("go", "x-exchange", false, false, false, false, arguments))
	}
	queue := ownQueue(far)
	check(far.QueueBind(queue, "from.*", "go", false, nil))
	deliveries := consume(far, queue, true)
	publish(near, "go", "from.go", amqp.Publishing{Body: []byte("across")})
	select {
	case delivery := <-deliveries:
		return string(delivery.Body)
	case <-time.After(limit):
		return "nothing"
	}
}

func connect(url string) *amqp.Connection {
	connection, err := amqp.Dial(url)
	check(err)
	return connection
}

func channelOf(connection *amqp.Connection) *amqp.Channel {
	channel, err := connection.Channel()
	check(err)
	return channel
}

func ownQueue(channel *amqp.Channel) string {
	queue, err := channel.QueueDeclare("", false, false, true, false, nil)
	check(err)
	return queue.Name
}

func publish(channel *amqp.Channel, exchange, key string, message amqp.Publishing) {
	check(channel.PublishWithContext(context.Background(), exchange, key, false, false, message))
}

func consume(channel *amqp.Channel, queue string, autoAck bool) <-chan amqp.Delivery {
	deliveries, err := channel.Consume(queue, "", autoAck, false, false, false, nil)
	check(err)
	return deliveries
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
