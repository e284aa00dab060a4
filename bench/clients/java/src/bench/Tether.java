package bench;

import java.io.IOException;

/** Runs a server's main class, and ends with whoever started it: when standard input closes. */
public final class Tether {
    private Tether() {
    }

    public static void main(String[] line) throws Exception {
        Thread watch = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {
                    // Nothing is ever said.
                }
            } catch (IOException gone) {
                // As good as closed.
            }
            Runtime.getRuntime().halt(0);
        });
        watch.setDaemon(true);
        watch.start();
        String[] rest = java.util.Arrays.copyOfRange(line, 1, line.length);
        Class.forName(line[0]).getMethod("main", String[].class).invoke(null, (Object) rest);
    }
}
