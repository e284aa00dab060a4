package bench;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/** The command line: pairs of --name value. */
final class Arguments {
    private final Map<String, String> values = new HashMap<>();
    private final Set<String> with = new HashSet<>();

    Arguments(String[] line) {
        for (int i = 0; i + 1 < line.length; i += 2) {
            String name = line[i].substring(2);
            if (name.equals("with")) {
                with.add(line[i + 1]);
            } else {
                values.put(name, line[i + 1]);
            }
        }
    }

    String text(String name) {
        return values.get(name);
    }

    int number(String name, int otherwise) {
        return values.containsKey(name) ? Integer.parseInt(values.get(name)) : otherwise;
    }

    boolean has(String setting) {
        return with.contains(setting);
    }
}
