package interop;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeSet;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;
import org.apache.rocketmq.test.base.BaseConf;
import org.junit.internal.AssumptionViolatedException;
import org.junit.runner.Description;
import org.junit.runner.JUnitCore;
import org.junit.runner.notification.Failure;
import org.junit.runner.notification.RunListener;

/**
 * Runs Apache's integration tests, class by class: a name comes in on standard input, and for each test a JSON
 * line goes out when it starts and when it ends. The name "list" gives the names of all classes.
 */
final class Tests {
    private static final String PACKAGE = "org.apache.rocketmq.test.";

    private final PrintStream out;

    private Tests(PrintStream out) {
        this.out = out;
    }

    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        System.setOut(System.err);
        new Tests(out).serve(args[0]);
        // Clients of tests that failed go on.
        Runtime.getRuntime().halt(0);
    }

    private void serve(String jar) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String name = in.readLine(); name != null; name = in.readLine()) {
            if (name.equals("list")) {
                list(jar);
            } else {
                run(name);
            }
            say("done", name);
        }
    }

    /** All classes with tests on our base class. */
    private void list(String jar) throws IOException, ClassNotFoundException {
        TreeSet<String> names = new TreeSet<>();
        try (JarFile file = new JarFile(new File(jar))) {
            for (JarEntry entry : (Iterable<JarEntry>) file.stream()::iterator) {
                String name = entry.getName().replace('/', '.');
                if (name.startsWith(PACKAGE) && name.endsWith("IT.class")) {
                    names.add(name.substring(0, name.length() - ".class".length()));
                }
            }
        }
        for (String name : names) {
            Class<?> type = Class.forName(name, false, Tests.class.getClassLoader());
            if (BaseConf.class.isAssignableFrom(type) && !Modifier.isAbstract(type.getModifiers())) {
                say("class", name.substring(PACKAGE.length()));
            }
        }
    }

    private void run(String name) {
        JUnitCore core = new JUnitCore();
        core.addListener(new Reporter());
        try {
            core.run(Class.forName(PACKAGE + name));
        } catch (Throwable e) {
            end(name, e);
        }
    }

    private void say(String key, String value) {
        say(Map.of(key, value));
    }

    private void say(Map<String, String> line) {
        synchronized (out) {
            out.println(RemotingSerializable.toJson(line, false));
            out.flush();
        }
    }

    private void end(String test, Throwable failure) {
        Map<String, String> line = new LinkedHashMap<>();
        line.put("ended", test);
        if (failure != null) {
            line.put("failure", String.valueOf(failure).lines().limit(3).reduce((a, b) -> a + " / " + b).orElse(""));
        }
        say(line);
    }

    /** One line when a test starts, one when it ends. */
    private final class Reporter extends RunListener {
        private Throwable failure;

        @Override
        public void testStarted(Description test) {
            failure = null;
            say("started", nameOf(test));
        }

        @Override
        public void testFailure(Failure failed) {
            failure = failed.getException();
            if (failed.getDescription().isSuite()) {
                end(nameOf(failed.getDescription()), failure);
            }
        }

        @Override
        public void testAssumptionFailure(Failure failed) {
            failure = failed.getException();
        }

        /** A test that does not apply here is none. */
        @Override
        public void testFinished(Description test) {
            if (!(failure instanceof AssumptionViolatedException)) {
                end(nameOf(test), failure);
            }
        }

        private String nameOf(Description test) {
            String type = test.getClassName().substring(PACKAGE.length());
            return test.getMethodName() == null ? type : type + "#" + test.getMethodName();
        }
    }
}
