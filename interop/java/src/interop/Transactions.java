package interop;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * The transaction producers of this process, by name. The message itself says how it is to end: property
 * "local" is the decision of its sender, and "checks" are the answers to the checks, one after another, so that
 * any producer of the group can answer.
 */
final class Transactions {
    private final String nameServers;
    private final Map<String, TransactionMQProducer> started = new HashMap<>();
    private final Map<String, Integer> checked = new ConcurrentHashMap<>();

    Transactions(String nameServers) {
        this.nameServers = nameServers;
    }

    boolean start(Command command) throws Exception {
        TransactionMQProducer producer = new TransactionMQProducer(command.text("group"));
        producer.setNamesrvAddr(nameServers);
        producer.setInstanceName(command.text("name"));
        producer.setTransactionListener(listener());
        producer.start();
        started.put(command.text("name"), producer);
        return true;
    }

    boolean stop(Command command) {
        TransactionMQProducer producer = started.remove(command.text("name"));
        if (producer == null) {
            return false;
        }
        producer.shutdown();
        return true;
    }

    List<Map<String, Object>> send(Command command) throws Exception {
        TransactionMQProducer producer = started.get(command.text("producer"));
        if (producer == null) {
            throw new IllegalArgumentException("no transaction producer " + command.text("producer"));
        }
        List<Map<String, Object>> results = new ArrayList<>();
        for (Object envelope : command.list("messages")) {
            Message message = Envelope.toMessage(new Command((Map<?, ?>) envelope));
            TransactionSendResult result = producer.sendMessageInTransaction(message, null);
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("status", result.getSendStatus().name());
            fields.put("msgId", result.getMsgId());
            fields.put("localState", result.getLocalTransactionState().name());
            results.add(fields);
        }
        return results;
    }

    private TransactionListener listener() {
        return new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
                return state(message.getProperty("local"));
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt message) {
                String[] answers = message.getProperty("checks").split(",");
                int time = checked.merge(message.getMsgId(), 1, Integer::sum);
                return state(answers[Math.min(time, answers.length) - 1]);
            }
        };
    }

    private static LocalTransactionState state(String word) {
        switch (word) {
            case "commit":
                return LocalTransactionState.COMMIT_MESSAGE;
            case "rollback":
                return LocalTransactionState.ROLLBACK_MESSAGE;
            default:
                return LocalTransactionState.UNKNOW;
        }
    }
}
