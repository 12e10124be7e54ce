//! `## template: jinja`: user data with variables of the instance.
//!
//! | module | what |
//! |---|---|
//! | [`variables`] | the variables |
//! | [`methods`] | the methods of Python's texts that templates call |
//!
//! The engine is minijinja, set up to print as cloud-init's does: a missing variable becomes
//! `CI_MISSING_JINJA_VAR/<name>` with a warning, nothing is `None`, and a line end behind a block is left out. Steps and
//! output are bounded; files, macros and other templates are out of reach.

pub mod methods;
pub mod variables;

use crate::report::{Messages, Place, quote};
use minijinja::syntax::SyntaxConfig;
use minijinja::tests as jinja_tests;
use minijinja::{Environment, Error, ErrorKind, Value, filters, functions};
use std::io::{self, Write};
use variables::{Missing, Tree};

pub use variables::Facts;

/// What cloud-init prints for a variable that is not there.
const MISSING_PREFIX: &str = "CI_MISSING_JINJA_VAR/";
/// The header, which is not part of the template.
const HEADER: &str = "## template: jinja";
/// Steps of the engine: thousands of variables, or a loop over all of them.
const FUEL: u64 = 100_000;
/// Bytes of output.
const MAX_OUTPUT: usize = super::format::MAX_UNPACKED;

/// Renders a template with its header. The header's line stays as an empty one, so that lines below keep their number
/// as long as the template takes none away.
pub fn render(text: &str, facts: &Facts, messages: &mut Messages) -> Option<String> {
    let start = text.trim_start();
    let above = text[..text.len() - start.len()].matches('\n').count() + 1;
    let (header, body) = start.split_once('\n').unwrap_or((start, ""));
    if !header.get(..HEADER.len()).is_some_and(|header| header.eq_ignore_ascii_case(HEADER)) {
        messages.error(Place::default(), "", format!("not used: the first line of a template must be {HEADER}"));
        return None;
    }
    let mut output = Bounded(Vec::new());
    let missing = Missing::default();
    let result = environment(&missing).and_then(|environment| {
        let template = environment.template_from_str(body)?;
        template.render_captured_to(Value::from_object(Tree::new(facts, &missing)), &mut output).map(drop)
    });
    if let Err(error) = result {
        let line = error.line().map_or(0, |line| u32::try_from(line + above).unwrap_or(0));
        messages.error(Place::new(line, 0), "", format!("the template is not used: {}", describe(&error)));
        return None;
    }
    let rendered = String::from_utf8_lossy(&output.0);
    warn_of_missing(&rendered, messages);
    Some("\n".repeat(above) + &rendered)
}

fn environment<'s>(missing: &Missing) -> Result<Environment<'s>, Error> {
    let mut environment = Environment::empty();
    add_words(&mut environment);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).keep_trailing_newline(true).build()?);
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(|_, value, method, arguments| methods::call(value, method, arguments));
    let missing = missing.clone();
    environment.set_formatter(move |out, _, value| {
        if value.is_undefined() {
            return Ok(write!(out, "{MISSING_PREFIX}{}", missing.last())?);
        }
        if value.is_none() {
            return Ok(out.write_str("None")?);
        }
        match bool::try_from(value.clone()) {
            Ok(truth) => Ok(out.write_str(if truth { "True" } else { "False" })?),
            Err(_) => Ok(write!(out, "{value}")?),
        }
    });
    Ok(environment)
}

/// The filters, tests and functions of jinja that user data has use for; with all there are the program
/// would be 220 KB larger.
fn add_words(environment: &mut Environment<'_>) {
    environment.add_filter("default", filters::default);
    environment.add_filter("d", filters::default);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("upper", filters::upper);
    environment.add_filter("capitalize", filters::capitalize);
    environment.add_filter("trim", filters::trim);
    environment.add_filter("replace", filters::replace);
    environment.add_filter("indent", filters::indent);
    environment.add_filter("join", filters::join);
    environment.add_filter("first", filters::first);
    environment.add_filter("last", filters::last);
    environment.add_filter("length", filters::length);
    environment.add_filter("count", filters::length);
    environment.add_filter("int", filters::int);
    environment.add_filter("list", filters::list);
    environment.add_test("defined", jinja_tests::is_defined);
    environment.add_test("undefined", jinja_tests::is_undefined);
    environment.add_test("none", jinja_tests::is_none);
    environment.add_test("string", jinja_tests::is_string);
    environment.add_test("number", jinja_tests::is_number);
    environment.add_test("mapping", jinja_tests::is_mapping);
    environment.add_test("sequence", jinja_tests::is_sequence);
    environment.add_function("range", functions::range);
}

/// The kind of the error alone: its details may repeat values.
fn describe(error: &Error) -> String {
    match error.kind() {
        ErrorKind::OutOfFuel => format!("it takes more than {FUEL} steps"),
        ErrorKind::WriteFailure => format!("it gives more than {MAX_OUTPUT} bytes"),
        ErrorKind::UndefinedError => "a part of a variable that is not there is asked for".into(),
        kind => kind.to_string(),
    }
}

fn warn_of_missing(rendered: &str, messages: &mut Messages) {
    let mut names: Vec<&str> =
        rendered.split(MISSING_PREFIX).skip(1).map(|rest| rest.split(is_no_name).next().unwrap_or("")).collect();
    names.dedup();
    for name in names {
        let text =
            format!("the template's variable '{}' has no value here; {MISSING_PREFIX} stands for it", quote(name));
        messages.warning(Place::default(), "", text);
    }
}

/// Ends the name of a variable: names are words, one below the other with dots.
fn is_no_name(character: char) -> bool {
    !character.is_alphanumeric() && !matches!(character, '_' | '.' | '-')
}

/// Output up to the bound.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;
    use proptest::prelude::*;

    fn facts() -> Facts {
        let meta =
            "instance-id: i-1\nlocal-hostname: web.example\nuser.tags: [a, b]\nn: 007\nnested: {some-key: {x: 1.5}}\n";
        Facts {
            form: Default::default(),
            origin: None,
            instance_id: "i-1".into(),
            hostname: Some("web.example".into()),
            device: "/dev/vdb".into(),
            public_keys: vec!["ssh-ed25519 AAAA".into()],
            meta_data: yaml::parse(meta, &mut Messages::new("meta-data")).ok(),
        }
    }

    fn run(body: &str) -> (Option<String>, String) {
        let mut messages = Messages::new("t");
        let result = render(&format!("## template: jinja\n{body}"), &facts(), &mut messages);
        (result, messages.list().iter().map(|message| format!("{message}\n")).collect())
    }

    #[test]
    fn variables_and_expressions() {
        for (body, expected) in [
            ("{{ v1.instance_id }} {{ instance_id }} {{ v1['instance-id'] }}", "i-1 i-1 i-1"),
            (
                "{{ ds.meta_data.local_hostname }}|{{ ds.meta_data['local-hostname'] }}|{{ local_hostname }}",
                "web.example|web.example|web",
            ),
            ("{{ v1.cloud_name }} {{ platform }} {{ subplatform }}", "nocloud nocloud config-disk (/dev/vdb)"),
            ("{{ region }} {{ v1.region is none }} {{ not region }}", "None True True"),
            (
                "{{ ds.meta_data.user_tags[1] }} {{ ds.meta_data.n + 1 }} {{ ds.meta_data.nested.some_key.x }}",
                "b 8 1.5",
            ),
            ("{% for key in public_ssh_keys %}\n- {{ key }}\n{% endfor %}\nend\n", "- ssh-ed25519 AAAA\nend\n"),
            ("{% if v1.platform == 'nocloud' %}\nyes\n{% else %}\nno\n{% endif %}\n", "yes\n"),
            ("{{ nope is defined }} {{ nope | default('x') }} {{ ds.nope | default('y') }}", "False x y"),
            (
                "{{ ds.meta_data.local_hostname.split('.')[0].upper() }} {{ ' a b '.strip().replace('a', 'c').split() | length }}",
                "WEB 2",
            ),
            ("{{ ds.meta_data.get('nope', 3) }} {{ instance_id.startswith('i-') }}", "3 True"),
            ("{% set a = instance_id %}\n{{ a ~ '!' }}{# no #}{% raw %}{{ a }}{% endraw %}", "i-1!{{ a }}"),
            ("#cloud-config\nhostname: a\n", "#cloud-config\nhostname: a\n"),
            ("<&'\">", "<&'\">"),
        ] {
            assert_eq!(run(body), (Some(format!("\n{expected}")), String::new()), "{body}");
        }
    }

    #[test]
    fn missing_variables_are_named() {
        let (text, messages) = run("a: {{ nope }}\nb: {{ ds.meta_data.gone }}\nc: {{ x or nope }}\n");
        assert_eq!(
            text.unwrap(),
            "\na: CI_MISSING_JINJA_VAR/nope\nb: CI_MISSING_JINJA_VAR/gone\nc: CI_MISSING_JINJA_VAR/nope\n"
        );
        assert_eq!(messages.lines().count(), 3);
        assert!(messages.contains("t: the template's variable 'gone' has no value here"), "{messages}");
    }

    #[test]
    fn faults_name_the_line_and_no_value() {
        for (body, expected) in [
            ("a\n{{ secret", "t line 3: the template is not used: syntax error"),
            ("{{ a.b.secret }}", "t line 2: the template is not used: a part of a variable"),
            ("\n{{ 'secret' | nope }}", "t line 3: the template is not used: unknown filter"),
            ("{{ 'secret'.nope() }}", "unknown method"),
            ("{{ 'secret'.split('') }}", "invalid operation"),
            ("{{ 'secret' + 1 }}", "invalid operation"),
            ("{% include 'secret' %}", "syntax error"),
            ("{% for i in range(100000) %}x{% endfor %}", "it takes more than 100000 steps"),
            (
                "{% set a = 'x' * 100000 %}{% for i in range(100) %}{{ a }}{% endfor %}",
                "it gives more than 4194304 bytes",
            ),
        ] {
            let (text, messages) = run(body);
            assert_eq!(text, None, "{body}");
            assert!(messages.contains(expected) && !messages.contains("secret"), "{body}: {messages}");
        }
        let mut messages = Messages::new("t");
        assert_eq!(render("#cloud-config\n", &facts(), &mut messages), None);
        assert!(messages.list()[0].text.contains("## template: jinja"));
    }

    #[test]
    fn lines_keep_their_number() {
        let rendered = render("\r\n\n## Template: Jinja \r\na\r\n", &facts(), &mut Messages::new("t"));
        assert_eq!(rendered.as_deref(), Some("\n\n\na\r\n"));
    }

    proptest! {
        #[test]
        fn any_template_ends(pieces in proptest::collection::vec(prop::sample::select(vec![
            "{{", "}}", "{%", "%}", "{#", "#}", " if ", " for ", " in ", "x", "v1", ".", "[0]", "|", "default", "(", ")",
            "'", "endif", "endfor", "else", "set ", "=", "-", "~", "1", "\n", "ds.meta_data", "é"]), 0..30)) {
            run(&pieces.concat());
        }
    }
}
