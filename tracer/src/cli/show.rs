//! How output is shown: format, color, width. Decides from the flags, the
//! environment and whether standard output is a terminal; the writers are told
//! the result ([`crate::output::Context`]).

use std::{
    env,
    io::{self, IsTerminal},
};

use clap::{Args, ValueEnum};

use crate::output::Format;

/// When to use color.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Flags of every command that shows something.
#[derive(Args, Clone, Debug, Default)]
pub struct Show {
    /// Text for people, or JSON for programs (an object per line, "v":1)
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Output"
    )]
    pub format: Format,
    /// Color in text: on a terminal, always, or never. NO_COLOR turns it off too
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Output"
    )]
    pub color: Color,
}

impl Show {
    /// Whether to use color on standard output.
    pub fn use_color(&self) -> bool {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        color(
            self.color,
            set("NO_COLOR"),
            io::stdout().is_terminal() && !dumb,
        )
    }

    /// Columns of the terminal; `None` where standard output is none.
    pub fn width(&self) -> Option<usize> {
        let terminal = io::stdout().is_terminal();
        terminal.then(|| terminal_size::terminal_size().map_or(80, |(width, _)| width.0.into()))
    }
}

fn color(asked: Color, no_color: bool, terminal: bool) -> bool {
    match asked {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal && !no_color,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn color_where_asked_or_seen() {
        assert!(color(Color::Always, true, false));
        assert!(!color(Color::Never, false, true));
        assert!(color(Color::Auto, false, true));
        assert!(!color(Color::Auto, true, true));
        assert!(!color(Color::Auto, false, false));
    }
}
