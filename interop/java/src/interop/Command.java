package interop;

import java.util.List;
import java.util.Map;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;

/** One command, or one object inside of a command, with typed access to its fields. */
final class Command {
    private final Map<?, ?> fields;

    Command(Map<?, ?> fields) {
        this.fields = fields;
    }

    static Command parse(String line) {
        return new Command(RemotingSerializable.fromJson(line, Map.class));
    }

    String text(String name) {
        String value = optional(name);
        if (value == null) {
            throw new IllegalArgumentException("the command has no " + name);
        }
        return value;
    }

    String optional(String name) {
        Object value = fields.get(name);
        return value == null ? null : value.toString();
    }

    int number(String name) {
        if (!(fields.get(name) instanceof Number)) {
            throw new IllegalArgumentException("the command has no number " + name);
        }
        return ((Number) fields.get(name)).intValue();
    }

    boolean flag(String name) {
        return Boolean.TRUE.equals(fields.get(name));
    }

    List<?> list(String name) {
        Object value = fields.get(name);
        return value == null ? List.of() : (List<?>) value;
    }

    Map<?, ?> map(String name) {
        Object value = fields.get(name);
        return value == null ? Map.of() : (Map<?, ?>) value;
    }
}
