//! The smallest executable that can be handed to `hull_runtime::start`; the tests in `tests/root` use it.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() != Some(hull_runtime::helper::ARGUMENT) {
        eprintln!("usage: runtime_helper {}", hull_runtime::helper::ARGUMENT);
        return ExitCode::from(2);
    }
    hull_runtime::helper::main()
}
