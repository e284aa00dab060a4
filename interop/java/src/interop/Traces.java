package interop;

import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.trace.TraceBean;
import org.apache.rocketmq.client.trace.TraceContext;
import org.apache.rocketmq.client.trace.TraceDataEncoder;

/** What the message trace tells, as the official client's own decoder reads it. */
final class Traces {
    private Traces() {
    }

    static List<Map<String, String>> decode(Command command) throws Exception {
        List<Map<String, String>> records = new ArrayList<>();
        for (TraceContext context : TraceDataEncoder.decoderFromTraceDataString(command.text("text"))) {
            Map<String, String> fields = new TreeMap<>();
            addAll(fields, context, TraceContext.class);
            for (TraceBean bean : context.getTraceBeans()) {
                addAll(fields, bean, TraceBean.class);
            }
            records.add(fields);
        }
        return records;
    }

    /** All that has a getter: older versions have fewer. */
    private static void addAll(Map<String, String> fields, Object object, Class<?> type) throws Exception {
        for (Method method : type.getDeclaredMethods()) {
            String name = method.getName().replaceFirst("^(get|is)(?=[A-Z])", "");
            if (method.getParameterCount() == 0 && !name.equals(method.getName())) {
                fields.put(name, String.valueOf(method.invoke(object)));
            }
        }
    }
}
