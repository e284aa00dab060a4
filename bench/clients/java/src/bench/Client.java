package bench;

import com.sun.management.OperatingSystemMXBean;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import org.apache.rocketmq.client.producer.DefaultMQProducer;

/**
 * The official Java client as a client of the benchmark.
 *
 * <p>Settings of its own (--with): "autobatch" (5.x), "eased" (one-way: a synchronous send after
 * every 1,024), "sync" (a thread for each caller instead of asynchronous sends).
 */
public final class Client {
    private Client() {
    }

    public static void main(String[] line) throws Exception {
        Arguments arguments = new Arguments(line);
        DefaultMQProducer producer = producer(arguments);
        Workload workload = new Workload(producer, arguments);
        if (arguments.number("warm-up-ms", 0) > 0) {
            workload.run(arguments.number("warm-up-ms", 0));
        }
        System.out.println("ready");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        if (!"go".equals(in.readLine())) {
            System.exit(1);
        }
        OperatingSystemMXBean system =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        long began = System.nanoTime();
        long cpu = system.getProcessCpuTime();
        Tally tally = workload.run(arguments.number("measure-ms", 1000));
        cpu = system.getProcessCpuTime() - cpu;
        System.out.println(tally.measurement(System.nanoTime() - began, cpu));
        while (in.readLine() != null) {
            // Until the driver lets go.
        }
        // An orderly shutdown may take long, and is not measured.
        Runtime.getRuntime().halt(0);
    }

    private static DefaultMQProducer producer(Arguments arguments) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("bench");
        producer.setNamesrvAddr(arguments.text("name-server"));
        // All clients send the same bytes.
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        if (arguments.has("autobatch")) {
            // 4.x does not have it.
            DefaultMQProducer.class.getMethod("setAutoBatch", boolean.class).invoke(producer, true);
        }
        producer.start();
        return producer;
    }
}
