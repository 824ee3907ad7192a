//! Folders that are not this server's, as the process's own user: nothing in them changes.

use super::*;
use std::fs;

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

/// A store whose data folder holds this as its marker.
fn told(marker: Option<&str>) -> (tempfile::TempDir, Description) {
    let folder = tempfile::tempdir().unwrap();
    let program = PathBuf::from("/no/such/program");
    let told = Description {
        service: "db".into(),
        server: program.clone(),
        installer: program.clone(),
        client: program.clone(),
        options: program.clone(),
        store: folder.path().into(),
        socket: program,
        port: 1,
        login: None,
        user: "u".into(),
        administrator: "a".into(),
        owner: None,
    };
    fs::create_dir(told.data()).unwrap();
    sys::durable::write(&told.data().join("ibdata1"), b"rows", 0o600).unwrap();
    if let Some(marker) = marker {
        sys::durable::write(&told.data().join(MARKER), marker.as_bytes(), 0o600).unwrap();
    }
    (folder, told)
}

fn said(marker: Option<&str>, server: &str) -> Result<Data, String> {
    let (_folder, told) = told(marker);
    let found = prepare(&told, version(server)).map_err(|error| {
        assert!(error.next().is_some(), "{error}");
        error.to_string().replace(&told.data().display().to_string(), "DATA")
    });
    assert_eq!(fs::read(told.data().join("ibdata1")).unwrap(), b"rows");
    assert!(!told.store.join("data.new").exists());
    found
}

#[test]
fn a_folder_is_taken_from_its_own_server_alone() {
    let marker = |engine: &str, version: &str| format!(r#"{{"engine":"{engine}","version":"{version}"}}"#);
    let of = |engine: &str, version: &str| said(Some(&marker(engine, version)), "10.11.19");
    assert_eq!(of("mariadb", "10.11.19"), Ok(Data::Ready));
    assert_eq!(of("mariadb", "10.11.99"), Ok(Data::Ready), "one series");
    assert_eq!(of("mariadb", "10.6.1"), Ok(Data::Old(version("10.6.1"))));
    assert_eq!(
        of("mariadb", "11.4.2").unwrap_err(),
        "the data folder DATA was written by mariadb 11.4.2; this server is mariadb 10.11.19"
    );
    assert!(of("mysql", "8.0.36").unwrap_err().contains("was written by mysql 8.0.36"));
    let foreign =
        "the data folder DATA is not empty, and nothing in it says that it is a database of Mainstay's";
    for marker in [None, Some(""), Some("{}"), Some(r#"{"engine":"mariadb","version":"x"}"#)] {
        assert_eq!(said(marker, "10.11.19").unwrap_err(), foreign, "{marker:?}");
    }
}

#[test]
fn a_newer_version_of_the_series_is_remembered() {
    let (_folder, told) = told(Some(r#"{"engine":"mariadb","version":"10.11.1"}"#));
    prepare(&told, version("10.11.19")).unwrap();
    assert!(fs::read_to_string(told.data().join(MARKER)).unwrap().contains("10.11.19"));
}

#[test]
fn a_full_file_system_is_said_with_its_figures() {
    let folder = tempfile::tempdir().unwrap();
    let error = check_room(folder.path(), u64::MAX).unwrap_err();
    let free = free(folder.path()).unwrap();
    let text = error.to_string();
    // Other tests write meanwhile: the first digit is enough.
    assert!(
        text.contains(&folder.path().display().to_string()) && text.contains("bytes free"),
        "{text} {free}"
    );
    for said in [
        "... No space left on device",
        "Got error 'x' (Errcode: 28 \"No space\")",
        "InnoDB: ... error number 28",
    ] {
        assert!(is_full(said), "{said}");
    }
}

#[test]
fn what_an_installer_left_half_made_is_not_taken_for_data() {
    let folder = tempfile::tempdir().unwrap();
    let (_other, mut told) = told(None);
    told.store = folder.path().into();
    fs::create_dir_all(told.store.join("data.new/mysql")).unwrap();
    let error = prepare(&told, version("10.11.19")).unwrap_err();
    assert!(matches!(error, DataError::Program { .. }), "the installer was called: {error}");
    assert!(!told.data().exists() && !told.store.join("data.new").exists());
}
