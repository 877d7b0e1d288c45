//! Who may read secrets, and who may connect as whom.

use crate::auth::Keyring;
use crate::config::{Check, Config, Origins, Secret};

pub(super) fn report(config: &Config) -> Vec<Check> {
    [file(config), keys(config), Some(clients(config)), origins(config)].into_iter().flatten().collect()
}

fn file(config: &Config) -> Option<Check> {
    let file = config.file.as_ref()?;
    let (what, path) = ("configuration", file.path.display());
    Some(if file.exposes.is_empty() {
        Check::fine(what, path.to_string())
    } else {
        let detail = format!("everybody on this machine may read the secrets in {path} ({})", file.exposes.join(", "));
        Check::warning(what, detail, format!("chmod o-r {path}"))
    })
}

fn keys(config: &Config) -> Option<Check> {
    let (what, path) = ("keys", config.auth.keys.as_deref().filter(|_| config.auth.is_required)?);
    let opened = Keyring::open(config.auth.secret.as_ref().map(Secret::expose), Some(path));
    Some(match opened {
        Ok(_) => Check::fine(what, path.display().to_string()),
        Err(bad) => {
            let detail = format!("cannot use the keys in {}: {bad}", path.display());
            Check::failure(what, detail, "point --jwt-keys at a JWKS with a key for HS256, RS256 or ES256")
        }
    })
}

fn clients(config: &Config) -> Check {
    let (what, address) = ("clients", config.listen);
    if config.auth.is_required {
        Check::fine(what, format!("whoever has a token may connect to {address}"))
    } else if config.auth.leaves_open(address) {
        Check::warning(
            what,
            format!("whoever reaches {address} may listen as anybody"),
            "ask for tokens with `--auth token` and JWT_HS256_SECRET, or keep strangers out with `--listen 127.0.0.1:8084`",
        )
    } else {
        Check::fine(what, format!("only from this machine ({address}), as anybody"))
    }
}

/// What a page of another site may do in a visitor's browser, which may reach what that site's server does not.
fn origins(config: &Config) -> Option<Check> {
    let what = "origins";
    match &config.allowed_origins {
        Origins::Listed(listed) => Some(Check::fine(what, listed.join(", "))),
        Origins::Any if config.listen.ip().to_canonical().is_loopback() => None,
        Origins::Any => Some(Check::warning(
            what,
            "pages of any site may connect from a visitor's browser",
            "name yours, as in `--allowed-origins https://app.example`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FileSource, Verdict, host::Host};
    use crate::doctor::tests::config;

    fn verdicts(words: &str) -> Vec<(&'static str, Verdict)> {
        report(&config(&Host::pretend(2), words)).iter().map(|check| (check.what, check.verdict)).collect()
    }

    #[test]
    fn an_address_that_strangers_reach_wants_tokens_and_origins() {
        use Verdict::{Fine, Warning};
        let secret = "--auth token --jwt-keys /nowhere";
        let table: [(&str, &[(&str, Verdict)]); 6] = [
            ("", &[("clients", Fine)]),
            ("--listen 0.0.0.0:1", &[("clients", Warning), ("origins", Warning)]),
            ("--listen [::]:1 --allowed-origins https://a.example", &[("clients", Warning), ("origins", Fine)]),
            ("--allowed-origins https://a.example", &[("clients", Fine), ("origins", Fine)]),
            ("--jwt-keys /nowhere", &[("clients", Fine)]),
            (secret, &[("keys", Verdict::Failure), ("clients", Fine)]),
        ];
        for (words, expected) in table {
            assert_eq!(verdicts(words), expected, "{words}");
        }
    }

    #[test]
    fn secrets_that_everybody_may_read_are_a_warning_with_a_command() {
        let mut config = config(&Host::pretend(2), "");
        let source = |exposes: &[&str]| FileSource {
            path: "/etc/fanout.toml".into(),
            exposes: exposes.iter().map(ToString::to_string).collect(),
        };
        config.file = Some(source(&[]));
        assert_eq!(file(&config).map(|check| check.verdict), Some(Verdict::Fine));
        config.file = Some(source(&["admin-token"]));
        let check = file(&config).expect("there is a file");
        assert_eq!((check.verdict, check.cure.as_str()), (Verdict::Warning, "chmod o-r /etc/fanout.toml"));
        assert!(check.detail.contains("admin-token"), "{check}");
    }
}
