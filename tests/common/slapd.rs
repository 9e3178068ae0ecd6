//! A slapd (OpenLDAP) of the tests' own, from unpacked packages, with the entries that a test gives it.

use super::daemon::{free_ports, fresh_folder, library_folders, packages, wait_for};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running server, stopped and removed when it goes.
pub struct Slapd {
    root: PathBuf,
    packages: PathBuf,
    child: Child,
    pub port: u16,
}

impl Slapd {
    /// Starts one that holds `ldif` below dc=example,dc=com, or says why the test is skipped.
    pub fn start(ldif: &str) -> Option<Self> {
        let packages = packages("openldap")?;
        let root = fresh_folder("slapd");
        std::fs::create_dir(root.join("db")).unwrap();
        std::fs::write(root.join("slapd.conf"), settings(&packages, &root)).unwrap();
        std::fs::write(root.join("entries.ldif"), ldif).unwrap();
        let slapd = |arguments: &[&str]| {
            let mut command = Command::new(packages.join("usr/sbin/slapd"));
            command.args(arguments).arg("-f").arg(root.join("slapd.conf")).env("LD_LIBRARY_PATH", libraries(&packages));
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(std::fs::File::options().create(true).append(true).open(root.join("server.log")).unwrap());
            command
        };
        let filled = slapd(&["-Tadd"]).arg("-l").arg(root.join("entries.ldif")).status().unwrap();
        let log = || std::fs::read_to_string(root.join("server.log")).unwrap_or_default();
        assert!(filled.success(), "slapadd: {filled}: {}", log());
        let port = free_ports()[0];
        let mut child = slapd(&["-d", "0", "-h", &format!("ldap://127.0.0.1:{port}")]).spawn().unwrap();
        assert!(wait_for(port, &mut child), "slapd does not listen: {}", log());
        Some(Self { root, packages, child, port })
    }

    /// A shell's settings by which it finds the client.
    pub fn environment(&self) -> String {
        format!("PATH='{}:{}' LD_LIBRARY_PATH='{}'", self.packages.join("usr/bin").display(), env!("PATH"), libraries(&self.packages))
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn libraries(packages: &Path) -> String {
    library_folders(packages).iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(":")
}

/// Active Directory's attribute stands beside those of the usual schemas.
fn settings(packages: &Path, root: &Path) -> String {
    let schema = packages.join("etc/ldap/schema");
    let include = |name: &str| format!("include {}\n", schema.join(format!("{name}.schema")).display());
    let includes: String = ["core", "cosine", "inetorgperson"].map(include).concat();
    let proxy = "attributetype ( 1.2.840.113556.1.2.210 NAME 'proxyAddresses' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )\nobjectclass ( 1.3.6.1.4.1.4203.666.11.1 NAME 'mailPerson' SUP top AUXILIARY MAY proxyAddresses )\n";
    let modules = packages.join("usr/lib/ldap");
    format!(
        "{includes}{proxy}modulepath {}\nmoduleload back_mdb\npidfile {}/pid\nsizelimit 10\ndatabase mdb\nsuffix dc=example,dc=com\ndirectory {}/db\n",
        modules.display(),
        root.display(),
        root.display()
    )
}
