//! Every way to log in, against a server of our own, which can lie, and against a real Dovecot.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::dovecot::{Dovecot, PASSWORD, write_private};
use common::served::Served;
use common::served::mailserver::{Config, Faults, LoginFault, Mailbox};
use common::tools::{Ran, run};
use std::path::{Path, PathBuf};

const TOKEN: &str = "ya29.A0-the_token";
const ALL: [&str; 6] = ["PLAIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER", "APOP"];

/// A server with one message that offers these mechanisms.
fn offering(mechanisms: &[&str], change: impl FnOnce(&mut Config)) -> Served {
    let served = Served::with(["Subject: x\r\n\r\n"], |config| {
        config.password = PASSWORD.into();
        config.token = Some(TOKEN.into());
        config.mechanisms = mechanisms.iter().map(|name| (*name).to_owned()).collect();
        change(config);
    });
    write_private(&served.folder.path().join("pw"), PASSWORD);
    served
}

/// A profile for it; `secret` and `more` are TOML.
fn profile(served: &Served, protocol: &str, host: &str, secret: &str, more: &str) -> PathBuf {
    let address = if protocol == "imap" { served.server.imap_addr } else { served.server.pop3_addr };
    let port = address.unwrap().port();
    let path = served.folder.path().join("box.toml");
    let text =
        format!("protocol = \"{protocol}\"\nhost = \"{host}\"\nport = {port}\ntls = \"none\"\nusername = \"box\"\ntimeout = \"5s\"\n");
    write_private(&path, &format!("[account]\n{text}{secret}\n{more}\n"));
    path
}

const BY_PASSWORD: &str = "password-file = \"pw\"";

fn by_token(token: &str) -> String {
    format!("token-command = \"echo {token}\"\ncleartext-login = true")
}

fn fetch(profile: &Path, arguments: &[&str]) -> Ran {
    run("mdrop-fetch", &[&["-p", profile.to_str().unwrap()], arguments].concat(), b"")
}

/// What the login came to: the status, and all that was said.
fn test(profile: &Path) -> (i32, String) {
    let ran = fetch(profile, &["--test"]);
    let all = ran.text() + &ran.stderr;
    assert!(!all.contains(PASSWORD) && !all.contains(TOKEN), "{all}");
    (ran.code, all)
}

/// How often a login was tried.
fn tries(served: &Served) -> usize {
    let begins = ["IMAP LOGIN", "IMAP AUTHENTICATE", "POP3 PASS", "POP3 AUTH", "POP3 APOP"];
    served.server.commands().iter().filter(|command| begins.iter().any(|begin| command.starts_with(begin))).count()
}

/// Each way with its protocols, the name it has in the profile, and whether it takes a token.
fn ways() -> Vec<(&'static str, &'static str, &'static str, bool)> {
    let mut all = vec![("imap", "login", "LOGIN", false), ("pop3", "user", "USER", false), ("pop3", "apop", "APOP", false)];
    for protocol in ["imap", "pop3"] {
        all.extend([
            (protocol, "plain", "PLAIN", false),
            (protocol, "cram-md5", "CRAM-MD5", false),
            (protocol, "scram-sha-256", "SCRAM-SHA-256", false),
            (protocol, "xoauth2", "XOAUTH2", true),
            (protocol, "oauthbearer", "OAUTHBEARER", true),
        ]);
    }
    all
}

#[test]
fn every_way_to_log_in_works_with_and_without_a_first_answer() {
    for without in ["", "SASL-IR"] {
        let served = offering(&ALL, |config| config.without = [without.into()].into());
        for (protocol, auth, name, token) in ways() {
            let secret = if token { by_token(TOKEN) } else { BY_PASSWORD.into() };
            let profile = profile(&served, protocol, "localhost", &secret, &format!("auth = \"{auth}\""));
            let (code, said) = test(&profile);
            assert!(code == 0 && said.contains(&format!("ok     login: box by {name}\n")), "{protocol} {auth}: {said}");
            let ran = fetch(&profile, &[]);
            assert_eq!((ran.code, ran.messages().len()), (0, 1), "{protocol} {auth}: {}", ran.stderr);
        }
    }
}

#[test]
fn what_is_said_first_goes_with_the_command_where_the_server_takes_that() {
    for (without, protocol, token, together) in [
        ("", "imap", TOKEN.to_owned(), true),
        ("SASL-IR", "imap", TOKEN.to_owned(), false),
        ("", "pop3", TOKEN.to_owned(), true),
        // RFC 5034 section 4 has a command of at most 255 octets.
        ("", "pop3", "t".repeat(2000), false),
        ("", "imap", "t".repeat(2000), true),
    ] {
        let served = offering(&["XOAUTH2"], |config| {
            config.without.insert(without.into());
            config.token = Some(token.clone());
        });
        assert_eq!(fetch(&profile(&served, protocol, "localhost", &by_token(&token), ""), &["--test"]).code, 0);
        assert_eq!(served.server.received_in_clear().contains(" XOAUTH2 dXNlcj1ib3g"), together, "{protocol} without {without}");
    }
}

#[test]
fn without_auth_the_best_way_is_taken() {
    let table: &[(&str, &[&str], &str)] = &[
        ("imap", &["PLAIN", "CRAM-MD5", "SCRAM-SHA-256"], "SCRAM-SHA-256"),
        ("imap", &["PLAIN", "CRAM-MD5"], "CRAM-MD5"),
        ("imap", &["PLAIN"], "LOGIN"),
        ("pop3", &["PLAIN", "CRAM-MD5", "SCRAM-SHA-256", "APOP"], "SCRAM-SHA-256"),
        ("pop3", &["PLAIN", "APOP"], "APOP"),
        ("pop3", &["PLAIN"], "USER"),
    ];
    for (protocol, mechanisms, name) in table {
        let served = offering(mechanisms, |_| {});
        let (code, said) = test(&profile(&served, protocol, "localhost", BY_PASSWORD, ""));
        assert!(code == 0 && said.contains(&format!("box by {name}\n")), "{protocol} {mechanisms:?}: {said}");
    }
}

#[test]
fn a_refused_login_is_tried_once_and_its_secret_is_told_nowhere() {
    let served = offering(&ALL, |_| {});
    write_private(&served.folder.path().join("pw"), "another password");
    for (protocol, auth, name, token) in ways() {
        served.server.clear_commands();
        let secret = if token { by_token("another-token") } else { BY_PASSWORD.into() };
        for more in [format!("auth = \"{auth}\""), String::new()] {
            served.server.clear_commands();
            let (code, said) = test(&profile(&served, protocol, "localhost", &secret, &more));
            assert!(code == 77 && said.contains("login: the server says: [AUTH"), "{protocol} {auth}: {said}");
            assert_eq!(tries(&served), 1, "{protocol} {auth}: {:?}", served.server.commands());
            let hinted = said.contains("keeps passwords hashed");
            assert!(more.is_empty() || hinted == ["APOP", "CRAM-MD5", "SCRAM-SHA-256"].contains(&name), "{said}");
            assert_eq!(said.contains("its reason: status invalid_token"), token, "{said}");
            assert!(said.contains(if token { "has not expired" } else { "Microsoft 365" }), "{said}");
        }
    }
}

#[test]
fn a_server_that_lies_at_login_is_refused() {
    let table: &[(&str, LoginFault, i32, &str)] = &[
        ("scram-sha-256", LoginFault::WrongSignature, 77, "the server's signature is wrong"),
        ("scram-sha-256", LoginFault::NoSignature, 77, "has not proved that it knows the password"),
        ("scram-sha-256", LoginFault::WrongNonce, 77, "does not answer with our nonce"),
        ("scram-sha-256", LoginFault::Iterations(1), 76, "asks for 1 iterations, where 4096 to 5000000"),
        ("scram-sha-256", LoginFault::Iterations(u32::MAX), 76, "asks for 4294967295 iterations"),
        ("cram-md5", LoginFault::NotBase64, 76, "the challenge is not base64"),
        ("cram-md5", LoginFault::Huge, 76, "a line of more than 65536 octets"),
        ("scram-sha-256", LoginFault::Huge, 76, "a line of more than 65536 octets"),
        ("plain", LoginFault::Huge, 76, "a line of more than 65536 octets"),
    ];
    for protocol in ["imap", "pop3"] {
        for (auth, fault, status, words) in table {
            // Where the first answer goes with the command there is no prompt to be wrong.
            let served = offering(&ALL, |config| config.faults = Faults { login: Some(*fault), ..Faults::default() });
            let (code, said) = test(&profile(&served, protocol, "localhost", BY_PASSWORD, &format!("auth = \"{auth}\"")));
            assert!(code == *status && said.contains("FAILED login") && said.contains(words), "{protocol} {auth} {fault:?}: {code} {said}");
        }
    }
}

#[test]
fn a_secret_that_the_server_repeats_is_told_nowhere() {
    let served = offering(&ALL, |config| config.faults = Faults { login: Some(LoginFault::Echo), ..Faults::default() });
    for (protocol, auth, name, token) in ways().into_iter().filter(|way| way.1 != "apop") {
        let secret = if token { by_token(TOKEN) } else { BY_PASSWORD.into() };
        let (code, said) = test(&profile(&served, protocol, "localhost", &secret, &format!("auth = \"{auth}\"")));
        assert!(code == 77 && said.contains("***"), "{protocol} {name}: {said}");
        assert!(!said.contains("AGJveA") && !said.contains("dXNlcj1ib3g") && !said.contains("cHcgI") && !said.contains("pw \\"), "{said}");
    }
}

#[test]
fn a_mechanism_that_is_offered_and_unknown_after_all_is_left_for_the_next_unless_auth_wants_it() {
    for (protocol, next) in [("imap", "LOGIN"), ("pop3", "USER")] {
        let served = offering(&["CRAM-MD5"], |config| config.faults = Faults { login: Some(LoginFault::Unknown), ..Faults::default() });
        let (code, said) = test(&profile(&served, protocol, "localhost", BY_PASSWORD, ""));
        assert!(code == 0 && said.contains(&format!("box by {next}\n")), "{protocol}: {said}");
        let (code, said) = test(&profile(&served, protocol, "localhost", BY_PASSWORD, "auth = \"cram-md5\""));
        assert!(code == 77 && said.contains("unsupported mechanism"), "{protocol}: {said}");
    }
}

#[test]
fn nothing_that_the_profile_and_the_server_share_is_told_with_what_the_server_offers() {
    for protocol in ["imap", "pop3"] {
        let only = |mechanisms: &[&str]| offering(mechanisms, |config| config.without.extend(["LOGIN", "USER"].map(str::to_owned)));
        let (code, said) = test(&profile(&only(&["XOAUTH2"]), protocol, "localhost", BY_PASSWORD, ""));
        assert!(code == 76 && said.contains("no way to log in with a password that mdrop knows; it offers XOAUTH2"), "{said}");
        let (code, said) = test(&profile(&only(&["PLAIN"]), protocol, "localhost", &by_token(TOKEN), ""));
        assert!(code == 76 && said.contains("no way to log in with a token; it offers PLAIN"), "{said}");
        let (code, said) = test(&profile(&only(&["PLAIN"]), protocol, "localhost", BY_PASSWORD, "auth = \"cram-md5\""));
        assert!(code == 76 && said.contains("does not offer CRAM-MD5, which auth asks for; it offers PLAIN"), "{said}");
    }
}

/// 0.0.0.0 leads to this machine, too, but is none of its names.
#[test]
fn to_another_machine_nothing_goes_in_clear_unless_the_profile_says_so() {
    for (protocol, proofs) in [("imap", &["SCRAM-SHA-256", "CRAM-MD5"][..]), ("pop3", &["SCRAM-SHA-256", "CRAM-MD5", "APOP"][..])] {
        for proof in proofs {
            let served = offering(&["PLAIN", proof], |_| {});
            let (code, said) = test(&profile(&served, protocol, "0.0.0.0", BY_PASSWORD, ""));
            assert!(code == 0 && said.contains(&format!("by {proof}\n")), "{said}");
            assert!(!served.server.received_in_clear().contains("pw "), "{protocol} {proof}");
        }
        let served = offering(&["PLAIN", "XOAUTH2"], |_| {});
        let refused = [
            ("0.0.0.0", BY_PASSWORD.to_owned(), "", "password in clear"),
            ("0.0.0.0", BY_PASSWORD.to_owned(), "auth = \"plain\"", "password in clear"),
            ("0.0.0.0", format!("token-command = \"echo {TOKEN}\""), "", "token in clear"),
            ("localhost", format!("token-command = \"echo {TOKEN}\""), "", "token in clear"),
        ];
        for (host, secret, more, words) in refused {
            let (code, said) = test(&profile(&served, protocol, host, &secret, more));
            assert!(code == 78 && said.contains(words) && said.contains("cleartext-login"), "{protocol} {host} {more}: {said}");
        }
        assert_eq!(tries(&served), 0);
        assert_eq!(test(&profile(&served, protocol, "0.0.0.0", BY_PASSWORD, "cleartext-login = true")).0, 0);
        assert_eq!(test(&profile(&served, protocol, "0.0.0.0", &by_token(TOKEN), "")).0, 0);
    }
}

#[test]
fn a_server_that_leaves_at_login_is_unavailable_and_the_password_is_not_blamed() {
    let told = |protocol: &str, faults: Faults| {
        let served = offering(&["PLAIN"], |config| config.faults = faults);
        test(&profile(&served, protocol, "localhost", BY_PASSWORD, ""))
    };
    let (code, said) = told("imap", Faults { login: Some(LoginFault::Bye), ..Faults::default() });
    assert!(code == 69 && said.contains("going down"), "{code} {said}");
    for command in ["LOGIN", "PASS"] {
        let protocol = if command == "LOGIN" { "imap" } else { "pop3" };
        let (code, said) = told(protocol, Faults { cut_before_answer: Some(command.into()), ..Faults::default() });
        assert!(code == 69 && said.contains("closed by server"), "{code} {said}");
    }
    for (protocol, greeting, status) in [
        ("imap", "* BYE [AUTHENTICATIONFAILED] your address is blocked\r\n", 69),
        ("imap", "* BYE too many connections\r\n", 69),
        ("imap", "* BYE [UNAVAILABLE] later\r\n", 75),
        ("pop3", "-ERR [AUTH] your address is blocked\r\n", 69),
        ("pop3", "-ERR too many connections\r\n", 69),
        ("pop3", "-ERR [SYS/TEMP] later\r\n", 75),
    ] {
        let (code, said) = told(protocol, Faults { greeting: Some(greeting.into()), ..Faults::default() });
        assert_eq!(code, status, "{greeting}: {said}");
    }
}

#[test]
fn another_connection_has_a_new_token_and_the_same_password() {
    for protocol in ["imap", "pop3"] {
        for (key, times) in [("token-command", 2), ("password-command", 1)] {
            let served = offering(&["XOAUTH2", "PLAIN"], |config| {
                config.password = TOKEN.into();
                config.faults = Faults { cut_at_message: Some(2), ..Faults::default() };
                config.mailboxes[0] = Mailbox::with_messages("INBOX", 9, ["Subject: 1\r\n\r\n", "Subject: 2\r\n\r\n"]);
            });
            let asked = served.folder.path().join("asked");
            let command = format!("{key} = \"echo >> {}; echo {TOKEN}\"\ncleartext-login = true\nretry-pause = \"1s\"", asked.display());
            let ran = fetch(&profile(&served, protocol, "localhost", &command, ""), &[]);
            assert_eq!((ran.code, ran.messages().len()), (0, 2), "{protocol} {key}: {}", ran.stderr);
            assert_eq!(std::fs::read(&asked).unwrap().len(), times, "{protocol} {key}");
        }
    }
}

#[test]
fn a_timestamp_of_another_form_makes_no_apop() {
    let greeting = "+OK ready <1896.697\u{1}@evil>\r\n".to_owned();
    let served = offering(&["APOP"], |config| config.faults = Faults { greeting: Some(greeting), ..Faults::default() });
    let (code, said) = test(&profile(&served, "pop3", "0.0.0.0", BY_PASSWORD, ""));
    assert!(code == 78 && said.contains("password in clear"), "{said}");
    let (code, said) = test(&profile(&served, "pop3", "localhost", BY_PASSWORD, "auth = \"apop\""));
    assert!(code == 76 && said.contains("does not offer APOP"), "{said}");
}

#[test]
fn a_server_that_lists_nothing_is_asked_with_user_and_pass() {
    let served = offering(&[], |config| config.without = ["CAPA".into()].into());
    let (code, said) = test(&profile(&served, "pop3", "localhost", BY_PASSWORD, ""));
    assert!(code == 0 && said.contains("by USER\n"), "{said}");
}

/// A JSON Web Token for alice, signed with the key `secret`, which Dovecot checks by itself.
fn web_token(folder: &Path) -> String {
    let script = "b64() { openssl base64 -A | tr '+/' '-_' | tr -d =; }\n\
                  now=$(date +%s)\n\
                  head=$(printf '{\"alg\":\"HS256\",\"typ\":\"JWT\"}' | b64)\n\
                  body=$(printf '{\"sub\":\"alice\",\"iat\":%d,\"nbf\":%d,\"exp\":%d}' $now $now $((now + 600)) | b64)\n\
                  printf '%s.%s.%s' $head $body $(printf '%s.%s' $head $body | openssl dgst -sha256 -hmac secret -binary | b64)";
    common::tools::shell(folder, script)
}

const OAUTH: &str = "passdb {\ndriver = oauth2\nmechanisms = xoauth2 oauthbearer\nargs = ROOT/home/oauth2.conf\n}\n";

#[test]
fn a_real_dovecot_lets_every_mechanism_in() {
    let mechanisms = "plain login cram-md5 scram-sha-256 apop xoauth2 oauthbearer";
    let dovecot = Dovecot::start_with(&["alice"], mechanisms, OAUTH);
    dovecot.deliver("alice", b"Subject: x\n\n");
    let root = dovecot.folder();
    let keys = root.join("home/keys/default/HS256");
    std::fs::create_dir_all(&keys).unwrap();
    std::fs::write(keys.join("default"), "c2VjcmV0").unwrap();
    let settings = format!(
        "introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix={}/home/keys/\nusername_attribute = sub\n",
        root.display()
    );
    std::fs::write(root.join("home/oauth2.conf"), settings).unwrap();
    let token = web_token(root);
    for tls in ["none", "starttls", "implicit"] {
        for (protocol, auth, name, takes_token) in ways() {
            if auth == "apop" && tls == "starttls" {
                continue;
            }
            let trust =
                if tls == "none" { "cleartext-login = true\n".into() } else { format!("ca-file = \"{}\"\n", dovecot.cert.display()) };
            let path = dovecot.profile("acme", protocol, tls, "alice", &format!("{trust}auth = \"{auth}\"\n"));
            if takes_token {
                let text = std::fs::read_to_string(&path).unwrap();
                let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("password-file")).collect();
                write_private(&path, &format!("{}\ntoken-command = \"echo {token}\"\n", kept.join("\n")));
            }
            let ran = fetch(&path, &["--test"]);
            let log = std::fs::read_to_string(root.join("dovecot.log")).unwrap_or_default();
            assert!(ran.code == 0 && ran.text().contains(&format!("alice by {name}\n")), "{protocol} {tls} {auth}: {}\n{log}", ran.text());
            assert_eq!(fetch(&path, &[]).messages().len(), 1, "{protocol} {tls} {auth}");
        }
    }
}

#[test]
fn a_real_dovecot_refuses_a_wrong_password_and_a_wrong_token() {
    let mechanisms = "plain login cram-md5 scram-sha-256 apop xoauth2 oauthbearer";
    // Dovecot lets whoever fails wait, longer each time.
    let at_once = "auth_failure_delay = 0\nservice anvil {\nunix_listener anvil-auth-penalty {\nmode = 0\n}\n}\n";
    let settings = OAUTH.replace("ROOT/home/oauth2.conf", "ROOT/oauth2.conf") + at_once;
    let dovecot = Dovecot::start_with(&["alice"], mechanisms, &settings);
    let root = dovecot.folder();
    std::fs::write(
        root.join("oauth2.conf"),
        format!("introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix={}/\n", root.display()),
    )
    .unwrap();
    for (protocol, auth, _, takes_token) in ways() {
        let path = dovecot.profile("acme", protocol, "none", "alice", &format!("cleartext-login = true\nauth = \"{auth}\"\n"));
        write_private(&root.join("secret"), "wrong");
        if takes_token {
            let text = std::fs::read_to_string(&path).unwrap();
            let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("password-file")).collect();
            write_private(&path, &format!("{}\ntoken-command = \"echo a.b.c\"\n", kept.join("\n")));
        }
        let ran = fetch(&path, &["--test"]);
        assert!(ran.code == 77 && ran.text().contains("FAILED login"), "{protocol} {auth}: {} {}", ran.code, ran.text());
        assert!(!takes_token || ran.text().contains("its reason: status "), "{}", ran.text());
    }
}

#[test]
fn a_real_dovecot_with_hashed_passwords_is_told_as_that_and_auth_helps() {
    let dovecot = Dovecot::start_with(&["alice"], "plain login cram-md5 scram-sha-256 apop", "auth_failure_delay = 0\n");
    let passwd = dovecot.folder().join("passwd");
    let hashed = common::tools::shell(dovecot.folder(), "openssl passwd -6 -salt x hashed");
    let text = std::fs::read_to_string(&passwd).unwrap();
    let (user, rest) = text.split_once(":{PLAIN}").unwrap();
    let rest = rest.strip_prefix(PASSWORD).unwrap();
    std::fs::write(&passwd, format!("{user}:{{CRYPT}}{}{rest}", hashed.trim())).unwrap();
    for protocol in ["imap", "pop3"] {
        let told = |more: &str| {
            let path = dovecot.profile("acme", protocol, "none", "alice", more);
            write_private(&dovecot.folder().join("secret"), "hashed");
            let ran = fetch(&path, &["--test"]);
            (ran.code, ran.text())
        };
        for proof in ["", "auth = \"cram-md5\"\n"] {
            let (code, said) = told(proof);
            assert!(code == 77 && said.contains("keeps passwords hashed can't check"), "{protocol} {proof}: {code} {said}");
        }
        let (code, said) = told("auth = \"plain\"\n");
        assert!(code == 0 && said.contains("alice by PLAIN\n"), "{protocol}: {said}");
    }
}
