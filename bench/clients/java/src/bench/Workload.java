package bench;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Semaphore;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/** The shapes, as an application in Java would write them. */
final class Workload {
    private static final int EASE = 1024;
    /** Of many messages in flight every eighth is timed, as with the other clients. */
    private static final int STRIDE = 8;

    private final DefaultMQProducer producer;
    private final Arguments arguments;
    private final String topic;
    private final byte[] body;
    private final int inFlight;

    Workload(DefaultMQProducer producer, Arguments arguments) {
        this.producer = producer;
        this.arguments = arguments;
        topic = arguments.text("topic");
        inFlight = arguments.number("in-flight", 1);
        body = new byte[arguments.number("body", 128)];
        java.util.Arrays.fill(body, (byte) 'x');
    }

    /** Runs the shape for so long, and until the last answer has come. */
    Tally run(long millis) throws Exception {
        Tally tally = new Tally();
        long end = System.nanoTime() + millis * 1_000_000;
        switch (arguments.text("shape")) {
            case "callers":
                if (inFlight == 1 || arguments.has("sync")) {
                    inThreads(inFlight, () -> one(tally, end));
                } else {
                    asynchronous(tally, end, Long.MAX_VALUE);
                }
                break;
            case "burst":
                asynchronous(tally, Long.MAX_VALUE, inFlight);
                break;
            case "oneway":
                oneway(tally, end);
                break;
            case "batch":
                int batch = arguments.number("batch", 32);
                inThreads(inFlight, () -> batches(tally, end, batch));
                break;
            default:
                throw new IllegalArgumentException("not measured with this client");
        }
        return tally;
    }

    private Message message() {
        return new Message(topic, body);
    }

    private void one(Tally tally, long end) {
        while (System.nanoTime() < end) {
            long began = System.nanoTime();
            boolean acknowledged = true;
            try {
                producer.send(message());
            } catch (Exception error) {
                acknowledged = false;
            }
            tally.took(System.nanoTime() - began);
            tally.ended(1, acknowledged);
        }
    }

    private void batches(Tally tally, long end, int size) {
        while (System.nanoTime() < end) {
            List<Message> messages = new ArrayList<>(size);
            for (int i = 0; i < size; i++) {
                messages.add(message());
            }
            long began = System.nanoTime();
            boolean acknowledged = true;
            try {
                producer.send(messages);
            } catch (Exception error) {
                acknowledged = false;
            }
            tally.took(System.nanoTime() - began);
            tally.ended(size, acknowledged);
        }
    }

    /** One thread that sends while fewer than so many are on their way. */
    private void asynchronous(Tally tally, long end, long atMost) throws Exception {
        Semaphore room = new Semaphore(inFlight);
        for (long sent = 0; sent < atMost && System.nanoTime() < end; sent++) {
            room.acquire();
            long began = sent % STRIDE == 0 ? System.nanoTime() : 0;
            SendCallback callback = new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    ended(true);
                }

                @Override
                public void onException(Throwable error) {
                    ended(false);
                }

                private void ended(boolean acknowledged) {
                    if (began != 0) {
                        tally.took(System.nanoTime() - began);
                    }
                    tally.ended(1, acknowledged);
                    room.release();
                }
            };
            try {
                producer.send(message(), callback);
            } catch (Exception error) {
                callback.onException(error);
            }
        }
        room.acquire(inFlight);
    }

    private void oneway(Tally tally, long end) throws Exception {
        boolean eased = arguments.has("eased");
        for (long sent = 1; System.nanoTime() < end; sent++) {
            boolean acknowledged = true;
            try {
                if (eased && sent % EASE == 0) {
                    producer.send(message());
                } else {
                    producer.sendOneway(message());
                }
            } catch (Exception error) {
                acknowledged = false;
            }
            tally.ended(1, acknowledged);
        }
    }

    private static void inThreads(int count, Runnable work) throws InterruptedException {
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            threads.add(new Thread(work));
        }
        threads.forEach(Thread::start);
        for (Thread thread : threads) {
            thread.join();
        }
    }
}
