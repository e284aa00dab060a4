package interop;

import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageExt;

/** Messages and receipts as JSON objects, and back. */
final class Envelope {
    private Envelope() {
    }

    static Map<String, Object> ofMessage(MessageExt message) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("topic", message.getTopic());
        fields.put("broker", message.getBrokerName());
        fields.put("queue", message.getQueueId());
        fields.put("offset", message.getQueueOffset());
        fields.put("msgId", message.getMsgId());
        fields.put("tags", message.getTags());
        fields.put("keys", message.getKeys());
        fields.put("flag", message.getFlag());
        fields.put("sysFlag", message.getSysFlag());
        fields.put("bornTimestamp", message.getBornTimestamp());
        fields.put("reconsumeTimes", message.getReconsumeTimes());
        fields.put("properties", new LinkedHashMap<>(message.getProperties()));
        fields.put("body", Base64.getEncoder().encodeToString(message.getBody()));
        return fields;
    }

    static Map<String, Object> ofResult(SendResult result) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("status", result.getSendStatus().name());
        fields.put("msgId", result.getMsgId());
        fields.put("offsetMsgId", result.getOffsetMsgId());
        fields.put("broker", result.getMessageQueue().getBrokerName());
        fields.put("queue", result.getMessageQueue().getQueueId());
        fields.put("offset", result.getQueueOffset());
        fields.put("recallHandle", recallHandle(result));
        return fields;
    }

    /** The reply to a request has less to it than a message that was stored. */
    static Map<String, Object> ofReply(Message reply) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("topic", reply.getTopic());
        fields.put("properties", new LinkedHashMap<>(reply.getProperties()));
        fields.put("body", Base64.getEncoder().encodeToString(reply.getBody()));
        return fields;
    }

    /** Results of old versions have none. */
    private static Object recallHandle(SendResult result) {
        try {
            return SendResult.class.getMethod("getRecallHandle").invoke(result);
        } catch (ReflectiveOperationException e) {
            return null;
        }
    }

    static Map<String, Object> ofError(Throwable error) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("error", error.toString());
        return fields;
    }

    static Message toMessage(Command envelope) {
        Message message = new Message(envelope.text("topic"), Base64.getDecoder().decode(envelope.text("body")));
        if (envelope.optional("tags") != null) {
            message.setTags(envelope.text("tags"));
        }
        if (envelope.optional("keys") != null) {
            message.setKeys(envelope.text("keys"));
        }
        message.setFlag(envelope.number("flag"));
        envelope.map("system").forEach(
            (name, value) -> MessageAccessor.putProperty(message, name.toString(), value.toString()));
        envelope.map("properties").forEach((name, value) -> message.putUserProperty(name.toString(), value.toString()));
        return message;
    }
}
