package interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;

/** Finding single messages again, and taking them back. */
final class Searches {
    private final Producers producers;

    Searches(Producers producers) {
        this.producers = producers;
    }

    /** The messages of a topic that have a key. */
    List<Map<String, Object>> byKey(Command command) throws Exception {
        DefaultMQProducer producer = producers.named(command.text("producer"));
        List<Map<String, Object>> messages = new ArrayList<>();
        for (MessageExt message : producer.queryMessage(
            command.text("topic"), command.text("key"), command.number("most"), 0, Long.MAX_VALUE).getMessageList()) {
            messages.add(Envelope.ofMessage(message));
        }
        return messages;
    }

    /** The message with an id, the broker's or the client's. */
    Map<String, Object> byId(Command command) throws Exception {
        DefaultMQProducer producer = producers.named(command.text("producer"));
        return Envelope.ofMessage(producer.viewMessage(command.text("topic"), command.text("messageId")));
    }

    /** Takes a timer message back; old versions cannot. */
    String recall(Command command) throws Exception {
        DefaultMQProducer producer = producers.named(command.text("producer"));
        return (String) DefaultMQProducer.class.getMethod("recallMessage", String.class, String.class)
            .invoke(producer, command.text("topic"), command.text("handle"));
    }
}
