package interop;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;

/** Writes JSON lines to standard output, and keeps everything else away from it. */
final class Lines {
    private final PrintStream out;

    private Lines(PrintStream out) {
        this.out = out;
    }

    /** Takes standard output over: what libraries print from now on goes to standard error. */
    static Lines takeStandardOutput() {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        System.setOut(System.err);
        return new Lines(out);
    }

    void write(Map<String, ?> line) {
        String text = RemotingSerializable.toJson(line, false);
        synchronized (out) {
            out.println(text);
            out.flush();
        }
    }
}
