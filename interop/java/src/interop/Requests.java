package interop;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Both sides of a request: who asks and waits, and who answers. */
final class Requests {
    private static final int REPLY_TIMEOUT_MILLIS = 3_000;

    private final String nameServers;
    private final Producers producers;
    private final Map<String, DefaultMQPushConsumer> repliers = new HashMap<>();

    Requests(String nameServers, Producers producers) {
        this.nameServers = nameServers;
        this.producers = producers;
    }

    /** Sends a message and gives back the reply to it. */
    Map<String, Object> ask(Command command) throws Exception {
        Message request = Envelope.toMessage(new Command(command.map("message")));
        Message reply = producers.named(command.text("producer")).request(request, command.number("timeoutMillis"));
        return Envelope.ofReply(reply);
    }

    /** Starts a consumer that answers each message with the producer of that name: "re: " and the body. */
    boolean serve(Command command) throws Exception {
        DefaultMQProducer producer = producers.named(command.text("producer"));
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(
            command.text("name"), Access.hook(), new AllocateMessageQueueAveragely());
        consumer.setNamesrvAddr(nameServers);
        consumer.setInstanceName(command.text("name"));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(command.text("topic"), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                answer(producer, message);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        repliers.put(command.text("name"), consumer);
        return true;
    }

    boolean stop(Command command) {
        DefaultMQPushConsumer consumer = repliers.remove(command.text("name"));
        if (consumer == null) {
            return false;
        }
        consumer.shutdown();
        return true;
    }

    private static void answer(DefaultMQProducer producer, MessageExt message) {
        String body = "re: " + new String(message.getBody(), StandardCharsets.UTF_8);
        try {
            producer.send(MessageUtil.createReplyMessage(message, body.getBytes(StandardCharsets.UTF_8)),
                REPLY_TIMEOUT_MILLIS);
        } catch (Exception e) {
            e.printStackTrace();
        }
    }
}
