package interop;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** What the name server and the brokers know of a topic. Types that moved between versions stay unnamed. */
final class Topics {
    private static final int WRITE = 2;
    private static final int PULL_COUNT = 32;

    private final String nameServers;
    private DefaultMQAdminExt admin;

    Topics(String nameServers) {
        this.nameServers = nameServers;
    }

    boolean create(Command command) throws Exception {
        int queues = command.number("queues");
        int permissions = command.number("permissions");
        TopicConfig topic = new TopicConfig(command.text("topic"), queues, queues, permissions);
        for (Object broker : command.list("brokers")) {
            admin().createAndUpdateTopicConfig(broker.toString(), topic);
        }
        return true;
    }

    List<Map<String, Object>> offsets(Command command) throws Exception {
        List<Map<String, Object>> queues = new ArrayList<>();
        admin().examineTopicStats(command.text("topic")).getOffsetTable().forEach((queue, offset) -> {
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("broker", queue.getBrokerName());
            fields.put("queue", queue.getQueueId());
            fields.put("min", offset.getMinOffset());
            fields.put("max", offset.getMaxOffset());
            queues.add(fields);
        });
        return queues;
    }

    List<Map<String, Object>> route(Command command) throws Exception {
        var route = admin().examineTopicRouteInfo(command.text("topic"));
        List<Map<String, Object>> brokers = new ArrayList<>();
        for (var broker : route.getBrokerDatas()) {
            int queues = 0;
            for (var queue : route.getQueueDatas()) {
                boolean writable = (queue.getPerm() & WRITE) != 0;
                if (writable && queue.getBrokerName().equals(broker.getBrokerName())) {
                    queues += queue.getWriteQueueNums();
                }
            }
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("broker", broker.getBrokerName());
            fields.put("address", broker.getBrokerAddrs().get(0L));
            fields.put("queues", queues);
            brokers.add(fields);
        }
        return brokers;
    }

    /** The attributes of a topic on a broker; topics of old versions have none. */
    Object attributes(Command command) throws Exception {
        TopicConfig topic = admin().examineTopicConfig(command.text("broker"), command.text("topic"));
        return TopicConfig.class.getMethod("getAttributes").invoke(topic);
    }

    /** The client ids of a producer group's members, as the brokers of a topic know them. */
    List<String> members(Command command) throws Exception {
        List<String> members = new ArrayList<>();
        try {
            var known = admin().examineProducerConnectionInfo(command.text("group"), command.text("topic"));
            known.getConnectionSet().forEach(connection -> members.add(connection.getClientId()));
        } catch (MQBrokerException | MQClientException e) {
            // A group without members is not known: to brokers of 5.x, to the client of 4.x.
            if (!e.getMessage().contains("not exist") && !e.getMessage().contains("Not found the producer group")) {
                throw e;
            }
        }
        return members;
    }

    /** Everything that a topic holds, queue by queue, without a consumer group's offsets. */
    List<Map<String, Object>> stored(Command command) throws Exception {
        // A new reader each time: one that was there before may know addresses of brokers that moved.
        DefaultMQPullConsumer reader = new DefaultMQPullConsumer("interop-reader", Access.hook());
        reader.setNamesrvAddr(nameServers);
        reader.setInstanceName("reader-" + System.nanoTime());
        reader.start();
        try {
            List<Map<String, Object>> messages = new ArrayList<>();
            for (MessageQueue queue : reader.fetchSubscribeMessageQueues(command.text("topic"))) {
                read(reader, queue, messages);
            }
            return messages;
        } finally {
            reader.shutdown();
        }
    }

    private static void read(DefaultMQPullConsumer reader, MessageQueue queue, List<Map<String, Object>> messages)
        throws Exception {
        long end = reader.maxOffset(queue);
        long next = reader.minOffset(queue);
        while (next < end) {
            PullResult pulled = reader.pull(queue, "*", next, PULL_COUNT);
            if (pulled.getPullStatus() == PullStatus.FOUND) {
                for (MessageExt message : pulled.getMsgFoundList()) {
                    messages.add(Envelope.ofMessage(message));
                }
            }
            next = advanced(next, pulled);
        }
    }

    private static long advanced(long next, PullResult pulled) {
        if (pulled.getNextBeginOffset() <= next) {
            throw new IllegalStateException("no message at " + next + ": " + pulled.getPullStatus());
        }
        return pulled.getNextBeginOffset();
    }

    private DefaultMQAdminExt admin() throws Exception {
        if (admin == null) {
            DefaultMQAdminExt starting = new DefaultMQAdminExt(Access.hook());
            starting.setNamesrvAddr(nameServers);
            starting.setInstanceName("admin");
            starting.start();
            admin = starting;
        }
        return admin;
    }
}
