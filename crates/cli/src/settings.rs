//! Which values count: flags, contexts, environment and project file, one above the other.

mod config;
mod effective;
mod key;
mod project;
mod source;
mod store;
mod table;

pub(crate) use self::config::{Config, check_name};
pub(crate) use self::key::{KEYS, Key, Kind, group, key};
use self::project::Project;
use self::source::Layer;
pub(crate) use self::source::{Source, Values};
pub(crate) use self::store::{Store, replace};
use crate::args::{Flags, Global};
use crate::exit::Failure;

/// What the environment says, by the name of a variable.
pub(crate) type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Names the context, where `-c` does not.
const CONTEXT: &str = "POSTHASTE_CONTEXT";
/// Names the servers for RocketMQ's own tools.
const THEIRS: &str = "NAMESRV_ADDR";

/// The values of all places, the strongest place first.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) global: Global,
    layers: Vec<Layer>,
    /// Worth a word on stderr, that `-q` silences.
    pub(crate) notes: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// What is said of the name of no value.
pub(crate) fn unknown_key(name: &str) -> String {
    table::nearest(name, KEYS.iter().map(|key| key.name))
}

/// The process's environment.
pub(crate) fn environment(name: &str) -> Option<String> {
    // What is no text is not set to anything that a value can be; it is seen, and refused.
    let text = std::env::var_os(name)?.to_string_lossy().into_owned();
    Some(text).filter(|text| !text.is_empty())
}

impl Settings {
    /// For a command that goes to a cluster: from every place. `chosen` counts as named by `-c`.
    pub(crate) fn of_everything(flags: &Flags, chosen: Option<&str>) -> Result<Self, Failure> {
        let env: &Environment<'_> = &environment;
        if let (Some(_), Some(_)) = (chosen, &flags.context) {
            return Err(Failure::usage("the command names a context, and so does -c/--context")
                .help("Leave -c/--context out."));
        }
        let chosen = chosen.or(flags.context.as_deref());
        if flags.no_context {
            if let Some(name) = chosen {
                return Err(Failure::usage(format!("--no-context excludes context {name}"))
                    .help("Leave one of the two out."));
            }
            let layers = layers(flags, env, None, &Config::default(), None)?;
            return Self::new(flags, layers, None);
        }
        let config = Config::load(Config::place(env))?;
        let directory = std::env::current_dir().ok();
        let home = env("HOME").map(|home| std::fs::canonicalize(&home).unwrap_or(home.into()));
        let project = directory.map(|directory| Project::find(&directory, home.as_deref()));
        let project = project.transpose()?.flatten();
        let layers = layers(flags, env, chosen, &config, project)?;
        Self::new(flags, layers, config.warning())
    }

    /// For a command that goes to no cluster, or to a cluster of its own: from the flags, and how to
    /// speak from the environment.
    pub(crate) fn of_flags(flags: &Flags) -> Result<Self, Failure> {
        let mut layers = vec![given(flags)?];
        let mut from_environment = environment_layer(&environment)?;
        let stays = |name: &str| says_how_to_speak(name) || name == "secret_key";
        from_environment.values.retain(|name, _| stays(name));
        layers.push(from_environment);
        Self::new(flags, layers, None)
    }

    /// For a command about the contexts themselves, whose flags are values to keep: how to speak.
    pub(crate) fn to_speak(flags: &Flags) -> Result<Self, Failure> {
        let settings = Self::of_flags(&Flags::default())?;
        let mut layers = vec![given(flags)?];
        layers.extend(settings.layers);
        layers.iter_mut().for_each(|layer| layer.values.retain(|name, _| says_how_to_speak(name)));
        Self::new(flags, layers, None)
    }

    fn new(flags: &Flags, layers: Vec<Layer>, warning: Option<String>) -> Result<Self, Failure> {
        let global = effective::global(&layers, flags)?;
        let notes = passed_over(&layers);
        Ok(Self { global, layers, notes, warnings: warning.into_iter().collect() })
    }

    /// The context that is used, with the place that names it.
    pub(crate) fn context(&self) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.source.context().is_some())
    }

    /// Each value that counts, with the place that it comes from.
    pub(crate) fn values(&self) -> Vec<(&'static Key, &[String], &Source)> {
        let found = KEYS.iter().filter_map(|key| {
            let (name, values, source) = find(&self.layers, &group(key.name))?;
            (name == key.name).then_some((key, values, source))
        });
        found.collect()
    }

    /// Keys are used only with name servers from the same place, or when a flag gives them.
    pub(crate) fn check_credentials(&self) -> Result<(), Failure> {
        effective::check_credentials(&self.layers)
    }
}

/// The places that have values, the strongest first.
fn layers(
    flags: &Flags,
    env: &Environment<'_>,
    chosen: Option<&str>,
    config: &Config,
    project: Option<Project>,
) -> Result<Vec<Layer>, Failure> {
    let mut layers = vec![given(flags)?];
    let environments = environment_layer(env)?;
    let add_context = |layers: &mut Vec<Layer>, name: &str, source: Source| {
        let found = config.context(name).map_err(|failure| Failure {
            message: format!("{} ({source})", failure.message),
            ..failure
        })?;
        layers.push(Layer { source, values: found.clone() });
        Ok::<_, Failure>(())
    };
    // One context is used: a value that it lacks does not come from another one.
    let mut is_settled = false;
    if let Some(name) = chosen {
        add_context(&mut layers, name, Source::Named(name.to_owned()))?;
        is_settled = true;
    }
    layers.push(environments);
    if let Some(name) = env(CONTEXT).filter(|_| !is_settled && !flags.no_context) {
        add_context(&mut layers, &name, Source::OfEnvironment(name.clone()))?;
        is_settled = true;
    }
    if let Some(Project { path, context, values }) = project {
        let names_servers = values.contains_key("namesrv");
        layers.push(Layer { source: Source::Project(path.clone()), values });
        if let Some(name) = context.filter(|_| !is_settled) {
            add_context(&mut layers, &name, Source::OfProject(name.clone(), path))?;
            is_settled = true;
        }
        is_settled |= names_servers;
    }
    if let Some(name) = config.current.as_deref().filter(|_| !is_settled) {
        add_context(&mut layers, name, Source::Selected(name.to_owned()))?;
    }
    if let Some(list) = env(THEIRS) {
        let values = Values::from([("namesrv", vec![list])]);
        layers.push(Layer { source: Source::Theirs, values });
    }
    Ok(layers)
}

/// Whether a value is about what this program writes, and of no cluster.
fn says_how_to_speak(name: &str) -> bool {
    matches!(name, "output" | "color")
}

/// The values on the command line that a context can keep: how this command shall speak is not one.
pub(crate) fn to_keep(flags: &Flags) -> Result<Values, Failure> {
    let mut values = given(flags)?.values;
    values.retain(|name, _| !says_how_to_speak(name));
    Ok(values)
}

/// The values on the command line.
fn given(flags: &Flags) -> Result<Layer, Failure> {
    let layer = Layer { source: Source::Flags, values: flags.given().into_iter().collect() };
    check_alternatives(&layer)?;
    Ok(layer)
}

/// The values in variables of ours.
fn environment_layer(env: &Environment<'_>) -> Result<Layer, Failure> {
    let values = KEYS.iter().filter_map(|key| {
        let text = env(&key.variable()?)?;
        let texts = match key.kind {
            Kind::List => text.split(',').map(str::to_owned).collect(),
            _ => vec![text],
        };
        Some((key.name, texts))
    });
    let layer = Layer { source: Source::Environment, values: values.collect() };
    check_alternatives(&layer)?;
    Ok(layer)
}

fn check_alternatives(layer: &Layer) -> Result<(), Failure> {
    for name in layer.values.keys() {
        let mut others = group(name).into_iter().filter(|other| other != name);
        if let Some(other) = others.find(|other| layer.values.contains_key(other)) {
            let (one, other) = (layer.source.of(name), layer.source.of(other));
            return Err(Failure::usage(format!("{one} and {other} say the same thing"))
                .help("Leave one of the two out."));
        }
    }
    Ok(())
}

/// The first place that has one of these values.
fn find<'a>(
    layers: &'a [Layer],
    names: &[&'static str],
) -> Option<(&'static str, &'a [String], &'a Source)> {
    layers.iter().find_map(|layer| {
        let (name, values) =
            names.iter().find_map(|name| Some((*name, layer.values.get(name)?)))?;
        Some((name, values.as_slice(), &layer.source))
    })
}

/// What the environment says in vain, because a context was named on the command line.
fn passed_over(layers: &[Layer]) -> Vec<String> {
    let Some(named) = layers.iter().find(|layer| matches!(layer.source, Source::Named(_))) else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    let environments =
        |layer: &&Layer| matches!(layer.source, Source::Environment | Source::Theirs);
    for layer in layers.iter().filter(environments) {
        for (name, values) in &layer.values {
            let taken = find(layers, &group(name));
            let Some((other, theirs, source)) =
                taken.filter(|(_, _, source)| **source == named.source)
            else {
                continue;
            };
            if (other, theirs) != (*name, values.as_slice()) {
                notes.push(format!(
                    "{other} is taken from {source}, not from {}",
                    layer.source.of(name)
                ));
            }
        }
    }
    notes
}

#[cfg(test)]
mod tests;
