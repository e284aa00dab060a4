package org.apache.rocketmq.test.base;

import java.lang.reflect.Proxy;
import org.apache.rocketmq.broker.BrokerController;
import org.apache.rocketmq.broker.offset.ConsumerOffsetManager;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.common.BrokerConfig;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.netty.NettyClientConfig;
import org.apache.rocketmq.remoting.netty.NettyServerConfig;
import org.apache.rocketmq.remoting.protocol.header.QueryConsumerOffsetRequestHeader;
import org.apache.rocketmq.store.MessageStore;
import org.apache.rocketmq.store.config.MessageStoreConfig;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * A controller that is never started. It says where the broker is, asks it for offsets where tests expect a
 * store, and has settings that are not read.
 */
final class RemoteBroker extends BrokerController {
    private static final long TIMEOUT_MILLIS = 3_000;

    private final DefaultMQAdminExt admin = new DefaultMQAdminExt(TIMEOUT_MILLIS);

    private RemoteBroker(BrokerConfig config, NettyServerConfig server, MessageStoreConfig store) {
        super(config, server, new NettyClientConfig(), store);
    }

    static BrokerController at(String address, String name, String nameServer) {
        String[] parts = address.split(":");
        BrokerConfig config = new BrokerConfig();
        config.setBrokerName(name);
        config.setBrokerIP1(parts[0]);
        config.setNamesrvAddr(nameServer);
        NettyServerConfig server = new NettyServerConfig();
        server.setListenPort(Integer.parseInt(parts[1]));
        MessageStoreConfig store = new MessageStoreConfig();
        store.setStorePathRootDir(System.getProperty("java.io.tmpdir"));
        RemoteBroker broker = new RemoteBroker(config, server, store);
        try {
            broker.admin.setNamesrvAddr(nameServer);
            broker.admin.setInstanceName("remote-broker");
            broker.admin.start();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
        return broker;
    }

    /** A store of which no more is to be had than what a broker tells. */
    @Override
    public MessageStore getMessageStore() {
        return (MessageStore) Proxy.newProxyInstance(
            MessageStore.class.getClassLoader(), new Class<?>[] {MessageStore.class}, (store, method, arguments) -> {
                switch (method.getName()) {
                    case "getMaxOffsetInQueue":
                        return admin.maxOffset(queue((String) arguments[0], (Integer) arguments[1]));
                    case "dispatchBehindBytes":
                        return 0L;
                    default:
                        throw new UnsupportedOperationException(method.getName() + ": the store is elsewhere");
                }
            });
    }

    @Override
    public ConsumerOffsetManager getConsumerOffsetManager() {
        if (admin == null) {
            // While it is made.
            return super.getConsumerOffsetManager();
        }
        return new ConsumerOffsetManager() {
            @Override
            public long queryOffset(String group, String topic, int queue) {
                return storedOffset(group, topic, queue);
            }
        };
    }

    private long storedOffset(String group, String topic, int queue) {
        QueryConsumerOffsetRequestHeader header = new QueryConsumerOffsetRequestHeader();
        header.setConsumerGroup(group);
        header.setTopic(topic);
        header.setQueueId(queue);
        try {
            return admin.getDefaultMQAdminExtImpl().getMqClientInstance().getMQClientAPIImpl()
                .queryConsumerOffset(getBrokerAddr(), header, TIMEOUT_MILLIS);
        } catch (MQBrokerException e) {
            // Nothing is stored.
            return -1;
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private MessageQueue queue(String topic, int number) {
        return new MessageQueue(topic, getBrokerConfig().getBrokerName(), number);
    }
}
