use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

// Servers before 5.0 read their logging configuration from files and refuse to start without.
const LOGGING_FILES: [&str; 3] = ["logback_namesrv.xml", "logback_broker.xml", "logback_tools.xml"];

const LOGGING: &str = r#"<configuration>
  <appender name="console" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="console"/></root>
</configuration>
"#;

/// Creates a server's home folder with what the server insists on finding there.
pub(crate) fn furnish(home: &Path) -> Result<()> {
    let settings = home.join("conf");
    fs::create_dir_all(&settings).with_context(|| format!("creating {}", settings.display()))?;
    for name in LOGGING_FILES {
        fs::write(settings.join(name), LOGGING).with_context(|| format!("writing {name}"))?;
    }
    Ok(())
}
