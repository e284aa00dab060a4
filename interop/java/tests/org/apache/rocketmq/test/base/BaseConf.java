package org.apache.rocketmq.test.base;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.apache.rocketmq.broker.BrokerController;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.common.MQVersion;
import org.apache.rocketmq.common.attribute.CQType;
import org.apache.rocketmq.common.attribute.TopicMessageType;
import org.apache.rocketmq.common.namesrv.NamesrvConfig;
import org.apache.rocketmq.namesrv.NamesrvController;
import org.apache.rocketmq.remoting.netty.NettyServerConfig;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;
import org.apache.rocketmq.test.client.rmq.RMQAsyncSendProducer;
import org.apache.rocketmq.test.client.rmq.RMQNormalConsumer;
import org.apache.rocketmq.test.client.rmq.RMQNormalProducer;
import org.apache.rocketmq.test.client.rmq.RMQTransactionalProducer;
import org.apache.rocketmq.test.factory.ConsumerFactory;
import org.apache.rocketmq.test.listener.AbstractListener;
import org.apache.rocketmq.test.util.MQAdminTestUtils;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * Stands before the class of this name that Apache's integration tests come with. Theirs starts a name server
 * and three brokers inside of the tests' process; here is one broker, elsewhere, by all three names. A
 * test that reaches through a controller into a broker, or counts three brokers, cannot pass.
 */
public class BaseConf {
    public static final String NAMESRV_ADDR = System.getProperty("suites.nameServer");

    protected static final String CLUSTER_NAME = "DefaultCluster";
    protected static final String BROKER1_NAME = System.getProperty("suites.broker");
    protected static final String BROKER2_NAME = BROKER1_NAME;
    protected static final String BROKER3_NAME = BROKER1_NAME;

    protected static final int BROKER_NUM = 1;
    protected static final int WAIT_TIME = 5;
    protected static final int CONSUME_TIME = 120_000;
    protected static final int QUEUE_NUMBERS = 8;

    protected static NamesrvController namesrvController =
        new NamesrvController(new NamesrvConfig(), new NettyServerConfig());
    protected static BrokerController brokerController1 =
        RemoteBroker.at(System.getProperty("suites.address"), BROKER1_NAME, NAMESRV_ADDR);
    protected static BrokerController brokerController2 = brokerController1;
    protected static BrokerController brokerController3 = brokerController1;
    protected static List<BrokerController> brokerControllerList = List.of(brokerController1);
    protected static Map<String, BrokerController> brokerControllerMap =
        Map.of(BROKER1_NAME, brokerController1);

    /** What tests have started. */
    protected static List<Object> mqClients = new ArrayList<>();
    protected static boolean debug;

    private static final int ADMIN_TIMEOUT_MILLIS = 3_000;
    private static final int ROUTE_POLL_MILLIS = 100;

    static {
        System.setProperty(RemotingCommand.REMOTING_VERSION_KEY, String.valueOf(MQVersion.CURRENT_VERSION));
        IntegrationTestBase.initMQAdmin(NAMESRV_ADDR);
    }

    /** The broker is there before the tests are. */
    public static void waitBrokerRegistered(String nameServer, String cluster, int brokers) {
    }

    /** A broker elsewhere does not say what it has yet to dispatch; this is long enough for any. */
    public boolean awaitDispatchMs(long millis) throws Exception {
        Thread.sleep(Math.min(millis, 1_000));
        return true;
    }

    public static String initTopic() {
        return initTopicWithName(newName("topic"));
    }

    public static String initTopic(TopicMessageType type) {
        return initTopicWithName(newName("topic"), type);
    }

    public static String initTopicWithName(String topic) {
        IntegrationTestBase.initTopic(topic, NAMESRV_ADDR, CLUSTER_NAME, CQType.SimpleCQ);
        return topic;
    }

    public static String initTopicWithName(String topic, TopicMessageType type) {
        IntegrationTestBase.initTopic(topic, NAMESRV_ADDR, CLUSTER_NAME, type);
        return topic;
    }

    public static String initTopicOnSampleTopicBroker(String sample) {
        return initTopicOnSampleTopicBroker(newName("topic"), sample);
    }

    public static String initTopicOnSampleTopicBroker(String sample, TopicMessageType type) {
        return initTopicOnSampleTopicBroker(newName("topic"), sample, type);
    }

    public static String initTopicOnSampleTopicBroker(String topic, String sample) {
        IntegrationTestBase.initTopic(topic, NAMESRV_ADDR, sample, CQType.SimpleCQ);
        return topic;
    }

    public static String initTopicOnSampleTopicBroker(String topic, String sample, TopicMessageType type) {
        IntegrationTestBase.initTopic(topic, NAMESRV_ADDR, sample, type);
        return topic;
    }

    public static String initConsumerGroup() {
        return initConsumerGroup(newName("group"));
    }

    public static String initConsumerGroup(String group) {
        SubscriptionGroupConfig config = new SubscriptionGroupConfig();
        config.setGroupName(group);
        return initConsumerGroup(config);
    }

    public static String initConsumerGroup(SubscriptionGroupConfig config) {
        MQAdminTestUtils.createSub(NAMESRV_ADDR, CLUSTER_NAME, config);
        return config.getGroupName();
    }

    public static DefaultMQAdminExt getAdmin(String nameServer) {
        DefaultMQAdminExt admin = new DefaultMQAdminExt(ADMIN_TIMEOUT_MILLIS);
        admin.setNamesrvAddr(nameServer);
        admin.setPollNameServerInterval(ROUTE_POLL_MILLIS);
        return kept(admin);
    }

    public static RMQNormalProducer getProducer(String nameServer, String topic) {
        return getProducer(nameServer, topic, false);
    }

    public static RMQNormalProducer getProducer(String nameServer, String topic, boolean encrypted) {
        return kept(new RMQNormalProducer(nameServer, topic, encrypted));
    }

    public static RMQNormalProducer getProducer(String nameServer, String topic, String group, String instance) {
        return kept(new RMQNormalProducer(nameServer, topic, group, instance));
    }

    public static RMQTransactionalProducer getTransactionalProducer(
        String nameServer, String topic, TransactionListener listener) {
        return kept(new RMQTransactionalProducer(nameServer, topic, false, listener));
    }

    public static RMQAsyncSendProducer getAsyncProducer(String nameServer, String topic) {
        return kept(new RMQAsyncSendProducer(nameServer, topic));
    }

    public static RMQNormalConsumer getConsumer(
        String nameServer, String topic, String expression, AbstractListener listener) {
        return getConsumer(nameServer, topic, expression, listener, false);
    }

    public static RMQNormalConsumer getConsumer(
        String nameServer, String topic, String expression, AbstractListener listener, boolean encrypted) {
        return getConsumer(nameServer, initConsumerGroup(), topic, expression, listener, encrypted);
    }

    public static RMQNormalConsumer getConsumer(
        String nameServer, String group, String topic, String expression, AbstractListener listener) {
        return getConsumer(nameServer, group, topic, expression, listener, false);
    }

    public static RMQNormalConsumer getConsumer(
        String nameServer, String group, String topic, String expression, AbstractListener listener,
        boolean encrypted) {
        return kept(
            ConsumerFactory.getRMQNormalConsumer(nameServer, group, topic, expression, listener, encrypted));
    }

    public static Set<String> getBrokers() {
        return Set.of(BROKER1_NAME);
    }

    public static void shutdown() {
        List<Object> clients = List.copyOf(mqClients);
        mqClients.clear();
        shutdown(clients);
    }

    /** Ends clients of any kind, beside the test. */
    public static void shutdown(List<Object> clients) {
        Thread ending = new Thread(() -> clients.forEach(BaseConf::end), "ending clients");
        ending.setDaemon(true);
        ending.start();
    }

    private static void end(Object client) {
        try {
            client.getClass().getMethod("shutdown").invoke(client);
        } catch (ReflectiveOperationException e) {
            System.err.println("cannot end " + client + ": " + e);
        }
    }

    private static <T> T kept(T client) {
        mqClients.add(client);
        return client;
    }

    private static String newName(String kind) {
        return kind + "-" + UUID.randomUUID();
    }
}
