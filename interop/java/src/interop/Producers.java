package interop;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.common.message.Message;

/** The producers of this process, by name. */
final class Producers {
    private static final long ASYNC_LIMIT_SECONDS = 30;

    private final String nameServers;
    private final Map<String, DefaultMQProducer> started = new HashMap<>();

    Producers(String nameServers) {
        this.nameServers = nameServers;
    }

    boolean start(Command command) throws Exception {
        DefaultMQProducer producer =
            new DefaultMQProducer(command.text("group"), Access.hook(), command.flag("traced"), null);
        producer.setNamesrvAddr(nameServers);
        producer.setInstanceName(command.text("name"));
        producer.start();
        started.put(command.text("name"), producer);
        return true;
    }

    boolean stop(Command command) {
        DefaultMQProducer producer = started.remove(command.text("name"));
        if (producer == null) {
            return false;
        }
        producer.shutdown();
        return true;
    }

    DefaultMQProducer named(String name) {
        DefaultMQProducer producer = started.get(name);
        if (producer == null) {
            throw new IllegalArgumentException("no producer " + name);
        }
        return producer;
    }

    List<Map<String, Object>> send(Command command) throws Exception {
        DefaultMQProducer producer = named(command.text("producer"));
        List<Command> envelopes = new ArrayList<>();
        for (Object envelope : command.list("messages")) {
            envelopes.add(new Command((Map<?, ?>) envelope));
        }
        switch (command.text("mode")) {
            case "async":
                return sendAsync(producer, envelopes);
            case "batch":
                return List.of(Envelope.ofResult(producer.send(messages(envelopes))));
            default:
                return sendEach(producer, command.text("mode"), envelopes);
        }
    }

    private static List<Message> messages(List<Command> envelopes) {
        List<Message> messages = new ArrayList<>();
        for (Command envelope : envelopes) {
            messages.add(Envelope.toMessage(envelope));
        }
        return messages;
    }

    private static List<Map<String, Object>> sendEach(DefaultMQProducer producer, String mode, List<Command> envelopes) {
        List<Map<String, Object>> results = new ArrayList<>();
        for (Command envelope : envelopes) {
            try {
                results.add(sendOne(producer, mode, envelope));
            } catch (Exception e) {
                results.add(Envelope.ofError(e));
            }
        }
        return results;
    }

    private static Map<String, Object> sendOne(DefaultMQProducer producer, String mode, Command envelope)
        throws Exception {
        Message message = Envelope.toMessage(envelope);
        switch (mode) {
            case "sync":
                return Envelope.ofResult(producer.send(message));
            case "keyed":
                return Envelope.ofResult(
                    producer.send(message, new SelectMessageQueueByHash(), envelope.text("orderKey")));
            case "oneway":
                producer.sendOneway(message);
                return Map.of();
            default:
                throw new IllegalArgumentException("unknown mode " + mode);
        }
    }

    private static List<Map<String, Object>> sendAsync(DefaultMQProducer producer, List<Command> envelopes)
        throws Exception {
        List<Map<String, Object>> results = new ArrayList<>(Collections.nCopies(envelopes.size(), Map.of()));
        CountDownLatch open = new CountDownLatch(envelopes.size());
        for (int i = 0; i < envelopes.size(); i++) {
            producer.send(Envelope.toMessage(envelopes.get(i)), intoSlot(results, i, open));
        }
        if (!open.await(ASYNC_LIMIT_SECONDS, TimeUnit.SECONDS)) {
            throw new IllegalStateException(open.getCount() + " callbacks never came");
        }
        return results;
    }

    private static SendCallback intoSlot(List<Map<String, Object>> slots, int slot, CountDownLatch open) {
        return new SendCallback() {
            @Override
            public void onSuccess(SendResult result) {
                slots.set(slot, Envelope.ofResult(result));
                open.countDown();
            }

            @Override
            public void onException(Throwable error) {
                slots.set(slot, Envelope.ofError(error));
                open.countDown();
            }
        };
    }
}
