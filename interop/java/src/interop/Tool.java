package interop;

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * RocketMQ's own command line tool, run inside of this process: a hundred calls cost one start. What a call
 * and the threads that it starts print is kept apart from what all others print.
 */
final class Tool {
    private static final InheritableThreadLocal<ByteArrayOutputStream> PRINTED = new InheritableThreadLocal<>();

    Tool(String nameServers) {
        System.setProperty("rocketmq.namesrv.addr", nameServers);
        PrintStream usual = System.err;
        System.setOut(divided(usual));
        System.setErr(divided(usual));
    }

    /** Runs one call; one that does not end in time goes on unheard. */
    Map<String, Object> call(Command command) throws ReflectiveOperationException, InterruptedException {
        forgetCommands();
        String[] arguments = command.list("arguments").stream().map(Object::toString).toArray(String[]::new);
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        Thread call = new Thread(() -> {
            PRINTED.set(printed);
            MQAdminStartup.main0(arguments, Access.hook());
        }, "mqadmin");
        call.setDaemon(true);
        call.start();
        call.join(command.number("limitMillis"));
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("ended", !call.isAlive());
        result.put("printed", printed.toString(StandardCharsets.UTF_8));
        call.interrupt();
        return result;
    }

    /** Commands keep their clients, and do not expect to be run twice: each call gets new ones. */
    private static void forgetCommands() throws ReflectiveOperationException {
        for (Field field : MQAdminStartup.class.getDeclaredFields()) {
            if (List.class.isAssignableFrom(field.getType())) {
                field.setAccessible(true);
                ((List<?>) field.get(null)).clear();
            }
        }
    }

    private static PrintStream divided(PrintStream usual) {
        return new PrintStream(new OutputStream() {
            @Override
            public void write(int octet) {
                write(new byte[] {(byte) octet}, 0, 1);
            }

            @Override
            public void write(byte[] bytes, int from, int length) {
                ByteArrayOutputStream printed = PRINTED.get();
                if (printed == null) {
                    usual.write(bytes, from, length);
                } else {
                    printed.write(bytes, from, length);
                }
            }
        }, true, StandardCharsets.UTF_8);
    }
}
