package interop;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The official Java client under remote control: one command per line on standard input, one JSON object
 * per line on standard output. An answer carries the id of its command; a received message carries the
 * name of its consumer. One process serves many producers and consumers, which spares JVM starts.
 */
final class Agent {
    private final Lines lines;
    private final Producers producers;
    private final Consumers consumers;
    private final Topics topics;
    private final Transactions transactions;
    private final Requests requests;
    private final Searches searches;
    private final Tool tool;

    private Agent(String nameServers) {
        lines = Lines.takeStandardOutput();
        producers = new Producers(nameServers);
        consumers = new Consumers(nameServers, lines);
        topics = new Topics(nameServers);
        transactions = new Transactions(nameServers);
        requests = new Requests(nameServers, producers);
        searches = new Searches(producers);
        tool = new Tool(nameServers);
    }

    public static void main(String[] args) throws IOException {
        new Agent(args[0]).serve();
        // Client threads are not daemons, and what they would still say is not read.
        Runtime.getRuntime().halt(0);
    }

    private void serve() throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            Command command = Command.parse(line);
            Map<String, Object> answer = new LinkedHashMap<>();
            answer.put("id", command.number("id"));
            try {
                answer.put("ok", perform(command));
            } catch (Exception e) {
                answer.put("error", e.toString());
            }
            lines.write(answer);
        }
    }

    private Object perform(Command command) throws Exception {
        switch (command.text("do")) {
            case "producer":
                return producers.start(command);
            case "send":
                return producers.send(command);
            case "choose":
                return HashChoice.of(command);
            case "consumer":
                return consumers.start(command);
            case "client-id":
                return consumers.clientId(command);
            case "stop":
                return producers.stop(command) || consumers.stop(command) || transactions.stop(command)
                    || requests.stop(command);
            case "create-topic":
                return topics.create(command);
            case "offsets":
                return topics.offsets(command);
            case "members":
                return topics.members(command);
            case "route":
                return topics.route(command);
            case "topic-attributes":
                return topics.attributes(command);
            case "stored":
                return topics.stored(command);
            case "traces":
                return Traces.decode(command);
            case "transactor":
                return transactions.start(command);
            case "transact":
                return transactions.send(command);
            case "request":
                return requests.ask(command);
            case "replier":
                return requests.serve(command);
            case "by-key":
                return searches.byKey(command);
            case "by-id":
                return searches.byId(command);
            case "recall":
                return searches.recall(command);
            case "mqadmin":
                return tool.call(command);
            default:
                throw new IllegalArgumentException("unknown command " + command.text("do"));
        }
    }
}
