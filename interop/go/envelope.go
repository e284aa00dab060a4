package main

import (
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// envelope is a message to send. Its body travels as base64, which is what JSON makes of bytes.
type envelope struct {
	Topic      string            `json:"topic"`
	Body       []byte            `json:"body"`
	Tags       *string           `json:"tags"`
	Keys       *string           `json:"keys"`
	Flag       int32             `json:"flag"`
	Properties map[string]string `json:"properties"`
	OrderKey   *string           `json:"orderKey"`
}

func (e *envelope) message() *primitive.Message {
	message := primitive.NewMessage(e.Topic, e.Body)
	message.Flag = e.Flag
	if e.Tags != nil {
		message.WithTag(*e.Tags)
	}
	if e.Keys != nil {
		message.WithKeys([]string{*e.Keys})
	}
	if e.OrderKey != nil {
		message.WithShardingKey(*e.OrderKey)
	}
	for name, value := range e.Properties {
		message.WithProperty(name, value)
	}
	return message
}

// outcome is how one send ended.
type outcome struct {
	Status      string `json:"status,omitempty"`
	MsgID       string `json:"msgId,omitempty"`
	OffsetMsgID string `json:"offsetMsgId,omitempty"`
	Broker      string `json:"broker,omitempty"`
	Queue       int    `json:"queue"`
	Offset      int64  `json:"offset"`
	Error       string `json:"error,omitempty"`
}

func outcomeOf(result *primitive.SendResult, err error) outcome {
	if err != nil {
		return outcome{Error: err.Error()}
	}
	done := outcome{
		Status:      statusName(result.Status),
		MsgID:       result.MsgID,
		OffsetMsgID: result.OffsetMsgID,
		Offset:      result.QueueOffset,
	}
	if result.MessageQueue != nil {
		done.Broker = result.MessageQueue.BrokerName
		done.Queue = result.MessageQueue.QueueId
	}
	return done
}

// statusName spells a status as the Java client does.
func statusName(status primitive.SendStatus) string {
	switch status {
	case primitive.SendOK:
		return "SEND_OK"
	case primitive.SendFlushDiskTimeout:
		return "FLUSH_DISK_TIMEOUT"
	case primitive.SendFlushSlaveTimeout:
		return "FLUSH_SLAVE_TIMEOUT"
	case primitive.SendSlaveNotAvailable:
		return "SLAVE_NOT_AVAILABLE"
	default:
		return "UNKNOWN"
	}
}

// received is a message as the client received it.
type received struct {
	Topic          string            `json:"topic"`
	Broker         string            `json:"broker,omitempty"`
	Queue          int               `json:"queue"`
	Offset         int64             `json:"offset"`
	MsgID          string            `json:"msgId"`
	Tags           *string           `json:"tags"`
	Keys           *string           `json:"keys"`
	Flag           int32             `json:"flag"`
	SysFlag        int32             `json:"sysFlag"`
	BornTimestamp  int64             `json:"bornTimestamp"`
	ReconsumeTimes int32             `json:"reconsumeTimes"`
	Properties     map[string]string `json:"properties"`
	Body           []byte            `json:"body"`
}

func receivedFrom(message *primitive.MessageExt) received {
	properties := message.GetProperties()
	got := received{
		Topic:          message.Topic,
		Offset:         message.QueueOffset,
		MsgID:          message.MsgId,
		Tags:           present(properties, primitive.PropertyTags),
		Keys:           present(properties, primitive.PropertyKeys),
		Flag:           message.Flag,
		SysFlag:        message.SysFlag,
		BornTimestamp:  message.BornTimestamp,
		ReconsumeTimes: message.ReconsumeTimes,
		Properties:     properties,
		Body:           message.Body,
	}
	if message.Queue != nil {
		got.Broker = message.Queue.BrokerName
		got.Queue = message.Queue.QueueId
	}
	return got
}

func present(properties map[string]string, name string) *string {
	if value, ok := properties[name]; ok {
		return &value
	}
	return nil
}
