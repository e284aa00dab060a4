//! The language of a client, as it declares it.

macro_rules! languages {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $name:literal,)*) => {
        /// The language of a client, as it declares it (Java: `LanguageCode`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Language {
            $($(#[$doc])* $variant,)*
        }

        impl Language {
            /// The name in a JSON header.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The number in a binary header.
            pub fn code(self) -> u8 {
                match self { $(Self::$variant => $code,)* }
            }

            /// The language of this name; one that is not known reads as `Other`.
            pub fn from_name(name: &str) -> Self {
                match name { $($name => Self::$variant,)* _ => Self::Other }
            }

            /// The language of this number; one that is not known reads as `Other`.
            pub fn from_code(code: u8) -> Self {
                match code { $($code => Self::$variant,)* _ => Self::Other }
            }
        }
    };
}

languages! {
    /// Java.
    Java = 0 "JAVA",
    /// C++.
    Cpp = 1 "CPP",
    /// .NET.
    Dotnet = 2 "DOTNET",
    /// Python.
    Python = 3 "PYTHON",
    /// Delphi.
    Delphi = 4 "DELPHI",
    /// Erlang.
    Erlang = 5 "ERLANG",
    /// Ruby.
    Ruby = 6 "RUBY",
    /// Any other, or one that is not known.
    Other = 7 "OTHER",
    /// HTTP.
    Http = 8 "HTTP",
    /// Go.
    Go = 9 "GO",
    /// PHP.
    Php = 10 "PHP",
    /// Open messaging.
    Oms = 11 "OMS",
    /// Rust.
    Rust = 12 "RUST",
    /// Node.js.
    NodeJs = 13 "NODE_JS",
}
