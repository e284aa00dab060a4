package interop;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** The push consumers of this process, by name. Each message they receive is written as one line. */
final class Consumers {
    private static final int ROUTE_POLL_MILLIS = 1_000;
    private static final int SHORTEST_DELAY_LEVEL = 1;

    private final String nameServers;
    private final Lines lines;
    private final Map<String, DefaultMQPushConsumer> started = new HashMap<>();

    Consumers(String nameServers, Lines lines) {
        this.nameServers = nameServers;
        this.lines = lines;
    }

    boolean start(Command command) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(
            command.text("group"), Access.hook(), new AllocateMessageQueueAveragely());
        consumer.setNamesrvAddr(nameServers);
        if (command.optional("namespace") != null) {
            consumer.setNamespace(command.text("namespace"));
        }
        consumer.setInstanceName(command.text("name"));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setPollNameServerInterval(ROUTE_POLL_MILLIS);
        consumer.subscribe(command.text("topic"), command.text("tags"));
        if (command.flag("orderly")) {
            consumer.registerMessageListener(orderly(command));
        } else {
            consumer.registerMessageListener(concurrently(command));
        }
        consumer.start();
        started.put(command.text("name"), consumer);
        return true;
    }

    /** The id by which brokers know the consumer's client. */
    String clientId(Command command) {
        return started.get(command.text("name")).buildMQClientId();
    }

    boolean stop(Command command) {
        DefaultMQPushConsumer consumer = started.remove(command.text("name"));
        if (consumer == null) {
            return false;
        }
        consumer.shutdown();
        return true;
    }

    private MessageListenerConcurrently concurrently(Command command) {
        return (messages, context) -> {
            context.setDelayLevelWhenNextConsume(SHORTEST_DELAY_LEVEL);
            return report(command, messages)
                ? ConsumeConcurrentlyStatus.CONSUME_SUCCESS
                : ConsumeConcurrentlyStatus.RECONSUME_LATER;
        };
    }

    private MessageListenerOrderly orderly(Command command) {
        return (messages, context) -> report(command, messages)
            ? ConsumeOrderlyStatus.SUCCESS
            : ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
    }

    /** Writes the messages down; says whether they count as consumed. */
    private boolean report(Command command, List<MessageExt> messages) {
        boolean consumed = true;
        for (MessageExt message : messages) {
            boolean refused = refuses(command, message);
            consumed &= !refused;
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("consumer", command.text("name"));
            line.put("refused", refused);
            line.put("message", Envelope.ofMessage(message));
            lines.write(line);
        }
        return consumed;
    }

    /** Messages with the tag named by "refuse" fail the first time they come. */
    private static boolean refuses(Command command, MessageExt message) {
        String tag = command.optional("refuse");
        return tag != null && tag.equals(message.getTags()) && message.getReconsumeTimes() == 0;
    }
}
