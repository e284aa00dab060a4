package interop;

import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.remoting.RPCHook;

/** Who this process is, to servers with access control: the system properties say so. */
final class Access {
    private Access() {
    }

    /** Signs requests; null where signatures are not asked for. */
    static RPCHook hook() {
        String accessKey = System.getProperty("interop.accessKey");
        if (accessKey == null) {
            return null;
        }
        return new AclClientRPCHook(new SessionCredentials(accessKey, System.getProperty("interop.secretKey")));
    }
}
