//! A producer of `rocketmq-client-rust`, set up as its examples do.

use anyhow::{Result, anyhow};
use bench_session::Arguments;
use bytes::Bytes;
use rocketmq_client_rust::{ClientRuntime, ClientRuntimeConfig, DefaultMQProducer};
use rocketmq_model::common::message::message_single::Message;
use rocketmq_observability::TelemetryHandle;
use rocketmq_runtime::{RuntimeConfig, RuntimeOwner};

/// The producer, and what keeps it alive.
pub(crate) struct Rival {
    producer: DefaultMQProducer,
    topic: &'static str,
    body: Bytes,
    _owner: RuntimeOwner,
}

impl Rival {
    pub(crate) async fn start(arguments: &Arguments) -> Result<Self> {
        let owner = RuntimeOwner::plan(RuntimeConfig::default())
            .map_err(|error| anyhow!("{error:?}"))?
            .build()
            .map_err(|error| anyhow!("{error:?}"))?;
        let context = owner.root_context().component("client");
        let telemetry = TelemetryHandle::noop();
        let runtime = ClientRuntime::try_new(context, ClientRuntimeConfig::default(), telemetry)
            .map_err(|error| anyhow!("{error:?}"))?;
        let mut producer = DefaultMQProducer::builder(runtime)
            .producer_group("bench".to_owned())
            .name_server_addr(arguments.name_server.clone())
            // All clients send the same bytes.
            .compress_msg_body_over_howmuch(u32::MAX)
            .auto_batch(arguments.has("autobatch"))
            .build();
        producer.start().await.map_err(|error| anyhow!("{error:?}"))?;
        Ok(Self {
            producer,
            topic: arguments.topic.clone().leak(),
            body: Bytes::from_static(vec![b'x'; arguments.body].leak()),
            _owner: owner,
        })
    }

    pub(crate) async fn send(&self) -> bool {
        matches!(self.producer.send(self.message()).await, Ok(Some(_)))
    }

    pub(crate) async fn send_oneway(&self) -> bool {
        self.producer.send_oneway(self.message()).await.is_ok()
    }

    pub(crate) async fn send_batch(&self, messages: usize) -> bool {
        let messages = (0..messages).map(|_| self.message()).collect();
        self.producer.send_batch(messages).await.is_ok()
    }

    fn message(&self) -> Message {
        Message::builder().topic(self.topic).body(self.body.clone()).build_unchecked()
    }
}
