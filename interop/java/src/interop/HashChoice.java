package interop;

import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** Which of n queues the official hash selector picks for a key. */
final class HashChoice {
    private HashChoice() {
    }

    static List<Integer> of(Command command) {
        List<MessageQueue> queues = new ArrayList<>();
        for (int i = 0; i < command.number("queues"); i++) {
            queues.add(new MessageQueue("topic", "broker", i));
        }
        SelectMessageQueueByHash selector = new SelectMessageQueueByHash();
        Message message = new Message("topic", new byte[] {1});
        List<Integer> chosen = new ArrayList<>();
        for (Object key : command.list("keys")) {
            chosen.add(selector.select(queues, message, key).getQueueId());
        }
        return chosen;
    }
}
