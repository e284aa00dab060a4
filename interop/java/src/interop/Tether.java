package interop;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;

/**
 * Runs a server's main class for as long as standard input stays open. The test run that
 * started the server holds the other end, so the server cannot outlive the run, however it ends.
 */
final class Tether {
    private static final long SHUTDOWN_LIMIT_MILLIS = 15_000;

    private Tether() {
    }

    public static void main(String[] args) throws Throwable {
        watchStandardInput();
        String[] rest = Arrays.copyOfRange(args, 1, args.length);
        try {
            Class.forName(args[0]).getMethod("main", String[].class).invoke(null, (Object) rest);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    private static void watchStandardInput() {
        daemon("tether", () -> {
            awaitEndOfInput();
            // Shutdown hooks of old versions can wait for ever.
            daemon("tether-limit", Tether::haltWhenStuck);
            System.exit(0);
        });
    }

    private static void awaitEndOfInput() {
        try {
            while (System.in.read() >= 0) {
                // Nothing is ever sent: only the end counts.
            }
        } catch (IOException e) {
            // A broken pipe is an end as well.
        }
    }

    private static void haltWhenStuck() {
        try {
            Thread.sleep(SHUTDOWN_LIMIT_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        Runtime.getRuntime().halt(1);
    }

    private static void daemon(String name, Runnable body) {
        Thread thread = new Thread(body, name);
        thread.setDaemon(true);
        thread.start();
    }
}
